"""How a network is trained, beyond the tutorial: label smoothing, weight decay, warm-up."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras_tuner.engine.hyperparameters import Float, HyperParameter, Int

# Held at their defaults, with which training is the tutorial's, until a search opens them.
RECIPE: tuple[HyperParameter, ...] = (
    Float("label_smoothing", 0.0, 0.5, default=0.0),
    Float("weight_decay", 1e-6, 1e-1, sampling="log", default=0.0),
    Int("warmup_epochs", 0, 10, default=0),
)
MEANINGS = {
    "label_smoothing": "share of each label spread over all classes; in the reported loss too",
    "weight_decay": "share of the weights taken off a step, times the learning rate (AdamW)",
    "warmup_epochs": "epochs in which the learning rate rises to its value",
}
_NOT_DECAYED = ["bias", "gamma", "beta"]


def make_optimizer(
    name: str, learning_rate: float, weight_decay: float = 0.0
) -> keras.optimizers.Optimizer:
    """Makes an optimizer; weight decay is decoupled, and of kernels alone.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Args:
        name: `adam`, `rmsprop`, or `sgd` (with Nesterov's momentum of 0.9).
        learning_rate: Its step size.
        weight_decay: Share of a weight that is taken off a step, times the step size; 0 for none.
    """
    decay = weight_decay or None
    if name == "sgd":
        optimizer = keras.optimizers.SGD(
            learning_rate, momentum=0.9, nesterov=True, weight_decay=decay
        )
    elif name == "rmsprop":
        optimizer = keras.optimizers.RMSprop(learning_rate, weight_decay=decay)
    else:
        optimizer = keras.optimizers.Adam(learning_rate, weight_decay=decay)
    if decay is not None:
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    return optimizer


@keras.saving.register_keras_serializable(package="search_spaces")
class SmoothedCrossentropy(keras.losses.Loss):
    """Crossentropy of integer labels, a share of each spread over all classes evenly.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Args:
        label_smoothing: The share, from 0 to below 1.
        **settings: Of `keras.losses.Loss`.
    """

    # An exported model has it instead, so that it loads without this class.
    plain = "sparse_categorical_crossentropy"

    def __init__(self, label_smoothing: float, **settings: Any) -> None:
        super().__init__(**({"name": self.plain} | settings))
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each image: `(batch,)`.

        Args:
            y_true: Labels, `(batch,)`.
            y_pred: Probabilities, `(batch, num_classes)`.
        """
        own = keras.losses.sparse_categorical_crossentropy(y_true, y_pred)
        least = keras.config.epsilon()
        logs = keras.ops.log(keras.ops.clip(y_pred, least, 1 - least))
        share = self.label_smoothing
        return (1 - share) * own - share * keras.ops.mean(logs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns what makes it again."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def loss_of(num_classes: int, label_smoothing: float = 0.0) -> "str | keras.losses.Loss":
    """Returns the loss that fits the number of classes.

    Raises:
        ValueError: The share that is smoothed is not from 0 to below 1.
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing should be from 0 to below 1, it is {label_smoothing}")
    if num_classes > 2:
        return (
            SmoothedCrossentropy(label_smoothing) if label_smoothing else SmoothedCrossentropy.plain
        )
    if label_smoothing:
        return keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
    return "binary_crossentropy"


def learning_rate_at(
    peak: float, epochs: int, cosine: bool = True, warmup_epochs: int = 0, first: int = 0
) -> Callable[[int, float], float]:
    """Returns the learning rate by epoch: a linear rise to `peak`, then half a cosine towards 0.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, for the rise; Loshchilov and
    Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, for the cosine,
    without restarts. Both once an epoch.

    Args:
        peak: The highest learning rate.
        epochs: Epoch at which the phase ends.
        cosine: Whether it falls after the rise; else it stays.
        warmup_epochs: Epochs of the rise; at most those of the phase but one.
        first: Epoch at which the phase begins.
    """
    rise = min(warmup_epochs, max(epochs - first - 1, 0))

    def rate(epoch: int, _: float) -> float:
        done = epoch - first
        if done < rise:
            return peak * (done + 1) / (rise + 1)
        share = (done - rise) / (epochs - first - rise) if cosine else 0.0
        return peak * 0.5 * (1 + math.cos(math.pi * share))

    return rate
