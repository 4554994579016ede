"""Keeps the features of frozen parts: computed once, used by every trial that needs them.

An entry is a folder of the cache. Its name is a hash of everything that determines its content:
the frozen part's weights and layers, the split's fingerprint, the images' size, the view, the
dtype. It holds one memory-mapped array per output.

While an entry is computed, its folder is called `<key>.partial`, and its file `rows` holds the
number of finished rows. An interrupted computation resumes from there. A complete entry is
renamed. A lock, released when its process ends, keeps two workers from computing the same entry.
A process checks an array's checksum when it first opens it. A changed array is computed again.

Vectors are kept as float32. Feature maps, some hundred times larger, are kept as float16, unless
their values are too large or too small for it. `docs/measured.md` has the cost of that.
"""

import errno
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from experiments.data.cache_use import INFO, PARTIAL, hold_for, lock_of, touch
from experiments.record.files import preallocate, write_json
from experiments.record.reading import as_number, read_dict
from experiments.training.checksums import checksum, is_intact
from experiments.training.feature_entry import SINGLE, Entry
from experiments.training.forward import forward
from experiments.training.task import Note

_ATTEMPTS = 3
_BATCH = 64
_SYNC_SECONDS = 2.0

_Array = npt.NDArray[Any]
_SPARE_BYTES = 256 * 2**20  # left free on the disk for other files


class NotKeptError(OSError):
    """Features can't be kept; the trial trains on images instead."""


class NoSpaceError(NotKeptError):
    """The disk is too full for features; nothing was written."""


class _TooWideError(ArithmeticError):
    """The values of the named output are too large or too small for half precision."""


class FeatureStore:
    """Features on disk, shared by trials, workers and studies.

    Args:
        cache_dir: The cache folder.
        note: Receives the progress.
    """

    def __init__(self, cache_dir: str | Path, note: Note | None = None) -> None:
        self.folder = Path(cache_dir) / "features"
        self._note = note

    def has(self, entry: Entry) -> bool:
        """Whether `entry` is computed."""
        return (self.folder / entry.key / INFO).is_file()

    def open(self, entry: Entry, output: str) -> npt.NDArray[Any]:
        """Returns the memory-mapped array of one output, and computes it first if necessary.

        An entry is not pruned while one of its arrays is alive.

        Raises:
            NotKeptError: It is not in the cache, and it can't be kept there.
        """
        folder = self.folder / entry.key
        for _ in range(_ATTEMPTS):  # a complete entry may be pruned before it is opened
            array = _opened(folder, entry, output)
            if array is not None:
                touch(folder)
                return array
            self._compute(entry)
        raise NotKeptError(errno.ENOENT, f"{entry} keep disappearing from {str(self.folder)!r}")

    def seconds_per_1000(self, entry: Entry) -> float | None:
        """Returns the seconds that 1,000 images took, whoever computed them; `None` if unknown."""
        facts = read_dict(self.folder / entry.key / INFO)
        seconds = as_number(facts.get("seconds"))
        count = as_number(facts.get("num_timed", facts.get("num_images")))
        return 1000 * seconds / count if seconds > 0 and count > 0 else None

    def _compute(self, entry: Entry) -> None:
        from filelock import FileLock

        entry.data.open(entry.split)  # outside the `try`: its errors are not the feature cache's
        folder, partial = self.folder / entry.key, self.folder / f"{entry.key}{PARTIAL}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(lock_of(folder)):
                if all(_opened(folder, entry, name) is not None for name in entry.shapes):
                    return  # another worker was faster
                shutil.rmtree(folder, ignore_errors=True)
                self._fill(entry, partial)
                partial.rename(folder)
        except NotKeptError:
            raise
        except OSError as error:
            raise NotKeptError(
                error.errno,
                f"{entry} can't be kept in {str(self.folder)!r} ({error.strerror or error})",
            ) from None

    def _fill(self, entry: Entry, partial: Path) -> None:
        """Computes the missing rows; restarts in single precision if half is not enough."""
        dtypes = entry.dtypes
        while True:
            started = time.perf_counter()
            done, arrays = _resumable(entry, partial)
            if done == 0:
                arrays = self._begin(entry, partial, dtypes)
            try:
                for rows in self._write(entry, arrays, done):
                    _write_rows(partial, rows, arrays)
                break
            except _TooWideError as error:
                dtypes = dtypes | {str(error): SINGLE}
                (partial / "rows").unlink(missing_ok=True)
        facts = _describe(entry, arrays, time.perf_counter() - started)
        facts["num_timed"] = entry.num_images - done
        facts["checksums"] = {name: checksum(partial / f"{name}.npy") for name in arrays}
        write_json(partial / INFO, facts)
        (partial / "rows").unlink(missing_ok=True)

    def _begin(self, entry: Entry, partial: Path, dtypes: dict[str, str]) -> dict[str, _Array]:
        shutil.rmtree(partial, ignore_errors=True)
        check_space(self.folder, entry.num_bytes_as(dtypes), str(entry))
        partial.mkdir()
        try:
            return {
                name: preallocate(
                    partial / f"{name}.npy", (entry.num_images, *shape), np.dtype(dtypes[name])
                )
                for name, shape in entry.shapes.items()
            }
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise NoSpaceError(error.errno, f"no room for {entry}: {error.strerror}") from None

    def _write(self, entry: Entry, arrays: dict[str, npt.NDArray[Any]], done: int) -> Iterator[int]:
        """Computes the rows from `done` on; yields the number of finished rows now and then."""
        images, total = entry.data.open(entry.split).images, entry.num_images
        synced = time.monotonic()
        if self._note is not None:
            self._note(str(entry), done, total)
        for first in range(done, total, _BATCH):
            last = min(first + _BATCH, total)
            for name, value in forward(entry.part, images[first:last], entry.view).items():
                if arrays[name].dtype == np.float16 and not _fits_half(value):
                    raise _TooWideError(name)
                arrays[name][first:last] = value
            if self._note is not None:
                self._note(str(entry), last, total)
            if time.monotonic() - synced > _SYNC_SECONDS:
                yield last
                synced = time.monotonic()
        yield total


