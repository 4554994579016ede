"""Files that are written whole or not at all."""

import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.layout import TEMPORARY, StudyFolder

try:
    import fcntl
except ImportError:  # Windows: what killed writers have left stays
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY}
_BLOCK = 2**20


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` if nothing was raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = _made(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            sync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
        if handle is not None:
            os.close(handle)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a folder to fill, which becomes `path` if nothing was raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=TEMPORARY) as beside:
        made = Path(beside) / path.name
        made.mkdir()
        yield made
        made.rename(path)


def _made(path: Path) -> tuple[int | None, Path]:
    """Makes a temporary file beside `path`; as long as its handle is open, it is held."""
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
        if fcntl is None:
            os.close(handle)
            return None, Path(name)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink:  # else it was taken for left over in between
            return handle, Path(name)
        os.close(handle)


def remove_left_over(folder: Path) -> None:
    """Removes the temporary files in a folder and below it whose writers were killed."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(TEMPORARY):
                _remove_unless_held(Path(parent, name))


def _remove_unless_held(path: Path) -> None:
    if fcntl is None:
        return
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(handle)


def sync(handle: int) -> None:
    """Syncs an open file or folder to the disk, if its file system supports that.

    Raises:
        OSError: It could not be written.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        # Network and user-space file systems know no such thing for folders, or at all.
        if error.errno not in _UNSUPPORTED:
            raise


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # it can be written and not be read: the files in it are there
        return
    try:
        sync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, data: object) -> None:
    """Writes `data` as JSON; NaN and infinities become strings, which JSON can hold."""
    with atomic(path) as temporary:
        temporary.write_text(
            json.dumps(finite(data), indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )


def write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Writes arrays as one compressed `.npz`, atomically."""
    with atomic(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def finite(data: object) -> Any:
    """Returns `data` as JSON can hold it: NaN and infinities become strings."""
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    if hasattr(data, "item") and not hasattr(data, "__len__"):  # a NumPy scalar
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return str(data)
    return data


def preallocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Makes a `.npy` file of `shape` with all its room on the disk taken, and opens it to write.

    A memory map of a file with holes kills the process when the disk fills up; this fails first.

    Returns:
        The memory-mapped array.

    Raises:
        OSError: There is no room.
    """
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("rb+") as file:
        _take_room(file, path.stat().st_size)
    return array


def _take_room(file: BinaryIO, size: int) -> None:
    """Takes the room of a file with holes: by the system's call, or by writing it."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
        return
    except AttributeError:  # macOS, musl
        pass
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    file.seek(0)
    begin = file.read(_BLOCK)
    file.seek(0)
    file.write(begin)
    for first in range(len(begin), size, _BLOCK):
        file.write(bytes(min(_BLOCK, size - first)))
    file.flush()
    sync(file.fileno())


def check_own(folder: Path) -> None:
    """Checks that what is written into a study folder stays in it: no place of it is a link.

    Raises:
        UserError: One leads elsewhere.
    """
    for path in _places(folder):
        if path.is_symlink():
            raise UserError(
                f"{str(path)!r} is a link, so files would be written outside the study: put a "
                "copy of what it leads to in its place, or remove it"
            )


def _places(folder: Path) -> Iterator[Path]:
    """Yields what a study is written to, but for files that are renamed into place."""
    study = StudyFolder(folder)
    for path in study.own():
        yield path
        yield from path.glob("*") if path.is_dir() else ()
        yield from path.glob("*/*") if path == study.artifacts else ()


def nearest_there(path: Path) -> Path:
    """Returns `path` if it exists, else the nearest of the folders above it that does."""
    return next(p for p in (path, *path.absolute().parents) if os.path.exists(p))


def check_writable(folder: Path) -> None:
    """Checks that a study folder takes files, before something is done whose result goes there.

    Raises:
        UserError: It does not, or a place in it is a link to elsewhere.
    """
    check_own(folder)
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
    except OSError as error:
        raise UserError(
            f"{str(folder)!r} can't be written to ({error.strerror}), and the results are "
            "kept there: copy the study to where you may write"
        ) from None
    os.close(handle)
    with suppress(FileNotFoundError):  # it was taken for left over
        os.unlink(name)


def check_room(folder: Path, num_bytes: float) -> None:
    """Checks that the disk of `folder` has room, for writers that do not survive a full one.

    HDF5 crashes the process when it closes a file that it could not write.

    Raises:
        OSError: It has not.
    """
    if shutil.disk_usage(folder).free < num_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room on the disk for what was to be written."""
    if not isinstance(error, OSError):
        return False
    # HDF5 names the error of the system in its text alone.
    texts = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or any(t in str(error) for t in texts)
