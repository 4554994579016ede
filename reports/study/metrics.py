"""What kind of number a metric is: a proportion, a share of images, or neither."""

import re
from collections.abc import Sequence
from typing import Any

_TOP_ONE = {
    "acc", "accuracy", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"
}  # fmt: skip
# The mean over images of right or wrong.
_COUNTED = _TOP_ONE | {"top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"}
_PROPORTIONS = _COUNTED | {
    "auc", "precision", "recall", "f1", "f1_score", "fbeta_score", "balanced_accuracy",
    "sensitivity", "specificity", "precision_at_recall", "recall_at_precision",
    "sensitivity_at_specificity", "specificity_at_sensitivity", "io_u", "iou", "binary_io_u",
    "mean_io_u", "one_hot_io_u", "one_hot_mean_io_u", "dice",
}  # fmt: skip
_NUMBERED = re.compile(r"_\d+$")  # Keras counts metrics of the same name: `auc_1`


def base_name(metric: str) -> str:
    """`val_auc_1` -> `auc`: the metric, whatever split it was measured on."""
    return _NUMBERED.sub("", metric.removeprefix("val_"))


def is_proportion(metric: str) -> bool:
    """Whether a metric lies within 0..1 and is some share, by its name."""
    return base_name(metric) in _PROPORTIONS


def is_share_of_images(metric: str) -> bool:
    """Whether a metric counts the images that are right, so that it is binomial."""
    return base_name(metric) in _COUNTED


def is_validation_accuracy(metric: str) -> bool:
    """Whether a metric is the share of validation images whose likeliest class is right."""
    return metric.startswith("val_") and base_name(metric) in _TOP_ONE


def name_on_test(objective: str) -> str:
    """`val_f1_score` -> `f1_score`: what an objective is called on the test split."""
    return objective.removeprefix("val_")


def reported_on_test(objective: str, finalists: Sequence[dict[str, Any]]) -> str:
    """Returns the metric of reported test scores: the objective's own, if all finalists have it.

    Else it is accuracy, or another metric that all have.
    """
    wanted = name_on_test(objective)
    runs = [run["test"] for finalist in finalists for run in finalist["runs"]]
    known = [str(n) for n in (runs[0] if runs else {}) if all(n in test for test in runs)]
    return next((n for n in (wanted, "accuracy", *known) if n in known), wanted)
