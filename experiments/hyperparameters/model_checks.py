"""Checks a user's own model: what it returns, its inputs and outputs, its loss, one batch."""

import re
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.data.prepare import PreparedData
from experiments.data.sources.base import Inputs
from experiments.hyperparameters.model_file import said
from experiments.hyperparameters.model_graph import (
    Shape,
    build_on_zeros,
    input_shape,
    is_functional,
    last_activation,
    output_shape,
)
from experiments.record.errors import UserError
from experiments.record.predictions import Targets

_SPARSE = "sparse_categorical_crossentropy"
_BINARY = "binary_crossentropy"
# losses of which the labels or outputs are others than those of a classification
_ONE_HOT = ("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence",
            "kullback_leibler_divergence", "categorical_hinge")  # fmt: skip
_OF_ONE_UNIT = (_BINARY, "binary_focal_crossentropy")
_OF_NUMBERS = ("mse", "mean_squared_error", "mae", "mean_absolute_error", "huber", "log_cosh",
               "mean_squared_logarithmic_error", "mean_absolute_percentage_error", "poisson",
               "mape", "msle", "cosine_similarity", "log_cosh_error", "logcosh")  # fmt: skip
_ONE = "a search takes one of each; for more take experiments.Tuner in a script of your own"
_SUM_TOLERANCE = 0.02  # of probabilities in half precision


def settle(model: Any, label: str, shape: Sequence[int | None]) -> keras.Model:
    """Returns what a user's function built, with its weights made.

    Args:
        model: What it returned.
        label: What the function is called.
        shape: Shape of a row, such as `(height, width, channels)`, for a model that leaves it open.

    Raises:
        UserError: It is no compiled Keras model with one input and one output.
    """
    check_model(model, label)
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    if not is_functional(model):
        given = build_on_zeros(model, shape)
        if not hasattr(given, "shape"):
            raise UserError(
                f"{label} returns a {type(model).__name__} with several outputs: {_ONE}"
            )
    return model


def check_model(model: Any, label: str) -> None:
    """Checks what a user's function returned, before its weights are made.

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
    for name in ("input", "output"):
        tensors = getattr(model, f"{name}s", None) or ()
        if len(tensors) > 1:
            raise UserError(f"{label} returns a model with {len(tensors)} {name}s: {_ONE}")


def targets_for(model: keras.Model) -> Targets | None:
    """Returns what a compiled model's loss is for; `None` where it does not tell."""
    name = _name_of(_only(model.loss))
    if name in _OF_NUMBERS:
        return Targets.VALUES
    if name in (_SPARSE, *_ONE_HOT):
        return Targets.CLASSES
    if name not in _OF_ONE_UNIT:
        return None
    is_one = bool(getattr(model, "outputs", None)) and output_shape(model) == (1,)
    return Targets.CLASSES if is_one else Targets.LABELS


def check_inputs(model: keras.Model, label: str) -> None:
    """Checks that the model takes images.

    Raises:
        UserError: It takes something else.
    """
    shape = input_shape(model)
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


def check_fits(model: keras.Model, label: str, data: PreparedData) -> None:
    """Checks input and outputs of a model against a dataset.

    Raises:
        UserError: They do not fit.
    """
    takes = input_shape(model)
    if data.inputs == Inputs.IMAGES and not _alike(takes, data.shape):
        raise UserError(
            f"{label}: the model takes images of {_by(takes)}, it is given {_by(data.shape)}: use "
            "the parameter input_shape in keras.Input, or leave that parameter out"
        )
    if data.inputs == Inputs.ARRAYS and not _takes_rows(takes, data.shape):
        raise UserError(
            f"{label}: the model takes rows of shape {takes}, those of x_train have {data.shape}: "
            f"make it keras.Input({data.shape}), or take the shape as a parameter: "
            "build_model(hp, input_shape)"
        )
    if data.targets == Targets.CLASSES:
        _check_classes(model, label, len(data.class_names))
    elif data.targets == Targets.LABELS and output_shape(model) != data.target_shape:
        raise UserError(
            f"{label}: the model gives outputs of shape {output_shape(model)}, y_train has "
            f"{data.num_outputs} labels a row: make the last layer "
            f'Dense({data.num_outputs}, activation="sigmoid")'
        )
    elif data.targets == Targets.VALUES and not _takes_rows(output_shape(model), data.target_shape):
        raise UserError(
            f"{label}: the model gives outputs of shape {output_shape(model)}, the targets in "
            f"y_train have {data.target_shape}: make the last layer Dense({data.num_outputs})"
        )


def _alike(one: Shape, other: Shape) -> bool:
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(a in (None, b) for a, b in pairs)


