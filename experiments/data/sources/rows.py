"""Arrays that are no images, and targets that are no classes: checked, and kept as they are."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import RawSplit, Row, Wanted
from experiments.record.errors import first_line
from experiments.record.predictions import Targets

_NAMES = "class_names"
_NUMBERS = "uifb"  # kinds of NumPy's types
_MOST = float(np.finfo(np.float32).max)
_MOST_WHOLE = np.iinfo(np.int64).max
Array = npt.NDArray[Any]


class WrongArraysError(ValueError):
    """Arrays that can't be used; says why in one line."""


@dataclass(frozen=True)
class Pair:
    """The arrays of one split, and their names.

    Args:
        x: Name of the inputs.
        y: Name of the targets.
        x_array: Inputs, `(N, ...)`; images are `(N, H, W)` or `(N, H, W, C)`.
        y_array: Targets, `(N, ...)`; labels are `(N,)`, or one-hot `(N, K)`.
    """

    x: str
    y: str
    x_array: Array
    y_array: Array


def as_array(key: str, value: object) -> Array:
    """Returns a value as an array.

    Raises:
        WrongArraysError: It is none of numbers or text.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        why = first_line(error, 150)
        raise WrongArraysError(f"{key!r} is no array of numbers ({why})") from None
    if array.dtype == object and array.size and all(isinstance(one, str) for one in array.flat):
        array = array.astype(str)  # as pandas keeps text
    if array.dtype.hasobject:
        raise WrongArraysError(f"{key!r} holds Python objects: an array of numbers is expected")
    return array


def range_of(key: str, array: Array) -> tuple[float, float]:
    """Returns the lowest and the highest value.

    Raises:
        WrongArraysError: Some are not finite, or would not be as 32-bit floats.
    """
    with np.errstate(invalid="ignore"):
        low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise WrongArraysError(f"{key!r} has values that are NaN or infinite")
    if max(-low, high) > _MOST:
        raise WrongArraysError(
            f"{key!r} has values from {low:g} to {high:g}: expected what 32-bit floats hold, "
            f"-{_MOST:.2g} to {_MOST:.2g}; scale them"
        )
    return low, high


def check_rows(x: str, array: Array) -> None:
    """Checks inputs of any shape.

    Raises:
        WrongArraysError: They are empty, neither numbers nor text, or nothing that float32, int64
            and UTF-8 hold.
    """
    if array.dtype.kind not in f"{_NUMBERS}SU":
        raise WrongArraysError(f"{x!r} has dtype {array.dtype}: expected numbers, or text")
    if array.ndim == 0 or not array.size:
        raise WrongArraysError(
            f"{x!r} is empty (shape {array.shape}): expected rows, (N, ...); or leave it out"
        )
    if array.dtype.kind == "f":
        range_of(x, array)
    if array.dtype.kind == "u" and array.max() > _MOST_WHOLE:
        raise WrongArraysError(
            f"{x!r} has whole numbers up to {array.max()}: expected {_MOST_WHOLE} at most; number "
            "them anew (np.unique(x, return_inverse=True)), or make them floats"
        )
    if array.dtype.kind == "U":
        _encoded(x, array)


def _encoded(x: str, array: Array) -> Array:
    try:
        return np.char.encode(array, "utf-8")
    except UnicodeEncodeError as error:
        raise WrongArraysError(
            f"{x!r} has text that is no Unicode, such as {error.object[:40]!a}: expected no "
            'halves of characters (surrogates); text.encode("utf-8", "replace").decode() mends it'
        ) from None


def inputs_of(pairs: Mapping[str, Pair]) -> dict[str, Array]:
    """Returns the inputs of each split, `(N, ...)`, as float32, whole numbers or UTF-8.

    Raises:
        WrongArraysError: Those of the splits have different shapes or kinds.
    """
    train = pairs["train"]
    for pair in pairs.values():
        _check_alike(train.x, train.x_array, pair.x, pair.x_array)
    return _of_one_type({role: _plain(pair.x, pair.x_array) for role, pair in pairs.items()})


def _check_alike(first: str, one: Array, second: str, other: Array) -> None:
    if one.shape[1:] != other.shape[1:]:
        raise WrongArraysError(
            f"{first!r} has rows of shape {one.shape[1:]}, {second!r} of {other.shape[1:]}: "
            "expected the same"
        )
    if (one.dtype.kind in "SU") != (other.dtype.kind in "SU"):
        raise WrongArraysError(
            f"{first!r} has dtype {one.dtype}, {second!r} {other.dtype}: expected the same kind"
        )


def _plain(x: str, array: Array) -> Array:
    if array.dtype.kind == "U":
        return _encoded(x, array)
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    if array.dtype.kind in "ui" and array.dtype != np.uint8:
        fits = bool(array.min() >= -(2**31) and array.max() < 2**31)
        return array.astype(np.int32 if fits else np.int64, copy=False)
    return array


def _of_one_type(arrays: dict[str, Array]) -> dict[str, Array]:
    common = np.result_type(*arrays.values())
    if common == np.float64:  # of whole numbers and floats
        common = np.dtype(np.float32)
    return {role: array.astype(common, copy=False) for role, array in arrays.items()}


def targets_of(y: Array, wanted: Wanted) -> Targets:
    """Returns what the targets of train are: what the loss is for, or what they look like.

    Args:
        y: Targets, `(N, ...)`.
        wanted: What the space takes.
    """
    if not wanted.arrays or wanted.targets == Targets.CLASSES:
        return Targets.CLASSES
    if wanted.targets == Targets.VALUES:
        return Targets.VALUES
    if y.dtype.kind not in _NUMBERS or not y.size:
        return Targets.CLASSES  # which says what is wrong
    of_bits = y.ndim == 2 and y.shape[1] > 1 and bool(np.isin(y, (0, 1)).all())
    if of_bits and wanted.targets == Targets.LABELS:
        return Targets.LABELS
    if of_bits:
        return Targets.CLASSES if bool((y.sum(axis=1) == 1).all()) else Targets.LABELS
    return Targets.CLASSES if _are_classes(y) else Targets.VALUES


def _are_classes(y: Array) -> bool:
    """Whether targets are whole numbers, each from 0 to the highest."""
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1):
        return False
    there = np.unique(y)
    return bool(len(there) > 1 and (there == np.arange(len(there))).all())


def target_values(pairs: Mapping[str, Pair], targets: Targets) -> dict[str, Array]:
    """Returns the targets of each split, `(N, ...)`, float32.

    Raises:
        WrongArraysError: They are no finite numbers, or no labels of 0 and 1.
    """
    train = pairs["train"]
    for pair in pairs.values():
        if pair.y_array.dtype.kind not in _NUMBERS:
            raise WrongArraysError(
                f"{pair.y!r} has dtype {pair.y_array.dtype}: expected numbers to be predicted"
            )
        _check_alike(train.y, train.y_array, pair.y, pair.y_array)
        if pair.y_array.size:
            range_of(pair.y, pair.y_array)
        if targets == Targets.LABELS and not np.isin(pair.y_array, (0, 1)).all():
            raise WrongArraysError(
                f"{pair.y!r} has values other than 0 and 1: expected rows of labels, as in "
                f"{train.y!r}"
            )
    return {role: pair.y_array.astype(np.float32) for role, pair in pairs.items()}


def class_names_of(value: object) -> tuple[str, ...]:
    """Returns the names in the array `class_names`.

    Raises:
        WrongArraysError: It is none of different texts.
    """
    names = as_array(_NAMES, value)
    if names.ndim != 1 or names.dtype.kind not in "Uui":
        raise WrongArraysError(
            f"{_NAMES!r} has shape {names.shape} and dtype {names.dtype}: expected one text a class"
        )
    texts = tuple(str(n).encode("utf-8", "backslashreplace").decode() for n in names.tolist())
    twice = sorted({text for text in texts if texts.count(text) > 1})
    if twice or not all(texts):
        what = f"{twice[0]!r} twice" if twice else "an empty name"
        raise WrongArraysError(f"{_NAMES!r} has {what}: expected another name for each class")
    return texts


def label_names(value: object, y: Array, targets: Targets) -> tuple[str, ...]:
    """Returns a name for each label; none for values.

    Args:
        value: The array `class_names`, or `None`.
        y: The targets of train.
        targets: What they are.

    Raises:
        WrongArraysError: The names do not fit.
    """
    if targets == Targets.VALUES:
        if value is not None:
            raise WrongArraysError(
                f"there is {_NAMES!r}, but the model's loss is for numbers: leave it out, or "
                "compile with a loss for classes"
            )
        return ()
    names = tuple(map(str, range(y.shape[1]))) if value is None else class_names_of(value)
    if len(names) != y.shape[1]:
        raise WrongArraysError(f"{_NAMES!r} has {len(names)} names for {y.shape[1]} labels")
    return names


def split_of(rows: Array, labels: Array, called: str) -> RawSplit:
    """Returns a split of arrays that are in memory.

    Args:
        rows: Inputs, `(N, ...)`.
        labels: Targets, `(N, ...)`.
        called: The name of the inputs.
    """

    def chosen(indices: npt.NDArray[np.int64]) -> Iterator[Row]:
        return (rows[index : index + 1].reshape(rows.shape[1:]) for index in indices)

    return RawSplit(labels, chosen, called)