def _opened(folder: Path, entry: Entry, output: str) -> _Array | None:
    """Returns an array of a complete entry; `None` if it is missing or its file has changed."""
    path = folder / f"{output}.npy"
    array = _mapped(path, entry, output)
    if array is None:
        return None
    hold_for(array, folder)
    try:
        facts = json.loads((folder / INFO).read_text(encoding="utf-8"))
        return array if is_intact(path, facts["checksums"][output]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(
    path: Path, entry: Entry, output: str, mode: Literal["r", "r+", "w+", "c"] = "r"
) -> _Array | None:
    """Returns the array of a file; `None` if its shape or dtype is not the entry's."""
    try:
        array: _Array = np.load(path, mmap_mode=mode)
    except (OSError, ValueError, EOFError):
        return None
    right = array.shape == (entry.num_images, *entry.shapes[output])
    return array if right and array.dtype in (entry.dtypes[output], SINGLE) else None


def _resumable(entry: Entry, partial: Path) -> tuple[int, dict[str, _Array]]:
    """Returns the number of finished rows of an interrupted computation, and its arrays."""
    done = _rows_done(partial)
    arrays = {
        name: array
        for name in entry.shapes
        if (array := _mapped(partial / f"{name}.npy", entry, name, "r+")) is not None
    }
    whole = len(arrays) == len(entry.shapes) and done <= entry.num_images
    return (done, arrays) if whole else (0, {})


def _fits_half(values: _Array) -> bool:
    """Whether the range of half precision is wide enough for the values."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):  # single precision would not help
        return True
    half = np.finfo(np.float16)
    return float(half.tiny) <= largest <= float(half.max)


def check_space(folder: Path, num_bytes: int, what: str) -> None:
    """Checks that the disk of `folder` has enough free space.

    Raises:
        NoSpaceError: It does not.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _SPARE_BYTES:
        raise NoSpaceError(
            errno.ENOSPC,
            f"no room for {what}: {megabytes(num_bytes)} are needed and {megabytes(_SPARE_BYTES)} "
            f"to spare, {megabytes(free)} are free in {str(folder)!r}; make room with "
            "`experiments cache --prune`, or choose another --cache-dir",
        )


def megabytes(num_bytes: float) -> str:
    """Formats a size: `1234567` -> `1.2 MB`."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def _rows_done(partial: Path) -> int:
    try:
        return int((partial / "rows").read_text())
    except (OSError, ValueError):
        return 0


def _write_rows(partial: Path, done: int, arrays: dict[str, Any]) -> None:
    for array in arrays.values():
        array.flush()
    # Only after the rows themselves have been written.
    temporary = partial / ".rows"
    temporary.write_text(str(done))
    temporary.replace(partial / "rows")


def _describe(entry: Entry, arrays: dict[str, _Array], seconds: float) -> dict[str, Any]:
    return {
        "what": str(entry),
        "dataset": entry.data.name,
        "fingerprint": entry.data.fingerprint,
        "image_shape": list(entry.data.shape),
        "num_images": entry.num_images,
        "num_bytes": sum(array.nbytes for array in arrays.values()),
        "shapes": {name: list(shape) for name, shape in entry.shapes.items()},
        "dtypes": {name: str(array.dtype) for name, array in arrays.items()},
        "seconds": seconds,
        "created": time.time(),
    }
