"""Entries of the cache in use: touched, and held so that nobody prunes them."""

import errno
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no such locks: what was used of late counts as in use
    fcntl = None  # type: ignore[assignment]

INFO = "info.json"
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


def hold_for(owner: Any, folder: Path) -> None:
    """Keeps an entry from being pruned as long as `owner` lives."""
    handle = _share(folder)
    if handle is not None:
        weakref.finalize(owner, os.close, handle)


@contextmanager
def claimed(folder: Path) -> Iterator[bool | None]:
    """Says whether nobody holds an entry, and keeps it so; `None` where that can't be known."""
    try:
        handle = os.open(folder / INFO, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield _lock(handle, exclusive=True)
    finally:
        os.close(handle)


def _share(folder: Path) -> int | None:
    """Opens an entry's file and takes a lock that several can have; it dies with the process."""
    try:
        handle = os.open(folder / INFO, os.O_RDONLY)
    except OSError:
        return None
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
