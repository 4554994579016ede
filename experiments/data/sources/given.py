"""Arrays that were given in Python as `data=`, kept in the cache under their fingerprint."""

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from experiments.data.cache_use import INFO, begun, hold_for, publish, touch
from experiments.data.sources.arrays import KNOWN, check_pairs, dataset_of_arrays
from experiments.data.sources.base import Access, RawDataset
from experiments.data.sources.npz import read_npz
from experiments.data.sources.rows import Array, WrongArraysError, as_array
from experiments.record.errors import UserError
from experiments.record.files import sync
from experiments.record.formatting import listed, plural
from experiments.record.reading import DAMAGED_ARRAYS

KIND = "arrays"  # the folder of the cache, and what the names of such datasets begin with
_FILE = "arrays.npz"
_SPLITS = ("train", "val", "test")
_FINGERPRINT = re.compile(r"[0-9a-f]{24}")
_FORMS = (
    "(x, y), ((x_train, y_train), (x_val, y_val)), or a dict of x_train, y_train, and, if you have "
    "them, x_val, y_val, x_test, y_test and class_names"
)


def keep_given(data: object, cache_dir: Path) -> str:
    """Writes arrays into the cache, unless they are there and whole.

    Args:
        data: `(x, y)`; `((x_train, y_train), (x_val, y_val))`, and a third pair for the test; or a
            dict of arrays by the names of an `.npz` file.
        cache_dir: The cache folder.

    Returns:
        The dataset's name, `arrays:<fingerprint>`.

    Raises:
        UserError: It is none of these, or the arrays can't be written.
    """
    try:
        arrays = {name: _own_array(name, value) for name, value in _by_name(data).items()}
        check_pairs(arrays)  # before anything is written
    except WrongArraysError as error:
        raise UserError(f"data: {error}") from None
    fingerprint = _fingerprint(arrays)
    folder = cache_dir / KIND / fingerprint
    if not _is_sound(folder / _FILE):
        try:
            _write(arrays, folder)
        except OSError as error:
            raise UserError(
                f"data: arrays can't be written to {str(folder.parent)!r} "
                f"({error.strerror or error}): choose another cache_dir"
            ) from None
    return f"{KIND}:{fingerprint}"


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens arrays that were kept.

    Args:
        name: The dataset's name.
        argument: Their fingerprint.
        access: Says where the cache is, and what the space takes.

    Raises:
        UserError: They are not there, or are nothing that the space takes.
    """
    cache_dir = access.cache_dir or Path()
    folder = cache_dir / KIND / argument
    if not _FINGERPRINT.fullmatch(argument) or not (folder / _FILE).is_file():
        raise UserError(
            f"dataset {name!r}: these arrays are not in the cache {str(cache_dir)!r}: give them "
            "again, resume_search(study, data=...), or name the cache with --cache-dir"
        )
    touch(folder)
    return dataset_of_arrays(name, read_npz(name, folder / _FILE), wanted=access.wanted)


def hold_given(owner: object, name: str, cache_dir: Path) -> None:
    """Keeps arrays that were given from being pruned as long as `owner` lives.

    Args:
        owner: What needs them.
        name: A dataset's name; nothing is done for one of another kind.
        cache_dir: The cache folder.
    """
    kind, _, argument = name.partition(":")
    if kind == KIND:
        hold_for(owner, cache_dir / KIND / argument)


def _by_name(data: object) -> dict[str, object]:
    if isinstance(data, Mapping):
        unknown = [str(name) for name in data if name not in KNOWN]
        if unknown or not data:
            found = listed(unknown) if unknown else "nothing"
            raise UserError(f"data: the dict has {found}; expected {_FORMS}")
        return dict(data)
    if not isinstance(data, tuple | list) or not 1 <= len(data) <= len(_SPLITS):
        length = f" of {len(data)}" if isinstance(data, tuple | list) else ""
        raise UserError(f"data is a {type(data).__name__}{length}: expected {_FORMS}")
    if all(isinstance(part, tuple) for part in data):
        pairs = list(data)
    elif len(data) == 2 and not any(isinstance(part, tuple) for part in data):
        pairs = [tuple(data)]
    elif any(isinstance(part, tuple) for part in data):
        raise UserError(f"data mixes arrays and pairs of arrays: expected {_FORMS}")
    else:
        raise UserError(f"data has {plural(len(data), 'array')}: expected {_FORMS}")
    named: dict[str, object] = {}
    for split, pair in zip(_SPLITS, pairs, strict=False):
        if len(pair) != 2:
            raise UserError(
                f"data has {plural(len(pair), 'array')} for {split!r}: expected {_FORMS}"
            )
        named |= {f"x_{split}": pair[0], f"y_{split}": pair[1]}
    return named


def _own_array(name: str, value: object) -> Array:
    if isinstance(value, Mapping):
        raise UserError(
            f"data: {name!r} is a dict, as for several inputs or outputs, and a search takes "
            "one of each: take experiments.Tuner in a script of your own"
        )
    if value is None or callable(getattr(value, "element_spec", None)) or _is_batched(value):
        raise UserError(
            f"data: {name!r} is of type {type(value).__name__}: expected an array; for tf.data and "
            "generators take experiments.Tuner in a script of your own"
        )
    array = as_array(name, value)
    if array.ndim == 0:
        raise UserError(f"data: {name!r} is a single {type(value).__name__}: expected an array")
    return array


def _is_batched(value: object) -> bool:
    """Whether a value gives batches, one after another, and is no array."""
    return hasattr(value, "__next__") or hasattr(value, "as_numpy_iterator")


def _fingerprint(arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()[:24]


def _write(arrays: dict[str, Array], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with begun(folder.parent) as temporary:
        with (temporary / _FILE).open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            sync(file.fileno())
        train = arrays.get("x_train", np.zeros((0,)))
        info = {
            "name": "arrays of data=",
            "dataset": folder.name,
            "shape": train.shape[1:],
            "num_images": sum(len(a) for name, a in arrays.items() if name.startswith("x_")),
        }
        (temporary / INFO).write_text(json.dumps(info), encoding="utf-8")
        if not folder.is_dir():
            publish(temporary, folder)
            return
        (temporary / _FILE).replace(folder / _FILE)
        if not (folder / INFO).is_file():  # else another process may hold it
            (temporary / INFO).replace(folder / INFO)


def _is_sound(path: Path) -> bool:
    """Whether a file of arrays can be read and agrees with its checksums; none is loaded."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is None
    except DAMAGED_ARRAYS:
        return False
