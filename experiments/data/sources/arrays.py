"""Arrays by name as a dataset: images are brought to 0..255 and labels to class numbers.

A space of the suite takes images and their classes. A model of one's own takes anything else, too,
as it is (`rows.py`).

Arrays are known by name: `x_train` and `y_train`, and, if there are such, `x_validation` (or
`x_val`) and `x_test` with their labels, and `class_names`.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import IMAGES_ALONE, Inputs, RawDataset, Wanted
from experiments.data.sources.rows import (
    Array,
    Pair,
    WrongArraysError,
    as_array,
    check_rows,
    class_names_of,
    inputs_of,
    label_names,
    range_of,
    split_of,
    target_values,
    targets_of,
)
from experiments.record.errors import UserError
from experiments.record.formatting import listed
from experiments.record.predictions import Targets

_ENDINGS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_NAMES = "class_names"
KNOWN = frozenset({_NAMES, *(f"{a}_{e}" for a in "xy" for ends in _ENDINGS.values() for e in ends)})
_WHITE = 255
_ROUNDING = 1e-6  # by which a float may be above 1 or below 0
_DARK = 16  # floats with fractions that end here, at the latest, are hardly images of 0 to 255
_AT_ONCE = 1024  # images
_MOST_CLASSES = 1_000_000
_CHANNELS = (1, 3, 4)
_OWN = "search a model of your own, FILE.py"
_LOSS = f'{_OWN}, whose loss is for numbers, as "mse" is'
_IMAGES = "images of shape (N, H, W) or (N, H, W, C), C being 1, 3 or 4, are expected"


def dataset_of_arrays(
    name: str,
    arrays: Mapping[str, object],
    notes: Sequence[str] = (),
    wanted: Wanted = IMAGES_ALONE,
) -> RawDataset:
    """Makes a dataset of arrays by name; what holds the same pixels and labels is the same.

    Args:
        name: The dataset's name.
        arrays: Array, or what NumPy makes one of, by name. What is not in `KNOWN` is not used.
        notes: What is to be said of it, a line each.
        wanted: What the space takes.

    Raises:
        UserError: They are nothing that the space takes.
    """
    try:
        return _dataset(name, arrays, notes, wanted)
    except WrongArraysError as error:
        raise UserError(f"dataset {name!r}: {error}") from None


def check_pairs(arrays: Mapping[str, object]) -> None:
    """Checks what no space takes: a missing partner, other numbers of rows, no rows.

    Raises:
        WrongArraysError: It is so.
    """
    _pairs(arrays, Wanted(arrays=True, targets=None))


def _dataset(
    name: str, arrays: Mapping[str, object], notes: Sequence[str], wanted: Wanted
) -> RawDataset:
    pairs = _pairs(arrays, wanted)
    inputs = _inputs(pairs, wanted)
    said = [*notes]
    if inputs == Inputs.IMAGES:
        _check_channels(pairs)
        scale = _scale(pairs)
        rows = {role: _pixels(pair.x_array, scale) for role, pair in pairs.items()}
        if scale != 1:
            said.append(f"images of 0 to 1 were scaled to 0 to {_WHITE}")
    else:
        rows = inputs_of(pairs)
    targets = targets_of(pairs["train"].y_array, wanted)
    if targets == Targets.CLASSES:
        classes = _Classes(arrays.get(_NAMES))
        labels = {role: classes.numbers(pair) for role, pair in pairs.items()}
        class_names = classes.names(labels["train"], pairs["train"].y)
        for role, pair in pairs.items():
            _check_known(pair.y, labels[role], pairs["train"].y, len(class_names))
    else:
        labels = target_values(pairs, targets)
        class_names = label_names(arrays.get(_NAMES), labels["train"], targets)
    unused = sorted(str(key) for key in arrays if key not in KNOWN)
    if unused:
        said.append(f"arrays that are not used: {listed(unused)}")
    splits = {role: split_of(rows[role], labels[role], pair.x) for role, pair in pairs.items()}
    is_image = inputs == Inputs.IMAGES
    shape = rows["train"].shape[1:]
    return RawDataset(
        name=name,
        identity=f"{_kind(inputs, targets)}/{_digest(rows, labels, class_names)}",
        class_names=class_names,
        channels=0 if not is_image else 1 if shape[-1] == 1 else 3,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        notes=tuple(said),
        inputs=inputs,
        targets=targets,
        shape=() if is_image else shape,
    )


def _inputs(pairs: Mapping[str, Pair], wanted: Wanted) -> Inputs:
    """Returns `IMAGES` for what a space that takes images alone gets, and else for 8-bit images."""
    if not wanted.arrays:
        return Inputs.IMAGES
    are_images = all(_is_8_bit(pair.x_array) for pair in pairs.values())
    return Inputs.IMAGES if wanted.images and are_images else Inputs.ARRAYS


def _is_8_bit(array: Array) -> bool:
    """Whether an array can only be meant as images."""
    has_shape = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in _CHANNELS)
    return has_shape and array.dtype == np.uint8


def _kind(inputs: Inputs, targets: Targets) -> str:
    usual = inputs == Inputs.IMAGES and targets == Targets.CLASSES
    return "arrays" if usual else f"arrays-{inputs}-{targets}"


def _pairs(arrays: Mapping[str, object], wanted: Wanted) -> dict[str, Pair]:
    """Returns the arrays of each role that has some."""
    pairs = {}
    for role, endings in _ENDINGS.items():
        given = [e for e in endings if f"x_{e}" in arrays or f"y_{e}" in arrays]
        if len(given) > 1:
            raise WrongArraysError(
                f"there are arrays for {given[0]!r} and for {given[1]!r}, which mean the same: "
                "leave one of them out"
            )
        if given:
            pairs[role] = _pair(arrays, given[0], wanted)
    several = sorted(str(name) for name in arrays if str(name).startswith(("x_train.", "x_train_")))
    if "train" not in pairs and several:
        raise WrongArraysError(
            f"there are {listed(several)}, as for several inputs, and a search takes one, "
            "'x_train': for more take experiments.Tuner in a script of your own"
        )
    if "train" not in pairs:
        raise WrongArraysError(
            "there is no array 'x_train': expected x_train and y_train (and x_val, y_val, x_test, "
            f"y_test, class_names if you have them); there are {listed(_texts(arrays)) or 'none'}"
        )
    return pairs


def _check_channels(pairs: Mapping[str, Pair]) -> None:
    channels = {pair.x: _with_channels(pair.x_array).shape[-1] for pair in pairs.values()}
    if len(set(channels.values())) > 1:
        found = listed([f"{x} has {count}" for x, count in channels.items()])
        raise WrongArraysError(f"images have different numbers of channels: {found}")


def _texts(arrays: Mapping[str, object]) -> list[str]:
    return sorted(map(str, arrays))


def _pair(arrays: Mapping[str, object], ending: str, wanted: Wanted) -> Pair:
    x, y = f"x_{ending}", f"y_{ending}"
    for there, missing in ((x, y), (y, x)):
        if missing not in arrays:
            raise WrongArraysError(
                f"there is {there!r} but no array {missing!r}; there are {listed(_texts(arrays))}"
            )
    images, labels = (as_array(key, arrays[key]) for key in (x, y))
    (check_rows if wanted.arrays else _check_images)(x, images)
    if labels.ndim == 0 or len(images) != len(labels):
        count = "one number" if labels.ndim == 0 else f"{len(labels):,} labels"
        raise WrongArraysError(
            f"{x!r} has {len(images):,} images and {y!r} has {count}: expected one label an image"
            if not wanted.arrays
            else f"{x!r} has {len(images):,} rows and {y!r} has {count}: expected one a row"
        )
    return Pair(x, y, images, labels)


def _check_images(x: str, images: Array) -> None:
    if images.dtype.kind not in "uifb":
        raise WrongArraysError(f"{x!r} has dtype {images.dtype}: expected uint8 or float")
    if images.ndim not in (3, 4):
        raise WrongArraysError(
            f"{x!r} has shape {images.shape}: {_IMAGES}; for tables, series and other inputs {_OWN}"
        )
    if images.ndim == 4 and images.shape[-1] not in _CHANNELS:
        first = images.shape[1] in _CHANNELS
        mend = "; put channels last: np.moveaxis(x, 1, -1)" if first else ""
        raise WrongArraysError(f"{x!r} has shape {images.shape}: {_IMAGES}{mend}")
    if not images.size:
        raise WrongArraysError(
            f"{x!r} is empty (shape {images.shape}): give it images, or leave it out"
        )


def _with_channels(images: Array) -> Array:
    return images[..., None] if images.ndim == 3 else images


def _scale(pairs: Mapping[str, Pair]) -> float:
    """Returns what brings pixels to 0..255: 255 if all are floats (or booleans) of 0..1, else 1."""
    of_one = {}
    for pair in pairs.values():
        array, kind = pair.x_array, pair.x_array.dtype.kind
        low, high = range_of(pair.x, array)
        values, expected = f"values from {low:g} to {high:g}", f"0 to {_WHITE}, or 0 to 1 as floats"
        if low < -_ROUNDING or high > _WHITE + _ROUNDING:
            raise WrongArraysError(f"{pair.x!r} has {values}: expected {expected}")
        is_one = kind == "b" or (kind == "f" and high <= 1 + _ROUNDING)
        if kind == "f" and not is_one and high <= _DARK and (array != np.rint(array)).any():
            raise WrongArraysError(
                f"{pair.x!r} has {values}, not all whole: expected {expected}; scale all, "
                f"x / x.max(); if these are of 0 to {_WHITE} and that dark, round them, np.rint(x)"
            )
        of_one[pair.x] = is_one
    if len(set(of_one.values())) > 1:
        small = listed([x for x, is_one in of_one.items() if is_one])
        large = listed([x for x, is_one in of_one.items() if not is_one])
        raise WrongArraysError(
            f"values of {small} are from 0 to 1, those of {large} from 0 to {_WHITE}: bring all to "
            "the same range"
        )
    return _WHITE if all(of_one.values()) else 1


def _pixels(images: Array, scale: float) -> npt.NDArray[np.uint8]:
    """Returns `(N, H, W, C)`, uint8, 0..255."""
    images = _with_channels(images)
    if images.dtype == np.uint8:
        return images
    pixels = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _AT_ONCE):
        chosen = slice(start, start + _AT_ONCE)
        scaled = images[chosen].astype(np.float32) * np.float32(scale)
        pixels[chosen] = np.rint(np.clip(scaled, 0, _WHITE))
    return pixels


def _check_known(y: str, labels: npt.NDArray[np.int64], train: str, count: int) -> None:
    highest = int(labels.max(initial=0))
    if highest >= count:
        raise WrongArraysError(
            f"{y!r} has the label {highest}, and the highest of {train!r} is {count - 1}: expected "
            "classes that there are images of to train on"
        )


class _Classes:
    """Numbers and names of the classes.

    Args:
        names: The array `class_names`; `None` if there is none.
    """

    def __init__(self, names: object) -> None:
        self._names = None if names is None else class_names_of(names)
        self._count, self._counted = 0, ""  # as one-hot labels or names have it, and which
        if self._names is not None:
            self._count, self._counted = len(self._names), _NAMES

    def numbers(self, pair: Pair) -> npt.NDArray[np.int64]:
        """Returns the labels of a split as `(N,)`, 0 to one less than the number of classes."""
        labels = pair.y_array
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.dtype.kind not in "uifb":
            raise WrongArraysError(
                f"{pair.y!r} has dtype {labels.dtype}: expected whole numbers, 0 for the first "
                "class, or one-hot rows; of names, np.unique(y, return_inverse=True) makes "
                "'class_names' and numbers"
            )
        if labels.ndim > 2:
            raise WrongArraysError(
                f"{pair.y!r} has shape {labels.shape}: expected (N,) or one-hot (N, K)"
            )
        low, high = range_of(pair.y, labels) if labels.size else (0, 0)
        if labels.ndim == 2:
            return self._of_one_hot(pair.y, labels)
        _check_numbers(pair.y, labels, low, high)
        if self._counted and high >= self._count:
            raise WrongArraysError(
                f"{pair.y!r} has the label {high:g}, but {self._counted!r} has {self._count} "
                f"classes: expected labels from 0 to {self._count - 1}"
            )
        return labels.astype(np.int64)

    def _of_one_hot(self, y: str, labels: Array) -> npt.NDArray[np.int64]:
        hot = (labels == 1).sum(axis=1) == 1
        wrong = np.flatnonzero(~hot | ((labels != 0).sum(axis=1) != 1))
        if len(wrong):
            row = ", ".join(f"{value:g}" for value in labels[wrong[0]].astype(float)[:5])
            more = ", ..." if labels.shape[1] > 5 else ""
            raise WrongArraysError(
                f"{y!r} has shape {labels.shape}, but row {wrong[0]} is not one-hot "
                f"({row}{more}): for several labels an image, and for regression, {_OWN}"
            )
        if self._counted and labels.shape[1] != self._count:
            raise WrongArraysError(
                f"{y!r} is one-hot for {labels.shape[1]} classes, but {self._counted!r} has "
                f"{self._count}"
            )
        self._count, self._counted = labels.shape[1], self._counted or y
        numbers: npt.NDArray[np.int64] = labels.argmax(axis=1).astype(np.int64)
        return numbers

    def names(self, train: npt.NDArray[np.int64], y: str) -> tuple[str, ...]:
        """Returns a name for each class: the given one, or else its number.

        Args:
            train: Labels of train, in which every class has to be.
            y: What they are called.
        """
        there = set(np.unique(train).tolist())
        if len(there) == 1:
            raise WrongArraysError(
                f"{y!r} has one class only ({min(there)}): a classification needs at least 2"
            )
        count = self._count or max(there) + 1
        if len(there) < count:
            missing = next(number for number in range(count) if number not in there)
            lacking = count - len(there)
            also = f", nor of {lacking - 1:,} more" if lacking > 1 else ""
            raise WrongArraysError(
                f"{y!r} has no image of class {missing}{also}: classes are numbered from 0 to "
                f"{count - 1:,}, and each needs images to train on (are these labels, not values "
                "to be predicted?)"
            )
        return self._names or tuple(str(number) for number in range(count))


def _check_numbers(y: str, labels: Array, low: float, high: float) -> None:
    if labels.dtype.kind == "f":
        broken = labels[labels != np.rint(labels)]
        if len(broken):
            raise WrongArraysError(
                f"{y!r} has labels that are not whole, such as {float(broken[0]):g}: expected "
                f"numbers of classes; for regression {_LOSS}"
            )
    if low < 0:
        raise WrongArraysError(
            f"{y!r} has negative labels, such as {low:g}: expected 0 for the first class"
        )
    if high >= _MOST_CLASSES:
        raise WrongArraysError(
            f"{y!r} has labels up to {high:,.0f}: expected numbers of classes, from 0 on; "
            f"for regression {_LOSS}"
        )


def _digest(
    rows: Mapping[str, Array],
    labels: Mapping[str, Array],
    class_names: Sequence[str],
) -> str:
    digest = hashlib.sha256("\0".join(class_names).encode())
    for role, images in rows.items():
        kind = "" if images.dtype == np.uint8 else images.dtype.str
        digest.update(f"\0{role}\0{images.shape}\0{kind}".encode())
        for start in range(0, len(images), _AT_ONCE):
            digest.update(np.ascontiguousarray(images[start : start + _AT_ONCE]).tobytes())
        digest.update(labels[role].tobytes())
    return digest.hexdigest()[:32]
