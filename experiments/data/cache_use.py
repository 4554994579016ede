"""Entries of the cache in use: touched, and held so that nobody prunes them."""

import errno
import os
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
_HELD = (errno.EAGAIN, errno.EACCES)


def touch(folder: Path) -> None:
    """Sets the time of last use, which pruning goes by; of another user's cache it can't be set."""
    with suppress(OSError):
        os.utime(folder / INFO)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps an entry from being pruned."""
    handle = _share(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def hold_for(owner: object, folder: Path) -> None:
    """Keeps an entry from being pruned as long as `owner` lives."""
    handle = _share(folder)
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
    handle = _opened(folder if folder.name.startswith(_BEGUN) else folder / INFO)
    try:
        yield None if handle is None else _lock(handle, exclusive=True)
    finally:
        if handle is not None:
            os.close(handle)


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
        if handle is not None:
            _lock(handle, exclusive=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _remove_left_over(parent: Path) -> None:
    handle = _opened(parent)
    if handle is None:
        return
    try:
        if _lock(handle, exclusive=True):
            for folder in parent.glob(f"{_BEGUN}*"):
                with claimed(folder) as is_free:
                    if is_free:
                        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


@contextmanager
def _only_sharing(folder: Path) -> Iterator[None]:
    """Waits until nobody holds a folder exclusively, and lets nobody do so."""
    handle = _opened(folder)
    try:
        if handle is not None and fcntl is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _share(folder: Path) -> int | None:
    """Opens an entry's file and takes a lock that several can have; it dies with the process."""
    handle = _opened(folder / INFO)
    if handle is not None:
        _lock(handle, exclusive=False)
    return handle


def _lock(handle: int, exclusive: bool) -> bool | None:
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True
