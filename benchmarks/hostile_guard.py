"""Watches what a command does to the world: writes, connections, processes, time."""

import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SECONDS = 60  # that a command may take on a loaded machine
_LONGEST_SECONDS = 300  # from when on even what no signal reaches is ended
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# What changes the entry of a folder, not what a link there leads to: event -> its paths.
_ENTRIES = {
    "os.remove": (0,), "os.rename": (0, 1), "os.mkdir": (0,), "os.rmdir": (0,), "os.link": (1,),
    "os.symlink": (1,), "shutil.rmtree": (0,), "shutil.move": (0, 1),
}  # fmt: skip
_FOLLOWED = {"os.chmod": (0,), "os.chown": (0,), "os.truncate": (0,), "os.utime": (0,),
             "sqlite3.connect": (0,), "shutil.copyfile": (1,)}  # fmt: skip
_REACHING = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "socket.sendto",
    "urllib.Request",
)
_STARTING = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.startfile",
)
_OWN_PROGRAMS = ("git", "uname", "lscpu", "ldconfig", "file", "/sbin/ldconfig")


class HangError(BaseException):
    """A command took too long; not an `Exception`, so that nothing swallows it."""


class Guard:
    """Records every write outside some folders, every connection and every process.

    An audit hook can't be removed: one guard serves all cases.
    """

    def __init__(self) -> None:
        self._allowed: tuple[str, ...] | None = None
        self.found: list[str] = []
        self._within = False
        sys.addaudithook(self._hook)

    @contextmanager
    def watching(self, *folders: Path) -> Iterator[list[str]]:
        """Watches while only `folders` may be written to; gives the list of what was done else."""
        self.found = []
        self._allowed = tuple(os.path.realpath(folder) for folder in folders)
        try:
            yield self.found
        finally:
            self._allowed = None

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._allowed is None or self._within:
            return
        self._within = True
        try:
            self._look(event, arguments)
        finally:
            self._within = False

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, str | bytes) and (
                (flags or 0) & _WRITING or any(letter in str(mode or "") for letter in "wax+")
            ):
                self._check(event, path, followed=True)
        elif event in _ENTRIES or event in _FOLLOWED:
            for position in _ENTRIES.get(event) or _FOLLOWED[event]:
                path = arguments[position]
                if isinstance(path, str | bytes | os.PathLike):
                    self._check(event, os.fspath(path), followed=event in _FOLLOWED)
        elif event in _REACHING or (
            event in _STARTING and os.path.basename(str(arguments[0])) not in _OWN_PROGRAMS
        ):
            self.found.append(f"{event} {str(arguments)[:200]}")

    def _check(self, event: str, path: str | bytes, followed: bool) -> None:
        text = os.fsdecode(path)
        if text in (":memory:", "") or text.startswith("/dev/"):
            return
        if "\0" in text:
            return
        text = text.removeprefix("file:").partition("?")[0] if event == "sqlite3.connect" else text
        parent, name = os.path.split(os.path.abspath(text))
        real = os.path.realpath(text) if followed else os.path.join(os.path.realpath(parent), name)
        if not any(real == a or real.startswith(a + os.sep) for a in self._allowed or ()):
            self.found.append(f"{event} {text} -> {real}")


@contextmanager
def limited(seconds: int = _SECONDS) -> Iterator[None]:
    """Ends what takes longer.

    Raises:
        HangError: It did.
    """

    def hang(*arguments: object) -> None:
        raise HangError(f"took more than {seconds} s")

    before: Any = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(_LONGEST_SECONDS, exit=True)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
