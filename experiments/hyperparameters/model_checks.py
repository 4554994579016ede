"""Checks a user's own model: what it returns, its inputs and outputs, its loss, one batch."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.hyperparameters.model_file import said
from experiments.record.errors import UserError

_SPARSE = "sparse_categorical_crossentropy"
_BINARY = "binary_crossentropy"
# losses of which the labels or outputs are others than those of a classification
_ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence",
            "kullback_leibler_divergence", "categorical_hinge")  # fmt: skip
_OF_ONE_UNIT = (_BINARY, "binary_focal_crossentropy")
_OF_NUMBERS = ("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh",
               "mean_squared_logarithmic_error", "mean_absolute_percentage_error", "poisson",
               "mape", "msle")  # fmt: skip
_SUM_TOLERANCE = 0.02  # of probabilities in half precision


def settle(model: Any, label: str, shape: Sequence[int | None]) -> keras.Model:
    """Returns what a user's function built, with its input shape known.

    Args:
        model: What it returned.
        label: What the function is called.
        shape: `(height, width, channels)` of the images, for a model that leaves them open.

    Raises:
        UserError: It is no compiled Keras model with one input and one output.
    """
    if model is None:
        raise UserError(f"{label} returns nothing: end it with `return model`")
    if not isinstance(model, keras.Model):
        raise UserError(
            f"{label} returns a {type(model).__name__}: it should return a compiled keras.Model"
        )
    if not model.compiled:
        raise UserError(
            f"{label} returns a model that is not compiled: call model.compile(optimizer=..., "
            f'loss="{_SPARSE}", metrics=["accuracy"]) before `return model`'
        )
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    if not getattr(model, "inputs", None):
        raise UserError(
            f"{label} returns a {type(model).__name__} whose input shape is not known: make it "
            "with keras.Model(inputs, outputs) or keras.Sequential"
        )
    for name, tensors in (("input", model.inputs), ("output", model.outputs)):
        if len(tensors) != 1:
            raise UserError(
                f"{label} returns a model with {len(tensors)} {name}s: a search on images takes "
                f"one {name}"
            )
    return model


def check_inputs(model: keras.Model, label: str) -> None:
    """Checks that the model takes images.

    Raises:
        UserError: It takes something else.
    """
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3:
        raise UserError(
            f"{label}: the model takes inputs of shape {shape}, images are (height, width, "
            "channels): give it keras.Input((64, 64, 3)), and for dense layers keras.layers."
            "Flatten() next"
        )
    if shape[2] not in (None, 1, 3):
        raise UserError(
            f"{label}: the model takes images of {shape[2]} channels, {shape}: they have 1 (grey) "
            "or 3 (colour), last"
        )


def check_fits(model: keras.Model, label: str, shape: tuple[int, ...], classes: int) -> None:
    """Checks input and outputs of a model against the images and classes of a dataset.

    Raises:
        UserError: They do not fit.
    """
    takes = tuple(model.inputs[0].shape[1:])
    if any(own not in (None, given) for own, given in zip(takes, shape, strict=True)):
        raise UserError(
            f"{label}: the model takes images of {_by(takes)}, it is given {_by(shape)}: use the "
            "parameter input_shape in keras.Input, or leave that parameter out"
        )
    units = _units(model, label)
    if units == classes or (units == 1 and classes == 2):
        return
    wanted = 'Dense(1, activation="sigmoid")' if classes == 2 else ""
    softmax = f'Dense({classes}, activation="softmax")'
    raise UserError(
        f"{label}: the model has {units} output{'s' * (units != 1)}, the dataset {classes} "
        f"classes: make the last layer {wanted}{' or ' * bool(wanted)}{softmax}, or take the "
        "number as a parameter: build_model(hp, num_classes)"
    )


def _by(shape: Sequence[int | None]) -> str:
    return "x".join("any" if size is None else str(size) for size in shape)


def _units(model: keras.Model, label: str) -> int:
    shape = tuple(model.outputs[0].shape[1:])
    if len(shape) != 1 or shape[0] is None:
        raise UserError(
            f"{label}: the model gives outputs of shape {shape}: end it with keras.layers."
            "Flatten() or GlobalAveragePooling2D(), and a Dense layer with a unit for each class"
        )
    return int(shape[0])


def check_loss(model: keras.Model, label: str) -> None:
    """Checks the loss against the outputs and labels, which are class numbers `(batch,)`.

    A loss of the user's own is taken as it is.

    Raises:
        UserError: They do not fit.
    """
    units, loss = _units(model, label), _only(model.loss)
    name = _name_of(loss)
    fits = f'loss="{_BINARY if units == 1 else _SPARSE}"'
    if name in _ONE_HOT or (units == 1 and name == _SPARSE):
        why = "one output is a probability of the second class" if units == 1 else (
            "labels are class numbers, not one-hot")  # fmt: skip
    elif units > 1 and name in _OF_ONE_UNIT:
        why = f"it is for one sigmoid unit, and the model has {units} outputs"
    elif name in _OF_NUMBERS:
        why = "it is for numbers, not for classes"
    else:
        _check_logits(model, label, loss, units)
        return
    raise UserError(f"{label}: loss {name!r} does not fit: {why}; compile with {fits}")


def _check_logits(model: keras.Model, label: str, loss: Any, units: int) -> None:
    is_linear = getattr(model.layers[-1], "activation", None) is keras.activations.linear
    if getattr(loss, "from_logits", False) or is_linear:
        activation = "sigmoid" if units == 1 else "softmax"
        raise UserError(
            f"{label}: the model gives logits, the report needs probabilities: give the last layer "
            f'activation="{activation}", and leave from_logits out of the loss'
        )


def _only(loss: Any) -> Any:
    """Returns the loss of a model with one output."""
    if isinstance(loss, dict):
        loss = list(loss.values())
    return loss[0] if isinstance(loss, list | tuple) and len(loss) == 1 else loss


def _name_of(loss: Any) -> str:
    own = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", own).lower()


def tried(model: keras.Model, label: str, images: npt.NDArray[Any], labels: npt.NDArray[Any],
          path: Any = None) -> tuple[str, ...]:  # fmt: skip
    """Trains an untrained model on one batch; returns the names of what it reports.

    Args:
        model: A compiled model, which is changed.
        label: What built it.
        images: `(batch, height, width, channels)`, uint8.
        labels: `(batch,)`, int64.
        path: The user's file.

    Raises:
        UserError: It can't be trained, or its outputs are no probabilities.
    """
    check_loss(model, label)
    try:
        outputs = np.asarray(model.predict_on_batch(images), dtype=np.float64)
        _check_outputs(outputs, label)
        logs = model.train_on_batch(images, labels, return_dict=True)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{label}: the model can't be trained on images, {images.shape}, and labels, "
            f"{labels.shape} class numbers: {said(error, path)}; loss and metrics should take "
            'class numbers, as "accuracy" does'
        ) from error
    if "categorical_accuracy" in logs:
        raise UserError(
            f"{label}: metric 'categorical_accuracy' is for one-hot labels, these are class "
            'numbers: compile with metrics=["accuracy"]'
        )
    return tuple(logs)


def _check_outputs(outputs: npt.NDArray[np.float64], label: str) -> None:
    if not np.isfinite(outputs).all():
        raise UserError(
            f"{label}: untrained, the model gives NaN or infinity: images have values 0 to 255; "
            "begin with keras.layers.Rescaling(1 / 255)"
        )
    inside = bool((outputs >= 0).all() and (outputs <= 1 + _SUM_TOLERANCE).all())
    sums = outputs.sum(axis=1)
    is_whole = outputs.shape[1] == 1 or bool(np.abs(sums - 1).max() <= _SUM_TOLERANCE)
    if not (inside and is_whole):
        units = outputs.shape[1]
        layer = 'Dense(1, activation="sigmoid")' if units == 1 else (
            f'Dense({units}, activation="softmax")')  # fmt: skip
        raise UserError(
            f"{label}: the model's outputs are no probabilities (from {outputs.min():.3g} to "
            f"{outputs.max():.3g}, sums of rows up to {sums.max():.3g}): end it with {layer}"
        )
