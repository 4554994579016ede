"""Metrics that Keras has only for one-hot labels."""

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
        flat = keras.ops.reshape(y_true, (-1,))
        if self.num_classes == 2:
            spread = keras.ops.expand_dims(flat, -1)
        else:
            spread = keras.ops.one_hot(keras.ops.cast(flat, "int32"), self.num_classes)
        super().update_state(spread, y_pred, sample_weight)
