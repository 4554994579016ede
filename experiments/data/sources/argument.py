"""The part of a dataset's name behind its colon, where that is a path."""

import os
import re
from pathlib import Path

from experiments.record.layout import expanded

_FOLDER, _CODE = "folder:", "file:"
_GIVEN = "arrays:"  # what was given as `data=`, by its fingerprint
_PATHS = (_FOLDER, "npz:", _CODE)
_ARRAYS = ("npz:", _CODE, _GIVEN)
_LABELS = "?labels="
_FUNCTION = re.compile(r"(?P<path>.+\.py):(?P<name>\w*)", re.DOTALL)


def is_path(dataset: object) -> bool:
    """Whether a dataset is named by a path: it may move, and its content may change."""
    return isinstance(dataset, str) and dataset.startswith(_PATHS)


def is_arrays(dataset: object) -> bool:
    """Whether a dataset is made of arrays, which may be anything."""
    return isinstance(dataset, str) and dataset.startswith(_ARRAYS)


def is_given(dataset: object) -> bool:
    """Whether a dataset was given as arrays in Python."""
    return isinstance(dataset, str) and dataset.startswith(_GIVEN)


def is_code(dataset: object) -> bool:
    """Whether a dataset is made by a user's own code."""
    return isinstance(dataset, str) and dataset.startswith(_CODE)


def split_labels(argument: str) -> tuple[str, str | None]:
    """Splits `photos?labels=labels.csv` into the folder and the file of labels, if one is named."""
    path, mark, labels = argument.partition(_LABELS)
    return path, labels if mark else None


def split_function(argument: str) -> tuple[str, str]:
    """Splits `my_data.py:load` into the file and the name of a function; empty if none is named."""
    found = _FUNCTION.fullmatch(argument)
    return (found["path"], found["name"]) if found else (argument, "")


def labels_file(folder: Path, labels: str, base: Path | None = None) -> Path:
    """Returns the file of labels: in the folder of images, or else from `base` on.

    Args:
        folder: The folder of images.
        labels: What was named.
        base: The current folder if `None`.
    """
    named = expanded(labels)
    inside, beside = folder / named, Path(base or ".") / named
    return beside if not os.path.isfile(inside) and os.path.isfile(beside) else inside


def whole(dataset: str, base: Path | None = None) -> str:
    """Returns the name of a dataset with an absolute path.

    A file of labels in the folder of images stays relative to it, so that both can be moved.

    Args:
        dataset: Its name, for which `is_path` holds.
        base: Base folder of relative paths; the current folder if `None`.
    """
    scheme, _, argument = dataset.partition(":")
    if not argument:
        return dataset
    if dataset.startswith(_CODE):
        path, function = split_function(argument)
        return f"{scheme}:{absolute(path, base)}" + (f":{function}" if function else "")
    if not dataset.startswith(_FOLDER):
        return f"{scheme}:{absolute(argument, base)}"
    path, labels = split_labels(argument)
    path = absolute(path, base)
    if labels is None:
        return f"{scheme}:{path}"
    is_beside = os.path.isfile(labels_file(Path(path), labels, base))
    if is_beside and not os.path.isfile(Path(path) / labels):
        labels = absolute(labels, base)
    return f"{scheme}:{path}{_LABELS}{labels}"


def file_of(dataset: str) -> Path:
    """Returns the file of a dataset that is made by code, for which `is_code` holds."""
    return expanded(split_function(dataset.removeprefix(_CODE))[0])


def absolute(path: str | os.PathLike[str], base: Path | None = None) -> str:
    """Returns an absolute path, from `base` on if it is relative; the current folder if `None`."""
    return os.path.abspath(Path(base or ".") / expanded(path))
