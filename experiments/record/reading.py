"""Reads files from untrusted sources: an unexpected value counts as missing and never crashes."""

import json
import math
import re
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.record.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

LARGEST = 1e30  # beyond it a metric is no measurement, and figures would overflow
# What reading a damaged `.npz` raises: `zipfile` of another compression, version or a password,
# `zlib` of its bytes, and `numpy` of the header of an array.
DAMAGED_ARRAYS = (
    *(OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, RuntimeError),
    *(SyntaxError, NotImplementedError, zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)
_MOST_BYTES = 256_000_000
_MOST_TEXT = 300
# Controls, which no page can hold, and marks that change the direction of the text around them.
_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: It is missing, no JSON, nested too deeply, or larger than 256 MB.
    """
    try:
        if not path.is_file():
            raise OSError("it is no file")
        if path.stat().st_size > _MOST_BYTES:
            raise OSError(f"it is larger than {_MOST_BYTES // 1_000_000} MB")
        text = path.read_text(encoding="utf-8")
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ValueError(_why(text) or str(error)) from None
        return _mend(data) if _SURROGATE.search(text) else data
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UserError(
            f"{str(path)!r} can't be read: {reason}; restore it from a copy, or remove the study"
        ) from None


def read_dict(path: Path) -> dict[str, Any]:
    """Reads a JSON object; it is empty where there is none, or none that can be read."""
    try:
        return as_dict(read_json(path))
    except UserError:
        return {}


def _why(text: str) -> str:
    """Describes a file that is not JSON, if it is of a kind known from repositories."""
    if not text.strip():
        return "it is empty"
    if text.startswith("version https://git-lfs"):
        return "it is a pointer of Git LFS (fetch the file itself: git lfs pull)"
    if text.startswith("<<<<<<< ") or "\n<<<<<<< " in text:
        return "it has an unresolved merge conflict of Git"
    return ""


def _mend(data: object) -> Any:
    """Replaces halves of characters, which no file can hold."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode("utf-8")
    if isinstance(data, list):
        return [_mend(item) for item in data]
    if isinstance(data, dict):
        return {_mend(key): _mend(value) for key, value in data.items()}
    return data


def read_arrays(path: Path) -> "dict[str, npt.NDArray[Any]]":
    """Reads the arrays of an `.npz` file; pickles are refused.

    Raises:
        UserError: It can't be read, or its arrays are larger than 256 MB.
    """
    import numpy as np  # only where arrays are read: `status` reads none

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise ValueError(f"its arrays are larger than {_MOST_BYTES // 1_000_000} MB")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        # A member without the mark of an array is given as bytes.
        if strange := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
            raise ValueError(f"{clean(strange[0], 40)} in it is no array")
        return arrays
    except DAMAGED_ARRAYS as error:
        raise UserError(f"{str(path)!r} can't be read: {clean(str(error))}") from None


def as_number(value: Any) -> float:
    """Returns `value` as a float; NaN where it is none, infinite, or beyond 1e30."""
    if value is None or isinstance(value, bool):
        return math.nan
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return result if abs(result) <= LARGEST else math.nan


def measured(value: float | str | None) -> float:
    """Returns a number of a checked record: NaN and infinities are texts there, or null."""
    if value is None:
        return math.nan
    return float(value) if isinstance(value, str) else value


def clean(value: object, limit: int = _MOST_TEXT) -> str:
    """Returns `value` as text that any page can hold, shortened in the middle."""
    text = _UNPRINTABLE.sub("\ufffd", value if isinstance(value, str) else repr(value))
    if len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    return text


def dig(record: object, *keys: str) -> Any:
    """Returns what lies under `keys` in nested dicts, or `None`."""
    for key in keys:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def as_dict(value: object) -> dict[str, Any]:
    """Returns `value` if it is a dict, else an empty one."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[dict[str, Any]]:
    """Returns the dicts of `value` if it is a list, else none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def native(value: Any) -> Any:
    """Returns a NumPy scalar as a plain Python value; others as they are."""
    return value.item() if hasattr(value, "item") else value


def declared(hyperparameter: dict[str, Any], value: Any) -> Any:
    """Returns a value as its hyperparameter has it: a column with gaps holds integers as floats."""
    if hyperparameter.get("kind") == "Int":
        return int(value)
    choices = hyperparameter.get("values")
    known = choices if isinstance(choices, list) else []
    return next((native(c) for c in known if c == value), native(value))


def scalar(value: object) -> Any:
    """Returns a hyperparameter's value: a plain number, boolean or text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value if abs(value) <= LARGEST else clean(str(value), 40)
    return clean(value)
