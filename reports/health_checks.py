"""The checks of a study's health: to add one, write a generator and name it in `CHECKS`."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reports.analysis import NO_EFFECT, axes_of, drawn_scores, draws_of, scores_of, without_effect
from reports.facts import widenings
from reports.networks import best_so_far, finished, networks, num_stopped
from reports.reading import clean, dig, number
from reports.statistics.expected import expected_best
from reports.study import Study
from reports.widening import is_parent, wider
from reports.words import listed, plural, text, words

PROBLEM, DOUBT, GOOD = "problem", "doubt", "good"
_ADVICE = {
    "nan": "lower the upper end of the learning rate, or clip gradients",
    "out_of_memory": "lower the batch size or the largest layers, or run fewer workers",
    "build": "the space draws models that can't be built: mend its ranges",
}


@dataclass(frozen=True)
class Finding:
    """One thing seen in a study.

    Args:
        level: `problem` (mend it before you trust the result), `doubt`, or `good`.
        title: What was seen, with its numbers.
        advice: What to do.
        change: Options of the next search that do it, by name.
        fix: Hyperparameters that the next search should hold.
        ranges: Ranges that the next search should have.
    """

    level: str
    title: str
    advice: str = ""
    change: dict[str, Any] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)


def _files(study: Study) -> Iterator[Finding]:
    if study.problems:
        yield Finding(
            PROBLEM,
            f"{plural(len(study.problems), 'file')} could not be read: {study.problems[0]}",
            "restore them from a copy; what they held is missing from this report",
        )


def _running(study: Study) -> Iterator[Finding]:
    if study.running:
        count = int((study.trials["status"] == "running").sum())
        yield Finding(
            DOUBT,
            f"the search had not ended when this was written ({plural(count, 'trial')} running)",
            "write the report again when it has",
        )


def _states(study: Study) -> Iterator[Finding]:
    counts = {str(s): int(n) for s, n in study.trials["status"].value_counts().items()}
    total = len(study.trials)
    shown = listed([f"{count:,} {status}" for status, count in sorted(counts.items())])
    failed = counts.get("failed", 0)
    if not failed:
        yield Finding(GOOD, f"no trial failed: {shown or 'there are no trials'}")
        return
    causes = study.failed["cause"].fillna("unknown").astype(str)
    for cause, count in causes.value_counts().sort_index().items():
        share = count / total
        name = str(cause).replace("_", " ")
        yield Finding(
            PROBLEM if share > 0.2 else DOUBT,
            f"{count:,} of {plural(total, 'trial')} ({share:.0%}) failed with cause {name}",
            _ADVICE.get(str(cause), "read the tracebacks under All trials")
            + _where_failures_are(study, str(cause)),
        )


def _where_failures_are(study: Study, cause: str) -> str:
    """Names the number range in which the failures lie, where it is a small one."""
    failed = study.failed[study.failed["cause"].fillna("unknown") == cause]
    best: tuple[float, str] = (0.25, "")
    for axis in axes_of(study):
        values = failed[axis.name].dropna() if not axis.labels else failed[axis.name][:0]
        if len(values) < 3 or axis.high == axis.low:
            continue
        is_log = study.hyperparameters[axis.name].get("sampling") == "log"
        places = np.log10(values.astype(float)) if is_log else values.astype(float)
        width = float(np.ptp(places)) / (axis.high - axis.low)
        if width < best[0]:
            ends = f"{text(float(values.min()))} to {text(float(values.max()))}"
            best = (width, f"; all of them have {words(axis.name)} {ends}")
    return best[1]


def _edges(study: Study) -> Iterator[Finding]:
    if len(scores_of(study)) < 5:
        return
    for axis in axes_of(study):
        hp = study.hyperparameters[axis.name]
        if axis.labels or "min_value" not in hp or "max_value" not in hp:
            continue
        # Of few values one is often an end, so that more of the best have to agree on it.
        least, count = (4, 5) if len(np.unique(axis.values)) <= 5 else (2, 3)
        top = axis.unit[:count][axis.active[:count]]
        for end, inside in (("lower", top <= 0.03), ("upper", top >= 0.97)):
            if len(top) and inside[0] and inside.sum() >= least:
                yield _edge(study, axis.name, end)


def _edge(study: Study, column: str, end: str) -> Finding:
    """Says what to do about an optimum at an end of a range."""
    hp = study.hyperparameters[column]
    value = text(hp["min_value" if end == "lower" else "max_value"])
    title = f"the best trials have {words(column)} at the {end} end of its range, {value}"
    if not study.record:
        return Finding(DOUBT, title, f"widen the range of {column} beyond {value}")
    if is_parent(hp["name"], study.hyperparameters.values()):
        advice = f"others depend on {column}: widen it in the search space, beyond {value}"
        return Finding(DOUBT, title, advice)
    wide = wider(hp, end)
    if wide is None:
        return Finding(GOOD, f"{title}, beyond which it means nothing")
    advice = f"widen it: --range {hp['name']}={wide}"
    return Finding(DOUBT, title, advice, ranges={hp["name"]: wide})


def _widened(study: Study) -> Iterator[Finding]:
    lines = widenings(study.record)
    if lines:
        yield Finding(
            GOOD,
            f"{plural(len(lines), 'range')} became wider in the course of the search: "
            f"{clean(listed(lines))}",
            "trials before saw the narrower range only: compare methods or progress with care",
        )


def _last_epoch(study: Study) -> Iterator[Finding]:
    epochs, limit = study.epochs, number(dig(study.record, "config", "max_epochs"))
    if study.objective not in epochs or study.completed.empty:
        return
    best = list(finished(study)["trial_ids"].head(5))
    late = 0
    for values in best_so_far(study, best):  # a network's epochs, over all its trials
        if len(values) < 2 or not np.isfinite(values).any():
            continue
        improved = values[-1] != values[-2]
        late += int(improved and (math.isnan(limit) or len(values) >= limit))
    if late >= max(1, len(best) // 2):
        change = {} if math.isnan(limit) else {"max_epochs": int(limit * 2)}
        yield Finding(
            DOUBT,
            f"{late} of the best {plural(len(best), 'trial')} were best at their last epoch: "
            "they were still improving",
            "train longer" + (f": --max-epochs {int(limit * 2)}" if change else ""),
            change,
        )
    else:
        yield Finding(GOOD, "the best trials had stopped improving before their last epoch")


def _overfitting(study: Study) -> Iterator[Finding]:
    epochs = study.epochs
    if study.completed.empty or not {"loss", "val_loss"} <= set(epochs.columns):
        return
    trial = study.completed.iloc[0]["trial_id"]
    rows = epochs[(epochs["trial_id"] == trial) & (epochs["execution"] == 0)]
    validation = rows["val_loss"].to_numpy(dtype=float)
    if len(validation) < 3 or not np.isfinite(validation).all():
        return
    rise = validation[-1] / max(validation.min(), 1e-12)
    falling = rows["loss"].iloc[-1] < rows["loss"].iloc[int(validation.argmin())]
    if rise > 1.1 and falling:
        yield Finding(
            DOUBT,
            f"the best trial overfits: its validation loss rose by {rise - 1:.0%} after epoch "
            f"{int(validation.argmin()) + 1} while its training loss fell",
            "more dropout, augmentation or images; the exported weights are of its best epoch",
        )
    else:
        yield Finding(GOOD, "the best trial does not overfit: its validation loss did not turn up")


def _too_few(study: Study) -> Iterator[Finding]:
    scores, varied = drawn_scores(study), len(axes_of(study))
    if scores is None:  # no sample of the space: what half of the trials would find is unknown
        yield from _unknown_enough(study)
        return
    if len(scores) < 2 or not varied:
        return
    half = max(len(scores) // 2, 1)
    at = expected_best(scores, np.array([half, len(scores)]), study.direction)
    gain, trials = abs(float(at[1] - at[0])), number(dig(study.record, "config", "max_trials"))
    step = _resolution(study)
    few = len(scores) < 3 * varied or (gain > step and len(scores) < 200)
    if few:
        wanted = int(max(2 * len(scores), 5 * varied))
        change = {} if math.isnan(trials) else {"max_trials": wanted, "seed": study.seed + 1}
        yield Finding(
            DOUBT,
            f"{plural(len(scores), 'completed trial')} are few for "
            f"{plural(varied, 'hyperparameter')}: half of them would be expected to "
            f"reach {gain:.4f} less",
            f"run more: about {wanted} trials",
            change,
        )
    else:
        yield Finding(
            GOOD, f"{len(scores):,} trials are enough: half of them would have found nearly as much"
        )


def _unknown_enough(study: Study) -> Iterator[Finding]:
    """Says why nothing can be said of more trials; few for the hyperparameters are few anyway."""
    tried, varied = len(networks(study)), len(study.searched)
    trials = number(dig(study.record, "config", "max_trials"))
    why = (
        f"{plural(num_stopped(study), 'network')} were stopped early"
        if num_stopped(study)
        else f"trials were proposed by {draws_of(study).method}, not drawn at random"
    )
    if tried < 3 * varied:
        wanted = 5 * varied
        change = {} if math.isnan(trials) else {"max_trials": wanted, "seed": study.seed + 1}
        yield Finding(
            DOUBT,
            f"{plural(tried, 'network')} are few for {plural(varied, 'hyperparameter')}",
            f"run more: about {wanted} trials",
            change,
        )
    elif varied:
        yield Finding(GOOD, f"whether more trials would find better can't be said, because {why}")


def _resolution(study: Study) -> float:
    """Returns the standard error of the best validation accuracy, or a thousandth."""
    images = number(dig(study.record, "dataset", "counts", "validation"))
    best = float(scores_of(study)[0])
    if not 0 <= best <= 1 or math.isnan(images) or images < 1:
        return 0.001
    return max(math.sqrt(best * (1 - best) / images), 1 / images)


def _close(study: Study) -> Iterator[Finding]:
    scores = scores_of(study)
    # Of several objectives, those that are equal in the first are told apart by the others.
    if len(scores) < 3 or "accuracy" not in study.objective or len(study.objectives) > 1:
        return
    step = _resolution(study)
    equal = int((np.abs(scores - scores[0]) <= step).sum())
    confirmed = len([f for f in study.finalists if f["runs"]])
    if equal > max(confirmed, 1):
        wanted = min(equal, 5)
        yield Finding(
            DOUBT,
            f"{equal} trials are within one standard error (±{step:.4f}) of the best: which "
            "of them is first is luck",
            f"confirm more of them over seeds: --confirm {wanted} --seeds 3",
            {"confirm": wanted, "seeds": max(3, _seeds(study))},
        )


def _seeds(study: Study) -> int:
    seeds = number(dig(study.record, "config", "seeds"))
    return 1 if math.isnan(seeds) else int(seeds)


def _one_seed(study: Study) -> Iterator[Finding]:
    tested = [f for f in study.finalists if f["runs"]]
    if tested and len(tested[0]["runs"]) < 2:
        yield Finding(
            DOUBT,
            "the winner was tested with one training: what another seed would give is unknown",
            "confirm with more seeds: --seeds 3",
            {"seeds": 3},
        )
    elif study.record and not tested and not study.running and not study.completed.empty:
        yield Finding(
            PROBLEM,
            "no finalist was tested: the best validation score is the luckiest of many",
            "confirm the best trial on test: --confirm 1 --seeds 3",
            {"confirm": 1, "seeds": 3},
        )


def _unimportant(study: Study) -> Iterator[Finding]:
    if study.completed.empty:
        return
    best = study.completed.iloc[0]
    held = {n: best[n] for n in without_effect(study) if text(best[n])}
    if held:
        yield Finding(
            GOOD,
            f"{plural(len(held), 'hyperparameter')} made little difference alone (under "
            f"{NO_EFFECT:.0%} of the variance, at a level of 5 %): "
            f"{listed([words(n) for n in held])}",
            "hold them at the best trial's values, so that trials go to what matters",
            fix={study.hyperparameters[n]["name"]: v for n, v in held.items()},
        )


CHECKS: tuple[Callable[[Study], Iterator[Finding]], ...] = (
    _files, _running, _states, _one_seed, _edges, _widened, _last_epoch, _overfitting,
    _too_few, _close, _unimportant,
)  # fmt: skip
