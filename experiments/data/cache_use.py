"""Entries of the cache in use: touched, and held so that nobody prunes them."""

import errno
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows has no such locks: what was used of late counts as in use
    fcntl = None  # type: ignore[assignment]

INFO = "info.json"
PARTIAL = ".partial"  # the end of the name of an entry that is being computed
_BEGUN = ".preparing-"  # the beginning of the name of one that is being prepared
GONE = ".gone-"  # of one that is being removed
OWN_NAME = re.compile(
    rf"(?:{re.escape(GONE)})*(?:[0-9a-f]{{24,32}}(?:{re.escape(PARTIAL)})?|{re.escape(_BEGUN)}.*)"
)
_HELD = (errno.EAGAIN, errno.EACCES)


def touch(folder: Path) -> None:
    """Sets the time of last use, which pruning goes by; of another user's cache it can't be set."""
    with suppress(OSError):
        os.utime(folder / INFO)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps an entry from being pruned, by a lock that several can have."""
    with _open(folder / INFO) as handle:
        _lock(handle, exclusive=False)
        yield


def hold_for(owner: object, folder: Path) -> None:
    """Keeps an entry from being pruned as long as `owner` lives."""
    handle = _opened(folder / INFO)
    _lock(handle, exclusive=False)  # it dies with the process
    if handle is not None:
        weakref.finalize(owner, os.close, handle)


@contextmanager
def claimed(folder: Path) -> Iterator[bool | None]:
    """Says whether nobody uses or makes an entry, and keeps it so.

    `None` where that can't be known: the file system has no locks, or an earlier version made it.
    """
    if folder.suffix == PARTIAL:
        with _lock_claimed(lock_of(folder)) as is_free:
            yield is_free
        return
    with _open(folder if folder.name.startswith(_BEGUN) else folder / INFO) as handle:
        yield _lock(handle, exclusive=True)


def lock_of(folder: Path) -> Path:
    """Returns the file of the lock that is held while an entry is computed."""
    return folder.with_name(f"{folder.name.removesuffix(PARTIAL)}.lock")


@contextmanager
def _lock_claimed(path: Path) -> Iterator[bool | None]:
    lock = FileLock(path)
    is_free: bool | None = True
    try:
        lock.acquire(blocking=False)
    except Timeout:
        is_free = False
    except (OSError, NotImplementedError):
        is_free = None
    try:
        yield is_free
    finally:
        lock.release()


@contextmanager
def begun(parent: Path) -> Iterator[Path]:
    """Makes a folder for an entry that is being prepared; removes it, unless it was renamed.

    It is held meanwhile. What processes have left that were killed at this is removed first.
    """
    _remove_left_over(parent)
    with _only_sharing(parent):  # it is made and held before another process looks at it
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=_BEGUN))
        handle = _opened(folder)
        _lock(handle, exclusive=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def publish(temporary: Path, folder: Path) -> None:
    """Makes a folder of `begun`, which has its `info.json`, the entry `folder`."""
    temporary.chmod(0o755)
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / INFO).is_file():  # else another process was first
            raise


def _remove_left_over(parent: Path) -> None:
    with _open(parent) as handle:
        for folder in parent.glob(f"{_BEGUN}*") if _lock(handle, exclusive=True) else ():
            with claimed(folder) as is_free:
                if is_free:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_sharing(folder: Path) -> Iterator[None]:
    """Waits until nobody holds a folder exclusively, and lets nobody do so."""
    with _open(folder) as handle:
        if handle is not None and fcntl is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
        yield


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


@contextmanager
def _open(path: Path) -> Iterator[int | None]:
    """Opens a file or folder for the context; `None` where it can't be opened."""
    handle = _opened(path)
    try:
        yield handle
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int | None, exclusive: bool) -> bool | None:
    if handle is None or fcntl is None:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True
