"""Keeps the features of frozen parts: computed once, used by every trial that needs them.

An entry is a folder of the cache. Its name is a hash of everything that determines its content:
the frozen part's weights and layers, the split's fingerprint, the images' size, the view, the
dtype. It holds one memory-mapped array per output.

While an entry is computed, its folder is called `<key>.partial`, and its file `rows` says which
rows are done. An interrupted computation goes on from there, if it is by the same engine. A
complete entry is renamed. One process has the entry's lock, released when that ends. Others that
need the entry compute rows too, from its end on, until all are done.
A process checks an array's checksum when it first opens it. A changed array is computed again.

Vectors are kept as float32. Feature maps, some hundred times larger, are kept as float16, unless
their values are too large or too small for it. `docs/measured.md` has the cost of that.
"""

import errno
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data.cache_use import INFO, PARTIAL, hold_for, lock_of, touch
from experiments.record.files import preallocate, write_json
from experiments.record.formatting import byte_size
from experiments.record.reading import as_number, read_dict
from experiments.training.checksums import checksum, is_intact
from experiments.training.engines import Engine, engine_of
from experiments.training.feature_computing import (
    ROWS,
    TooWideError,
    compute_rows,
    help_with,
    mapped,
    num_rows,
    resumed,
    rows_of,
)
from experiments.training.feature_entry import SINGLE, Entry
from experiments.training.feature_rows import CAN_SHARE, Rows
from experiments.training.task import Note

_ATTEMPTS = 3
_HELP_SECONDS = 0.1  # between looks at what another process computes

_Array = npt.NDArray[Any]
_SPARE_BYTES = 256 * 2**20  # left free on the disk for other files


class NotKeptError(OSError):
    """Features can't be kept; the trial trains on images instead."""


class NoSpaceError(NotKeptError):
    """The disk is too full for features; nothing was written."""


class FeatureStore:
    """Features on disk, shared by trials, workers and studies.

    Args:
        cache_dir: The cache folder.
        note: Receives the progress.

    Attributes:
        engines: By what the features that were opened had been computed, each with its version.
    """

    def __init__(self, cache_dir: str | Path, note: Note | None = None) -> None:
        self.folder = Path(cache_dir) / "features"
        self.engines: set[str] = set()
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
                if "engine" in (
                    facts := read_dict(folder / INFO)
                ):  # entries of earlier versions lack it
                    self.engines.add(str(facts["engine"]))
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
        entry.data.open(entry.split)  # outside the `try`: its errors are not the feature cache's
        folder, partial = self.folder / entry.key, self.folder / f"{entry.key}{PARTIAL}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked(entry, partial):
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

    @contextmanager
    def _locked(self, entry: Entry, partial: Path) -> Iterator[None]:
        """Has the entry's lock; as long as another process has it, computes rows with that."""
        from filelock import FileLock, Timeout

        lock, helps = FileLock(lock_of(partial)), CAN_SHARE
        while True:
            try:
                lock.acquire(timeout=_HELP_SECONDS if helps else -1)
                break
            except Timeout:
                helps = help_with(entry, partial)
        try:
            yield
        finally:
            lock.release()

    def _fill(self, entry: Entry, partial: Path) -> None:
        """Computes the missing rows; restarts in single precision if half is not enough."""
        engine, dtypes = engine_of(entry.part, entry.data), entry.dtypes
        while True:
            started = time.perf_counter()
            rows, arrays = resumed(entry, engine, partial) or self._begin(
                entry, engine, partial, dtypes
            )
            done = min(num_rows(rows.num_computed), entry.num_images)
            try:
                with rows:
                    num_computed = self._write(entry, engine, rows, arrays)
                break
            except TooWideError as error:
                dtypes = dtypes | {str(error): SINGLE}
                (partial / ROWS).unlink(missing_ok=True)
        facts = _describe(entry, arrays, time.perf_counter() - started) | engine.facts
        # Not those that other processes have computed meanwhile.
        facts["num_timed"] = min(num_rows(num_computed), entry.num_images - done)
        facts["checksums"] = {name: checksum(partial / f"{name}.npy") for name in arrays}
        write_json(partial / INFO, facts)
        (partial / ROWS).unlink(missing_ok=True)

    def _begin(
        self, entry: Entry, engine: Engine, partial: Path, dtypes: dict[str, str]
    ) -> tuple[Rows, dict[str, _Array]]:
        shutil.rmtree(partial, ignore_errors=True)
        check_space(self.folder, entry.num_bytes_as(dtypes), str(entry))
        partial.mkdir()
        try:
            arrays = {
                name: preallocate(
                    partial / f"{name}.npy", (entry.num_images, *shape), np.dtype(dtypes[name])
                )
                for name, shape in entry.shapes.items()
            }
            # The last, so that who opens it first has arrays of this beginning.
            return Rows.begin(partial / ROWS, *rows_of(entry, engine)), arrays
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise NoSpaceError(error.errno, f"no room for {entry}: {error.strerror}") from None

    def _write(self, entry: Entry, engine: Engine, rows: Rows, arrays: dict[str, _Array]) -> int:
        """Computes all rows that are left: first those that nobody else computes.

        Returns:
            Number of chunks that this process has computed.
        """
        num_computed = 0
        self._say(entry, engine, num_rows(rows.num_computed))
        for wait in (False, True):
            for done in compute_rows(entry, engine, rows, arrays, rows.left, wait):
                num_computed += 1
                self._say(entry, engine, done)
        if self._note is not None:
            self._note(f"{entry}{engine.remark}", entry.num_images, entry.num_images)
        return num_computed

    def _say(self, entry: Entry, engine: Engine, done: int) -> None:
        if self._note is not None and done < entry.num_images:
            self._note(f"{entry}{engine.remark}", done, entry.num_images)


def _opened(folder: Path, entry: Entry, output: str) -> _Array | None:
    """Returns an array of a complete entry; `None` if it is missing or its file has changed."""
    path = folder / f"{output}.npy"
    array = mapped(path, entry, output)
    if array is None:
        return None
    hold_for(array, folder)
    try:
        return array if is_intact(path, read_dict(folder / INFO)["checksums"][output]) else None
    except (OSError, KeyError, TypeError):
        return None


def check_space(folder: Path, num_bytes: int, what: str) -> None:
    """Checks that the disk of `folder` has enough free space.

    Raises:
        NoSpaceError: It does not.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _SPARE_BYTES:
        raise NoSpaceError(
            errno.ENOSPC,
            f"no room for {what}: {byte_size(num_bytes)} are needed and {byte_size(_SPARE_BYTES)} "
            f"to spare, {byte_size(free)} are free in {str(folder)!r}; make room with "
            "`experiments cache --prune`, or choose another --cache-dir",
        )


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
