"""Checks of the images themselves, which limit what a score on them is worth.

All but the first state facts that the preparation counted (`dataset` in `study.json`).
"""

from collections.abc import Iterator

from experiments.record.formatting import listed, percent, plural, score, words
from experiments.record.notes import DOUBT, PROBLEM
from experiments.record.reading import as_dict, as_number, clean, dig
from reports.analysis.baseline import class_counts, no_better
from reports.analysis.health.finding import Finding
from reports.analysis.numbers import no_better_than_constant
from reports.analysis.task import has_images, noun_of
from reports.study.metrics import base_name, is_share_of_images
from reports.study.study import Study

_EVEN = 1.5  # times the mean of all classes: up to this size the largest counts as equal
_F1 = "val_f1_score"
IMBALANCED = 0.8  # share of the largest class, beyond which accuracy says little about the others


def baseline(study: Study) -> Iterator[Finding]:
    """Reports that the best model is not shown to beat a prediction that looks at no image.

    It uses Wilson's 95 % interval, and misses at most some 2.5 % of models that are just as good.
    """
    yield from _constant_prediction(study)
    found = no_better(study)
    if found is None:
        return
    verb = "is not shown to be better" if found.is_above else "is no better"
    yield Finding(
        PROBLEM,
        f"the best {verb} than {found.rule}: {found.split} {words(found.metric)} "
        f"{score(found.reached)} against {score(found.value)}",
        f"see the confusion matrix; {_for_baseline(study, class_counts(study, found.split))}",
    )


def _constant_prediction(study: Study) -> Iterator[Finding]:
    """Reports that a regression is not shown to beat always saying the median.

    It uses the 95 % interval of the mean difference of absolute errors on test.
    """
    found = no_better_than_constant(study)
    if found is None:
        return
    verb = "is not shown to be better" if found.is_less else "is no better"
    unit = f", {found.unit}" if found.unit else ""
    yield Finding(
        PROBLEM,
        f"the exported model {verb} than always saying the median of the test targets: mean "
        f"absolute error {score(found.error)} against {score(found.constant)}{unit}",
        "look whether inputs and targets belong together and are scaled; search with more epochs "
        "or other learning rates",
    )


def _for_baseline(study: Study, counts: list[int]) -> str:
    """Returns advice by whether one class has many more images than its share."""
    if max(counts) > _EVEN * sum(counts) / len(counts):
        tried = base_name(study.objective) == "f1_score"
        other = "" if tried else f"; or {_by_f1(study)}"
        return (
            "search with more epochs or other learning rates, or collect more images of the other "
            f"classes{other}"
        )
    return (
        "search with more epochs or other learning rates; if that does not help, look whether the "
        "labels are right and the images show the classes (about as many of each are there)"
    )


def duplicates(study: Study) -> Iterator[Finding]:
    """Counts images that are in two splits: if test images are, scores are too high."""
    counts, noun = as_dict(dig(study.record, "dataset", "counts")), noun_of(study)
    for pair, value in as_dict(dig(study.record, "dataset", "duplicates")).items():
        count, (first, _, second) = _count(value), clean(pair, 40).partition("/")
        if not count or not second:
            continue
        total = _count(counts.get(second))
        of = f" of {total:,}" if total >= count else ""
        verb = "is" if count == 1 else "are"
        yield Finding(
            PROBLEM if second == "test" else DOUBT,
            f"{count:,}{of} {second} {noun if count == 1 and not of else f'{noun}s'} {verb} in "
            f"{first} too",
            f"remove the copies: {second} scores count what was {_SEEN.get(first, 'seen')}, so "
            "they are too high",
        )


_SEEN = {"train": "learned by heart", "validation": "chosen by"}


def conflicting(study: Study) -> Iterator[Finding]:
    """Counts images that are in two classes: one of their labels is wrong."""
    count = _count(dig(study.record, "dataset", "conflicting"))
    if count:
        yield Finding(
            PROBLEM,
            f"{plural(count, noun_of(study))} {'has' if count == 1 else 'have'} a copy with "
            "another label",
            "look at them and keep each in one class: whatever a model says of them, it is wrong "
            "of one copy",
        )


def missing_classes(study: Study) -> Iterator[Finding]:
    """Names classes without an image in a split: its scores say nothing about them."""
    for split, names in as_dict(dig(study.record, "dataset", "missing_classes")).items():
        absent = [repr(clean(name, 80)) for name in names] if isinstance(names, list) else []
        if absent:
            yield Finding(
                PROBLEM,
                f"{clean(split, 40)} has no {noun_of(study)} of "
                f"{'class' if len(absent) == 1 else 'classes'} {listed(absent)}",
                f"add {noun_of(study)}s of them, or search another division (--split-seed)",
            )


def constant(study: Study) -> Iterator[Finding]:
    """Counts images of a single colour: they show nothing."""
    found = as_dict(dig(study.record, "dataset", "constant")).items()
    counts = {clean(split, 40): _count(value) for split, value in found}
    total = sum(counts.values())
    if total:
        kind = "of one colour throughout" if has_images(study) else "of one value throughout"
        where = listed([f"{count:,} in {split}" for split, count in counts.items() if count])
        yield Finding(
            DOUBT,
            f"{plural(total, noun_of(study))} {'is' if total == 1 else 'are'} {kind} ({where})",
            "look at them: files may be damaged, or of a range of values that was not declared",
        )


def imbalance(study: Study) -> Iterator[Finding]:
    """Reports that accuracy ranks trials though one class has over four fifths of the images."""
    counts = class_counts(study, "train")
    share = max(counts) / sum(counts) if counts else 0.0
    if share <= IMBALANCED or not is_share_of_images(study.objective):
        return
    name = study.class_names[counts.index(max(counts))]
    yield Finding(
        DOUBT,
        f"{percent(share)} of the train {noun_of(study)}s are of class {name!r}, and trials are "
        f"ranked by {words(study.objective)}, which says little of the others",
        _by_f1(study),
        {"objective": _F1} if _reports_f1(study) and len(study.objectives) < 2 else {},
    )


def _by_f1(study: Study) -> str:
    """Returns the advice to rank by the F1 score."""
    advice = f"rank by the F1 score: --objective {_F1}"
    return advice if _reports_f1(study) else f"compile the model with an F1 score, and {advice}"


def _reports_f1(study: Study) -> bool:
    is_shipped = str(dig(study.record, "config", "space")).isidentifier()  # all of those report it
    return is_shipped or _F1 in study.epochs


def _count(value: object) -> int:
    found = as_number(value)
    return int(found) if found >= 1 else 0
