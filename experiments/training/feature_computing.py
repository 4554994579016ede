"""Computes the rows of an entry of features, in one process or in several.

Chunks of rows are computed by whoever claims them. Each chunk is of the same images for everybody
and by the same engine, so its numbers do not depend on who computes it.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from experiments.training.engines import Engine, engine_of, forward
from experiments.training.feature_entry import SINGLE, Entry
from experiments.training.feature_rows import Rows, num_left

ROWS = "rows"
BATCH = 64  # images in a chunk
_SYNC_SECONDS = 2.0
_LEAST_LEFT = 4  # chunks; fewer are done before a helper has made its engine

_Array = npt.NDArray[Any]


class TooWideError(ArithmeticError):
    """The values of the named output are too large or too small for half precision."""


def help_with(entry: Entry, partial: Path) -> bool:
    """Computes rows of an entry that another process has; says whether there may be more."""
    left = num_left(partial / ROWS)
    if left is not None and left < _LEAST_LEFT:
        return True
    engine = engine_of(entry.part, entry.data)  # made while the other process makes its own
    try:
        with Rows(partial / ROWS, *rows_of(entry, engine)) as rows:
            arrays = _partial_arrays(entry, partial)
            if len(arrays) == len(entry.shapes):
                # From the end on, as long as they are of this beginning.
                order = takewhile(lambda _: rows.is_current, reversed(rows.left))
                for _ in compute_rows(entry, engine, rows, arrays, order):
                    pass
    except (ValueError, TooWideError):  # another engine; or who has the entry begins it anew
        return False
    except OSError:  # it is not begun yet, or finished
        return True
    return True


def compute_rows(
    entry: Entry,
    engine: Engine,
    rows: Rows,
    arrays: dict[str, _Array],
    order: Iterable[int],
    wait: bool = False,
) -> Iterator[int]:
    """Computes chunks that nobody else computes; yields the number of rows that are computed."""
    images, synced = entry.data.open(entry.split).images, time.monotonic()
    for chunk in order:
        if not rows.claim(chunk, wait):
            continue
        here = slice(chunk * BATCH, (chunk + 1) * BATCH)
        for name, value in forward(engine, images[here], entry.view).items():
            if arrays[name].dtype == np.float16 and not _fits_half(value):
                raise TooWideError(name)
            arrays[name][here] = value
        yield num_rows(rows.num_computed)
        if time.monotonic() - synced > _SYNC_SECONDS:
            _write_rows(rows, arrays)
            synced = time.monotonic()
    _write_rows(rows, arrays)


def num_rows(num_chunks: int) -> int:
    """Returns the number of rows of so many chunks, the last of an entry taken as whole."""
    return BATCH * num_chunks


def rows_of(entry: Entry, engine: Engine) -> tuple[dict[str, Any], int]:
    """Returns what the file of rows says, and its number of chunks."""
    return {"engine": engine.label, "rows": BATCH}, -(-entry.num_images // BATCH)


def _write_rows(rows: Rows, arrays: dict[str, Any]) -> None:
    if not rows.num_claimed:
        return
    for array in arrays.values():
        array.flush()
    rows.finish()  # only after the rows themselves have been written


def resumed(entry: Entry, engine: Engine, partial: Path) -> tuple[Rows, dict[str, _Array]] | None:
    """Opens an interrupted computation by the same engine; `None` if there is none."""
    try:
        rows = Rows(partial / ROWS, *rows_of(entry, engine))
    except (OSError, ValueError):
        return None
    arrays = _partial_arrays(entry, partial)
    if len(arrays) == len(entry.shapes):
        return rows, arrays
    rows.close()
    return None


def _partial_arrays(entry: Entry, partial: Path) -> dict[str, _Array]:
    """Opens the arrays of an entry that is being computed; those that are missing are left out."""
    return {
        name: array
        for name in entry.shapes
        if (array := mapped(partial / f"{name}.npy", entry, name, "r+")) is not None
    }


def _fits_half(values: _Array) -> bool:
    """Whether the range of half precision is wide enough for the values."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):  # single precision would not help
        return True
    half = np.finfo(np.float16)
    return float(half.tiny) <= largest <= float(half.max)


def mapped(
    path: Path, entry: Entry, output: str, mode: Literal["r", "r+", "w+", "c"] = "r"
) -> _Array | None:
    """Returns the array of a file; `None` if its shape or dtype is not the entry's."""
    try:
        array: _Array = np.load(path, mmap_mode=mode)
    except (OSError, ValueError, EOFError):
        return None
    right = array.shape == (entry.num_images, *entry.shapes[output])
    return array if right and array.dtype in (entry.dtypes[output], SINGLE) else None
