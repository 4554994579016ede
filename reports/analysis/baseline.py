"""Whether a model is better than always predicting the most frequent class."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.record.predictions import Targets
from experiments.record.reading import as_dict, as_number, dig
from reports.analysis.recommended import recommended
from reports.analysis.task import task_of
from reports.analysis.verdict import scores_on_test
from reports.statistics.estimates import wilson
from reports.study.metrics import base_name, is_share_of_images, name_on_test
from reports.study.study import Study, computed_once

if TYPE_CHECKING:
    import pandas as pd

_F1 = "f1_score"


@dataclass(frozen=True)
class Baseline:
    """The score of always predicting the most frequent class, beside the best model's.

    Args:
        class_name: The most frequent class of the split.
        split: `test`, or `validation` where nothing was tested.
        metric: Accuracy, or the F1 score where that is the objective.
        value: Score of that constant prediction by `metric`.
        reached: Score of the best model; the mean over its trainings, where it has several.
        is_above: Whether `reached` is above `value`, though within the sampling error of the
            images.
    """

    class_name: str
    split: str
    metric: str
    value: float
    reached: float
    is_above: bool


@computed_once
def no_better(study: Study) -> Baseline | None:
    """Returns the baseline if the best model is not shown to beat it; else `None`.

    An accuracy beats it if its 95 % Wilson interval lies above it. An F1 score beats it if it is
    higher, as its spread over images is not recorded. Metrics other than F1 are judged by accuracy.
    An incomplete record gives `None`, too.
    """
    if task_of(study) in (Targets.LABELS, Targets.VALUES):
        return None
    metric = _F1 if base_name(study.objective) == _F1 else "accuracy"
    split, reached, size = _reached(study, metric)
    counts = class_counts(study, split)
    if not counts or not 0 <= reached <= 1 or size < 1:
        return None
    largest = max(range(len(counts)), key=lambda index: counts[index])
    share = counts[largest] / sum(counts)
    value = share if metric == "accuracy" else f1_of_always(largest, share, len(counts))
    low = reached if metric == _F1 else wilson(round(reached * size), size)[0]
    if low > value:
        return None
    name = study.class_names[largest]
    return Baseline(name, split, metric, value, reached, is_above=reached > value)


def f1_of_always(index: int, share: float, num_classes: int) -> float:
    """Returns the F1 score of always predicting one class: recall 1, precision its share.

    For two classes it is the second's; for more, the mean over classes, as in `search_spaces`.
    """
    own = 2 * share / (1 + share)
    if num_classes == 2:
        return own if index == 1 else 0.0
    return own / num_classes


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
    if name_on_test(study.objective) == metric or is_share_of_images(study.objective):
        return float(best.iloc[0]["score"])
    epochs = study.epochs
    if not {study.objective, f"val_{metric}"} <= set(epochs.columns):
        return math.nan
    own = epochs[epochs["trial_id"] == best.iloc[0]["trial_id"]].dropna(subset=[study.objective])
    ranked = own.sort_values(study.objective, ascending=study.direction == "min", kind="stable")
    return math.nan if ranked.empty else as_number(ranked.iloc[0][f"val_{metric}"])
