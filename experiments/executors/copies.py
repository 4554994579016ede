"""Starts worker processes as copies of one that has imported Keras and TensorFlow.

A copy is there in some hundredths of a second instead of seconds, and the copies share the memory
of what was imported: a quarter of a gigabyte each. It is Python's own fork server, on Linux without
a GPU. TensorFlow's runtime, whose threads do not survive a copy, starts in the copies only.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

import psutil

from experiments.executors.starting import interrupts_held
from experiments.executors.tidied import STARTER
from experiments.process.replaced import replaced

_TIDIES, _IMPORTS = "experiments.executors.tidied", "experiments.executors.imported"
_ENDS_WITHIN = 1.0  # seconds
_server: Any = forkserver._forkserver


class ForkServer:
    """The fork server of this process, while one executor has it.

    Python keeps one in a process, and its environment and streams are those of its start. So it
    ends with the executor, and is not taken where somebody else has started one.

    Args:
        has_gpus: Whether workers have GPUs: then there is none.
    """

    def __init__(self, has_gpus: bool = False) -> None:
        self._is_ours, self._is_given_up = False, has_gpus

    def begin(self, environment: Mapping[str, str]) -> SpawnContext | ForkServerContext:
        """Starts it where it can be used; does not wait for its imports.

        Args:
            environment: Variables for it and its copies.

        Returns:
            What new processes are started with: afresh where there is no server.
        """
        if not self._is_given_up and (self._is_ours or _can_begin()):
            with suppress(OSError), _imports(environment), interrupts_held():
                _server.ensure_running()  # again, if it was killed
                self._is_ours = True
                return multiprocessing.get_context("forkserver")
        return multiprocessing.get_context("spawn")  # a forked TensorFlow that has run deadlocks

    def give_up(self) -> None:
        """Lets no further process be a copy: this one died, or its copies can't begin."""
        self._is_given_up = True

    def end(self) -> None:
        """Ends it; all copies of this executor have ended."""
        if not self._is_ours:
            return
        self._is_ours = False
        pid, address = _server._forkserver_pid, _server._forkserver_address
        if pid is not None:  # else it was killed, and could not be started again
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            _server._stop()
        except (ChildProcessError, FileNotFoundError):  # waited for, or its socket removed, before
            _server._forkserver_pid = _server._forkserver_address = None
            with suppress(OSError, ValueError):  # it may be no file
                os.unlink(address)


def current_server() -> psutil.Process | None:
    """Returns the fork server of this process; `None` if there is none."""
    pid = _server._forkserver_pid
    try:
        return None if pid is None else psutil.Process(pid)
    except psutil.Error:
        return None


def is_gone(server: psutil.Process | None) -> bool:
    """Whether a fork server has ended by itself; waits a little, as it closes its files before."""
    until = time.monotonic() + _ENDS_WITHIN
    while server is not None and _lives(server):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _can_begin() -> bool:
    return (
        sys.platform == "linux"
        and _server._forkserver_pid is None
        and signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN  # it waits for its copies
        and all(type(path) is str for path in sys.path)
    )


@contextmanager
def _imports(environment: Mapping[str, str]) -> Iterator[None]:
    """Lets a server that is started inside import what workers need, from where this process does.

    Else it would look in the working folder first, which may have an `experiments` of its own.
    """
    paths = [os.path.abspath(path) for path in sys.path]
    added = {
        **environment,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        STARTER: str(os.getpid()),
    }
    modules = _server._preload_modules
    _server.set_forkserver_preload([_TIDIES, _IMPORTS])
    try:
        with replaced(os.environ, added):
            yield
    finally:
        _server.set_forkserver_preload(modules)
