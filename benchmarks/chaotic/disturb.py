"""Ways to disturb a search: each starts or resumes it, and returns what it did, or `None`.

`None` is for a search that was done before the moment came. Any other wrong outcome is raised as
`BrokenSearchError`.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaotic.process import BrokenSearchError, Process
from chaotic.searches import Search

Disturbance = Callable[[Search, random.Random], str | None]
_INTERRUPTED, _REFUSED = 130, 2
_MOST_LOSSES = 2  # of one trial: a third one counts as its own fault
_MOST_EPOCHS = 12  # until a moment comes
_MOST_EVENTS = 120  # on files, of a resume until its first trial runs


def killed(search: Search, rng: random.Random) -> str | None:
    """Kills the driver or a worker by SIGKILL at a random moment; the driver outlives a worker."""
    process = search.start()
    if _ended_before_moment(search, process, rng):
        return None
    workers = process.workers()
    if workers and rng.random() < 0.5 and not _has_lost_much(search.folder):
        os.kill(rng.choice(workers), signal.SIGKILL)
        if not process.ended_within(rng.uniform(0.3, 1.0)):
            process.send(signal.SIGKILL)
        search.end(process, -signal.SIGKILL)
        return "worker killed"
    process.send(signal.SIGKILL)
    search.end(process, -signal.SIGKILL)
    return "driver killed"


def _ended_before_moment(search: Search, process: Process, rng: random.Random) -> bool:
    """Waits for a random moment: at the start in one of four, else in or after some epoch.

    It counts epochs, so that a slow machine does not move all moments to the start.
    """
    if rng.random() < 0.25:
        has_ended = process.ended_within(rng.uniform(0.0, 0.5))
    else:
        epochs = search.num_epochs + rng.randint(1, _MOST_EPOCHS)
        while not (has_ended := process.ended_within(0.005)) and search.num_epochs < epochs:
            pass
        has_ended = has_ended or process.ended_within(rng.uniform(0.0, search.seconds))
    if has_ended:
        search.end(process)
    return has_ended


def _has_lost_much(folder: Path) -> bool:
    for path in folder.glob("trial_*/attempts.json"):
        attempts = json.loads(path.read_text(encoding="utf-8"))
        if sum(attempt["outcome"] == "lost" for attempt in attempts) >= _MOST_LOSSES:
            return True
    return False


def interrupted(search: Search, rng: random.Random) -> str | None:
    """Sends a signal at a random moment: Ctrl-C once or twice, SIGTERM, or SIGHUP."""
    process = search.start()
    if _ended_before_moment(search, process, rng):
        return None
    name = rng.choice(("SIGINT", "SIGINT twice", "SIGTERM", "SIGHUP"))
    number = signal.Signals[name.split()[0]]
    process.send(number, to_all=number != signal.SIGTERM)
    if name == "SIGINT twice" and not process.ended_within(rng.uniform(0.0, 0.1)):
        process.send(number, to_all=True)
    return _ended_by(search, process, name)


def _ended_by(search: Search, process: Process, name: str) -> str | None:
    """Waits for the end after a signal; one that came after the last trial ends nothing."""
    code = search.end(process, _INTERRUPTED)
    return name if code == _INTERRUPTED else None


def interrupted_while_restoring(search: Search, rng: random.Random) -> str | None:
    """Sends a signal to a resume when it is at one of its first files: opened, renamed, removed."""
    if not search.has_begun:
        _begin(search, rng)
    name = rng.choice(("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"))
    number = signal.Signals[name]
    at = rng.randint(1, _MOST_EVENTS)
    process = search.start(lambda: _signal_at_event(at, search.folder, number))
    code = search.end(process, _INTERRUPTED, -signal.SIGKILL)
    return f"{name} while restoring" if code else None


def _begin(search: Search, rng: random.Random) -> None:
    """Lets some trials end, so that there is something to restore."""
    process = search.start()
    least = rng.randint(1, 5)
    while not process.ended_within(0.02):
        if len(list(search.folder.glob("trial_*/result.json"))) >= least:
            process.send(signal.SIGKILL)
    search.end(process, -signal.SIGKILL)


def _signal_at_event(count: int, folder: Path, number: int) -> None:
    """Has this process send itself a signal when it works on a file of `folder`, the n-th time."""
    left, ours = count, os.fspath(folder)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.remove") and ours in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    sys.addaudithook(heard)


def with_jumping_clock(search: Search, rng: random.Random) -> str | None:
    """Lets the clock of the driver jump, forth or back, by seconds to years; then interrupts."""
    seed = rng.random()
    moment = rng.uniform(0.1, 1.0)
    process = search.start(lambda: _let_clock_jump(moment, random.Random(seed)))
    if process.ended_within(moment + rng.uniform(0.3, 1.5)):
        search.end(process)
        return "clock jumped"
    process.send(signal.SIGINT, to_all=True)
    search.end(process, _INTERRUPTED)
    return "clock jumped"


def _let_clock_jump(seconds: float, rng: random.Random) -> None:
    """Patches `time.time` in this process: it jumps after so many seconds, and then again."""
    real, offset, moment = time.time, 0.0, time.monotonic() + seconds

    def jumping() -> float:
        nonlocal offset, moment
        if time.monotonic() > moment:
            offset += rng.choice((-1, 1)) * 10 ** rng.uniform(0.0, 7.5)
            moment = time.monotonic() + seconds
        return real() + offset

    time.time = jumping


def with_full_disk(search: Search, rng: random.Random) -> str | None:
    """Fills the file system of the studies at a random moment, and makes room afterwards."""
    process = search.start()
    if _ended_before_moment(search, process, rng):
        return None
    filler = search.runs / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 2**16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
        process.ended_within(_MOST_EVENTS)
    filler.unlink()
    if not search.end(process, _REFUSED):
        return None
    lines = process.printed().splitlines()
    if sum("no space is left" in line for line in lines) != 1 or "error: " not in lines[-1]:
        raise BrokenSearchError(f"a full disk is said as {lines}")
    return "disk full"


def with_closed_terminal(search: Search, rng: random.Random) -> str | None:
    """Closes the terminal, or the pipe, that a search prints to."""
    how = rng.choice(("SIGHUP", "nohup", "pipe"))
    ours, theirs = os.pipe() if how == "pipe" else os.openpty()
    error = os.open(search.beside / "error.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    streams = (theirs, error) if how == "pipe" else (theirs, os.dup(theirs))
    if how != "pipe":
        os.close(error)
    process = search.start(lambda: _take_terminal(how, ours), streams)
    is_done = _read_for(process, ours, rng.uniform(0.1, 1.5))
    os.close(ours)
    if is_done:
        search.end(process)
        return None
    if how == "SIGHUP":
        return _ended_by(search, process, "terminal closed")
    search.end(process)
    return "pipe closed" if how == "pipe" else "terminal closed, nohup"


def _take_terminal(how: str, ours: int) -> None:
    import fcntl
    import termios

    os.close(ours)
    if how != "pipe":
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)
    if how == "nohup":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _read_for(process: Process, terminal: int, seconds: float) -> bool:
    """Reads what is printed, so long at most; says whether the process has ended."""
    os.set_blocking(terminal, False)
    moment = time.monotonic() + seconds
    while time.monotonic() < moment:
        try:
            os.read(terminal, 2**16)
        except BlockingIOError:
            pass
        except OSError:  # closed from the other side
            return process.ended_within(1.0)
        if process.ended_within(0.01):
            return True
    return False


def survive(search: Search, disturb: Disturbance, count: int, rng: random.Random) -> Counter[str]:
    """Disturbs a search until that was done `count` times, then lets it end."""
    done: Counter[str] = Counter()
    while not search.is_done and sum(done.values()) < count:
        what = disturb(search, rng)
        if what is not None:
            done[what] += 1
    if not search.is_done:
        search.end(search.start())
    return done
