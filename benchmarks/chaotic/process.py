"""`experiments ...` in a process of its own, forked, so that it loads nothing again."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import util
from pathlib import Path
from typing import Any

import psutil

_MOST_SECONDS = 120.0  # a search of seconds that takes so long hangs
_END_SECONDS = 10.0  # until what it has started is gone as well
_FLUSH_FAILED = 120  # Python's own exit code, where what was printed could not be written


class BrokenSearchError(AssertionError):
    """A search did not do what it has to after a disturbance."""


class Process:
    """A command that runs, the leader of a session of its own.

    Args:
        arguments: Of the command line.
        environment: Variables that are set for it.
        output: File that gets what it prints; unused with `streams`.
        prepare: Called in the new process before the command.
        streams: File descriptors of its standard output and error, both its own from now on.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        prepare: Callable[[], None] | None = None,
        streams: tuple[int, int] | None = None,
    ) -> None:
        self.arguments, self._output = list(arguments), output
        self.code: int | None = None  # negative: the signal that killed it
        opened = streams or (os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),) * 2
        begun, begins = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(begun)
            _become(self.arguments, environment, opened, prepare, begins)
        for number in {*opened, begins}:
            os.close(number)
        os.read(begun, 1)  # signals reach the command from now on
        os.close(begun)

    def ended_within(self, seconds: float) -> bool:
        """Waits for its end, so long at most; says whether it has ended."""
        moment = time.monotonic() + seconds
        while self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= moment:
                return False
            else:
                time.sleep(0.003)
        return True

    def wait(self) -> int:
        """Waits for its end and for that of all it has started; returns its exit code.

        Raises:
            BrokenSearchError: It hangs, or leaves processes behind.
        """
        if not self.ended_within(_MOST_SECONDS):
            self.send(signal.SIGKILL, to_all=True)
            os.waitpid(self.pid, 0)
            raise BrokenSearchError(f"it hangs; it printed: {self.printed()[-2000:]}")
        assert self.code is not None
        moment = time.monotonic() + _END_SECONDS
        while left := _of_session(self.pid):
            if time.monotonic() > moment:
                raise BrokenSearchError(f"processes are left: {[p.cmdline() for p in left]}")
            time.sleep(0.01)
        return self.code

    def send(self, number: int, to_all: bool = False) -> None:
        """Sends a signal to it, or to all of its session's processes, as a terminal does."""
        with suppress(ProcessLookupError):
            (os.killpg if to_all else os.kill)(self.pid, number)

    def workers(self) -> list[int]:
        """Returns its worker processes, and what they are copies of."""
        kinds = ("multiprocessing.spawn", "multiprocessing.forkserver")
        with suppress(psutil.Error):
            children = psutil.Process(self.pid).children(recursive=True)
            return [c.pid for c in children if any(k in " ".join(c.cmdline()) for k in kinds)]
        return []

    def printed(self) -> str:
        """Returns what it has printed, if that goes to a file."""
        try:
            return self._output.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def _of_session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _become(
    arguments: list[str],
    environment: Mapping[str, str],
    streams: Sequence[int],
    prepare: Callable[[], None] | None,
    begins: int,
) -> None:
    """Becomes the command; does not return."""
    code: Any = 1
    try:
        os.setsid()
        for number, opened in enumerate(streams, 1):
            os.dup2(opened, number)
        for opened in set(streams):
            os.close(opened)
        os.environ.update(environment)
        sys.argv = ["experiments", *arguments]
        from experiments.cli.main import main

        if prepare is not None:
            prepare()
        os.write(begins, b".")
        os.close(begins)
        main(arguments)
    except SystemExit as end:
        code = end.code
    except BaseException as error:  # Python would print a traceback
        print(f"Traceback: {type(error).__name__}: {error}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _FLUSH_FAILED if error.errno in (errno.EIO, errno.EPIPE) else 1
    with suppress(OSError):
        sys.stderr.flush()
    util._exit_function()  # type: ignore[attr-defined]  # as Python's own end does
    os._exit(int(code or 0))
