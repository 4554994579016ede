"""Starts processes: guards their imports, and holds back signals to a whole group meanwhile."""

import multiprocessing
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import process, resource_tracker
from pathlib import Path

_GUARD = re.compile(r"^if\b.*__name__", re.MULTILINE)


def remedy() -> str:
    """Says what to do if new processes end before they can begin."""
    script = _script()
    text = ""
    if script is not None:
        with suppress(OSError, UnicodeDecodeError):
            text = script.read_text(encoding="utf-8")
    if script is None or _GUARD.search(text):
        return "its error is printed above; mend it, or take workers=0"
    return (
        f"a new process imports the script that started the search ({script.name}): what runs it "
        "belongs under `if __name__ == '__main__':`, or take workers=0"
    )


def _script() -> Path | None:
    """Returns the script that a new process imports; `None` if there is no file of it."""
    named = getattr(sys.modules["__main__"], "__file__", None)
    folder = process.ORIGINAL_DIR or "."  # type: ignore[attr-defined]
    path = None if named is None else Path(folder, named)
    return path if path is not None and path.is_file() else None


@contextmanager
def script_hidden() -> Iterator[None]:
    """Lets processes that are started within import no script if it is no file.

    A script that is read from standard input has a name, which a new process would look for.
    """
    main = sys.modules["__main__"]
    named = getattr(main, "__file__", None)
    if named is None or _script() is not None:
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = named


def refuse_while_spawning() -> None:
    """Ends this process, if it is a worker that still imports the script of its search.

    A script without a guard would begin its search again in each worker.

    Raises:
        SystemExit: It is one; the process that started it says what is wrong.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(1)


# They reach a whole group of processes: from its terminal, or from what ends a job (`timeout`,
# systemd, Slurm).
_OF_GROUPS = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Blocks Ctrl-C, the terminal's hang-up and SIGTERM here, and in processes started inside.

    Such processes have to call `interrupts_ignored`; until then the signals stay pending.
    """
    # Starting it lets signals through again, so it has to be there before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_GROUPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def interrupts_ignored() -> None:
    """Ignores the signals in this process, those that were held back too.

    What it starts ignores Ctrl-C and the hang-up as well, but ends by SIGTERM: it may be asked to.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_GROUPS)
