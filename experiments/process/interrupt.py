"""Ctrl-C: once ends the search after the running epoch, twice ends it at once.

A `SIGTERM` counts as a Ctrl-C. So does the `SIGHUP` of a closed terminal, unless it is ignored
(`nohup`). It may arrive several times, from the terminal and from the shell, and counts once.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Counts interrupts while it is entered; the second raises `KeyboardInterrupt`.

    Outside the main thread, where Python receives no signals, it does nothing.

    Args:
        notice: Called with a line to show at the first interrupt.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        self.requested = False
        self._notice = notice
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, *_hang_up()):
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGHUP:
            return
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._notice("stopping after the running epoch; Ctrl-C again stops at once")


@contextmanager
def interruptible() -> Iterator[None]:
    """Makes `SIGTERM` and `SIGHUP` raise `KeyboardInterrupt` inside the block, as Ctrl-C does.

    Only for processes of this suite: resources are released, and the exit code is Ctrl-C's.
    """
    before: dict[int, Any] = {}  # signal -> its handler before
    if threading.current_thread() is threading.main_thread():
        for number in (int(signal.SIGTERM), *_hang_up()):
            before[number] = signal.signal(number, _interrupt) or signal.SIG_DFL
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGHUP:  # it may arrive again while this one is handled
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _hang_up() -> list[int]:
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [] if is_ignored else [signal.SIGHUP]
