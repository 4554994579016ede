"""Whether a model is better than a prediction that looks at no image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.record.predictions import Targets
from experiments.record.reading import as_dict, as_number, dig
from reports.analysis.recommended import recommended
from reports.analysis.task import task_of
from reports.analysis.verdict import scores_on_test
from reports.statistics.estimates import CONFIDENCE, wilson
from reports.study.metrics import base_name, is_validation_accuracy
from reports.study.study import Study, computed_once

if TYPE_CHECKING:
    import pandas as pd

_F1 = "f1_score"


@dataclass(frozen=True)
class Baseline:
    """The score of a prediction that looks at no image, beside the best model's.

    Args:
        class_name: The class that is always said; `None`: classes are guessed by their shares.
        split: `test`, or `validation` where nothing was tested.
        metric: Accuracy, or the F1 score where that is the objective.
        value: Score of that prediction by `metric`.
        reached: Score of the best model; the mean over its trainings, where it has several.
        is_above: Whether `reached` is above `value`, though within the sampling error of the
            images.
    """

    class_name: str | None
    split: str
    metric: str
    value: float
    reached: float
    is_above: bool

    @property
    def rule(self) -> str:
        """Returns the prediction in words."""
        by_shares = self.class_name is None
        return (
            "guessing classes by their shares"
            if by_shares
            else f"always saying {self.class_name!r}"
        )


@computed_once
def no_better(study: Study) -> Baseline | None:
    """Returns the baseline if the best model is not shown to beat it; else `None`.

    A score beats it if its 95 % Wilson interval lies above it. On validation, where the winner is
    the best of many, the interval is corrected for the completed trials (Bonferroni). An F1 score
    is taken as a share of `images_of_f1`. Metrics other than F1 are judged by accuracy. An
    incomplete record gives `None`, too.
    """
    if task_of(study) in (Targets.LABELS, Targets.VALUES):
        return None
    metric = _F1 if base_name(study.objective) == _F1 else "accuracy"
    split, reached, size = _reached(study, metric)
    counts = class_counts(study, split)
    if not counts or not 0 <= reached <= 1 or size < 1:
        return None
    said, value = f1_of_none(counts) if metric == _F1 else accuracy_of_none(counts)
    counted = size if metric == "accuracy" else images_of_f1(counts)
    picked = max(len(study.completed), 1) if split == "validation" else 1
    if is_beyond(value, reached, counted, picked):
        return None
    name = None if said is None else study.class_names[said]
    return Baseline(name, split, metric, value, reached, is_above=reached > value)


def is_beyond(value: float, reached: float, size: int, picked: int) -> bool:
    """Whether a share of `size` images is above a value, as the best of `picked` such shares."""
    return wilson(round(reached * size), size, 1 - (1 - CONFIDENCE) / picked)[0] > value


def accuracy_of_none(counts: Sequence[int]) -> tuple[int, float]:
    """Returns the most frequent class and its share: the accuracy of always saying it."""
    largest = max(range(len(counts)), key=lambda index: counts[index])
    return largest, counts[largest] / sum(counts)


def f1_of_none(counts: Sequence[int]) -> tuple[int | None, float]:
    """Returns the best F1 score without looking, and the class said; `None` for guessing.

    For two classes it is the second's: always saying it has recall 1, and its share as precision.
    For more it is the mean over classes, as in `search_spaces`: guessing each by its share has that
    share as F1, so 1 over their number. Always saying one has no more.
    """
    if len(counts) != 2:
        return None, 1 / len(counts)
    share = counts[1] / sum(counts)
    return 1, 2 * share / (1 + share)


def images_of_f1(counts: Sequence[int]) -> int:
    """Returns the number of images of which a share varies as an F1 score does, or about.

    For two classes these are the second's. For more, the variance of a mean over classes is the
    mean of theirs over their number, so one rare class leaves much of what the others say.
    """
    if len(counts) == 2:
        return max(counts[1], 1)
    there = [count for count in counts if count]
    return int(len(there) ** 2 / sum(1 / count for count in there))


def class_counts(study: Study, split: str) -> list[int]:
    """Returns the number of images of each class of a split; empty where not recorded."""
    found = dig(study.record, "dataset", "per_class", split)
    counts = [as_number(value) for value in found] if isinstance(found, list) else []
    usable = all(math.isfinite(value) and value >= 0 for value in counts)
    if not usable or len(counts) != len(study.class_names) or sum(counts) < 1:
        return []
    return [int(value) for value in counts]


def _reached(study: Study, metric: str) -> tuple[str, float, int]:
    """Returns split, score and images of the best model: on test, if it was tested."""
    tested = [finalist for finalist in study.finalists if finalist["runs"]]
    if tested:
        scores = scores_on_test(tested[0], metric)
        return "test", sum(scores) / len(scores), int(as_number(tested[0]["runs"][0]["test_size"]))
    counts = as_dict(dig(study.record, "dataset", "counts"))
    size = as_number(counts.get("validation"))
    score = _on_validation(study, metric)
    return "validation", score, int(size) if math.isfinite(size) else 0


def _on_validation(study: Study, metric: str) -> float:
    """Returns the recommended trial's score at its best epoch; NaN where it is not recorded."""
    best: pd.DataFrame = study.completed[study.completed["trial_id"] == recommended(study)]
    if best.empty:
        return math.nan
    if study.objective == f"val_{metric}" or is_validation_accuracy(study.objective):
        return float(best.iloc[0]["score"])
    epochs = study.epochs
    if not {study.objective, f"val_{metric}"} <= set(epochs.columns):
        return math.nan
    own = epochs[epochs["trial_id"] == best.iloc[0]["trial_id"]].dropna(subset=[study.objective])
    ranked = own.sort_values(study.objective, ascending=study.direction == "min", kind="stable")
    return math.nan if ranked.empty else as_number(ranked.iloc[0][f"val_{metric}"])
