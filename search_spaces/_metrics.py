"""Metrics that Keras has only for one-hot labels."""

from collections.abc import Callable, Mapping
from typing import Any

import keras


class MacroF1(keras.metrics.F1Score):
    """F1 score for integer labels: of the second class if there are two, else their mean.

    Labels are `(batch,)`; predictions `(batch, 1)` for two classes, `(batch, num_classes)` for
    more. See `keras.metrics.F1Score`.
    """

    def __init__(self, num_classes: int, name: str = "f1_score", **kwargs: Any) -> None:
        binary = num_classes == 2
        super().__init__(average="macro", threshold=0.5 if binary else None, name=name, **kwargs)
        self.num_classes = num_classes

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        super().update_state(_spread(y_true, self.num_classes), y_pred, sample_weight)


class MacroAUC(keras.metrics.AUC):
    """Area under the ROC curve for integer labels: each class against the rest, then their mean.

    Of two classes it is that of the second. Labels are `(batch,)`; predictions `(batch, 1)` for two
    classes, `(batch, num_classes)` for more. See `keras.metrics.AUC`, whose 200 thresholds it has.
    """

    def __init__(self, num_classes: int, name: str = "auc", **kwargs: Any) -> None:
        several = {"multi_label": True, "num_labels": num_classes} if num_classes > 2 else {}
        super().__init__(name=name, **several, **kwargs)
        self.num_classes = num_classes

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        super().update_state(_spread(y_true, self.num_classes), y_pred, sample_weight)


def _spread(labels: Any, num_classes: int) -> Any:
    """Returns labels in the shape of predictions: a column of two classes, one-hot of more."""
    flat = keras.ops.reshape(labels, (-1,))
    if num_classes == 2:
        return keras.ops.expand_dims(flat, -1)
    return keras.ops.one_hot(keras.ops.cast(flat, "int32"), num_classes)


# what models report only if they are asked to -> what measures it, by the number of classes
ON_REQUEST: Mapping[str, Callable[[int], keras.metrics.Metric]] = {
    "f1_score": MacroF1,
    "auc": MacroAUC,
}
