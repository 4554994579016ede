"""Starts processes: guards their imports, and holds a terminal's signals back meanwhile."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

REMEDY = (
    "a new process imports the script that started the search: what runs it belongs under "
    "`if __name__ == '__main__':`, or take workers=0"
)


def refuse_while_spawning() -> None:
    """Ends this process, if it is a worker that still imports the script of its search.

    A script without a guard would begin its search again in each worker.

    Raises:
        SystemExit: It is one; the process that started it says what is wrong.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


# They reach the whole group of processes that a terminal has in its foreground.
_OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Blocks Ctrl-C and the terminal's hang-up inside the block, and in processes started there.

    Such processes have to call `interrupts_ignored`; until then both signals stay pending.
    """
    # Starting it lets signals through again, so it has to be there before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def interrupts_ignored() -> None:
    """Ignores Ctrl-C and the terminal's end in this process, those that were held back too."""
    for number in _OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_TERMINALS)