def _takes_rows(own: Shape, given: Shape) -> bool:
    """Whether shapes are alike, but for a last axis of 1, which Keras adds or drops."""
    return any(_alike(a, b) for a, b in ((own, given), (own, (*given, 1)), ((*own, 1), given)))


def _check_classes(model: keras.Model, label: str, classes: int) -> None:
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
    shape = output_shape(model)
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


def _check_one_loss(model: keras.Model, label: str) -> None:
    own_step = type(model).train_step is not keras.Model.train_step
    own_loss = type(model).compute_loss is not keras.Model.compute_loss
    if model.loss is None and not own_step and not own_loss and not model.losses:
        raise UserError(f'{label} is compiled without a loss: compile with loss="{_SPARSE}", say')
    if isinstance(model.loss, dict):
        raise UserError(
            f"{label}: its loss is a dict, and the model has one output: compile with "
            f"loss={next(iter(model.loss.values()), _SPARSE)!r}"
        )


def _check_logits(model: keras.Model, label: str, loss: Any, units: int) -> None:
    if getattr(loss, "from_logits", False) or last_activation(model) is keras.activations.linear:
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


def tried(model: keras.Model, label: str, rows: npt.NDArray[Any], labels: npt.NDArray[Any],
          path: Any = None, targets: Targets = Targets.CLASSES) -> tuple[str, ...]:  # fmt: skip
    """Trains an untrained model on one batch; returns the names of what it reports.

    Args:
        model: A compiled model, which is changed.
        label: What built it.
        rows: Images, `(batch, height, width, channels)`, uint8; or other rows, `(batch, ...)`.
        labels: `(batch,)`, int64; of other targets float32, `(batch, ...)`.
        path: The user's file.
        targets: What is predicted.

    Raises:
        UserError: It can't be trained, or its outputs are not what they should be.
    """
    _check_one_loss(model, label)
    if targets == Targets.CLASSES:
        check_loss(model, label)
    try:
        outputs = np.asarray(model.predict_on_batch(rows), dtype=np.float64)
        _check_outputs(outputs, label, targets)
        logs = model.train_on_batch(rows, labels, return_dict=True)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(_untrainable(label, rows, labels, targets, said(error, path))) from error
    if targets == Targets.CLASSES and "categorical_accuracy" in logs:
        raise UserError(
            f"{label}: metric 'categorical_accuracy' is for one-hot labels, these are class "
            'numbers: compile with metrics=["accuracy"]'
        )
    return tuple(logs)


def _untrainable(
    label: str, rows: npt.NDArray[Any], labels: npt.NDArray[Any], targets: Targets, error: str
) -> str:
    kind = "images" if rows.dtype == np.uint8 and rows.ndim == 4 else "rows"
    if targets == Targets.CLASSES:
        return (
            f"{label}: the model can't be trained on {kind}, {rows.shape}, and labels, "
            f"{labels.shape} class numbers: {error}; loss and metrics should take "
            'class numbers, as "accuracy" does'
        )
    return (
        f"{label}: the model can't be trained on {kind}, {rows.shape}, and targets, "
        f"{labels.shape}: {error}; loss and metrics should take such targets"
    )


def _check_outputs(outputs: npt.NDArray[np.float64], label: str, targets: Targets) -> None:
    if not np.isfinite(outputs).all():
        raise UserError(
            f"{label}: untrained, the model gives NaN or infinity: images have values 0 to 255; "
            "begin with keras.layers.Rescaling(1 / 255), or with Normalization for other numbers"
        )
    if targets == Targets.VALUES:
        return
    inside = bool((outputs >= 0).all() and (outputs <= 1 + _SUM_TOLERANCE).all())
    sums, units = outputs.sum(axis=1), outputs.shape[1]
    is_one = units == 1 or targets == Targets.LABELS
    is_whole = is_one or bool(np.abs(sums - 1).max() <= _SUM_TOLERANCE)
    if not (inside and is_whole):
        layer = f'Dense({units}, activation="{"sigmoid" if is_one else "softmax"}")'
        raise UserError(
            f"{label}: the model's outputs are no probabilities (from {outputs.min():.3g} to "
            f"{outputs.max():.3g}, sums of rows up to {sums.max():.3g}): end it with {layer}"
        )


_SCALING = ("Rescaling", "Normalization", "BatchNormalization", "Lambda")


def lacks_scaling(model: keras.Model) -> bool:
    """Whether no layer of a model, all of which are Keras' own, brings pixels to another range."""
    if not is_functional(model) or not any(w.trainable for w in model.variables):
        return False
    layers = model.layers
    are_keras = all(type(layer).__module__.startswith("keras.") for layer in layers)
    has_inner = any(hasattr(layer, "layers") for layer in layers)
    return are_keras and not has_inner and not {type(x).__name__ for x in layers} & {*_SCALING}
