"""A deadline, and what still fits before it: costs are learned as the search runs.

A deadline is a moment of the world outside: it comes while the machine sleeps, too. What trials
take is the machine's own time, in which it does not: `time.monotonic` on Linux.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from experiments.errors import UserError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
REPORT_SECONDS = 15.0  # what testing and reporting are expected to take
NUM_REMEMBERED = 50
_CAUTION = 0.9  # quantile of the costs seen that a trial is expected to take


def clock() -> float:
    """Returns seconds that only grow, and that a machine's sleep counts in.

    `CLOCK_BOOTTIME` of Linux; macOS' `CLOCK_MONOTONIC` and Windows' monotonic clock do so as well.
    """
    which = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if which is None else time.clock_gettime(which)


def parse_deadline(text: str, now: datetime | None = None) -> float:
    """Parses `30m`, `1h30m`, `45s`, or a time of the day such as `18:00`.

    Returns:
        Seconds from now.

    Raises:
        UserError: It is neither.
    """
    now = now or datetime.now()
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        end = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return (end - now if end > now else end + timedelta(days=1) - now).total_seconds()
    duration = _DURATION.fullmatch(text.strip())
    parts = [float(part or 0) for part in duration.groups()] if duration else [0.0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        raise UserError(
            f"--deadline {text!r}: expected a duration such as 30m, 1h30m or 45s, "
            "or a time of the day such as 18:00"
        )
    return seconds


class Deadline:
    """Says whether a trial can be started, and when the search has to make way for its end.

    Args:
        seconds: Seconds from now; never if `None`.
        trial_epochs: Epochs of a trial at most.
        final_epochs: Epochs that training the finalists again takes at most.
        clock: Gives the time in seconds; sleep counts in.
    """

    def __init__(
        self,
        seconds: float | None,
        trial_epochs: int,
        final_epochs: int,
        clock: Callable[[], float] = clock,
    ) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock() + seconds
        self._trial_epochs, self._final_epochs = trial_epochs, final_epochs
        self._seconds_per_epoch: deque[float] = deque(maxlen=NUM_REMEMBERED)

    def learn(self, epochs: int, seconds: float) -> None:
        """Takes note of what a trial of `epochs` epochs took in all its attempts."""
        if epochs > 0 and seconds >= 0:
            self._seconds_per_epoch.append(seconds / epochs)

    @property
    def is_set(self) -> bool:
        """Whether there is one."""
        return self._end is not None

    @property
    def _epoch_seconds(self) -> float:
        seen = self._seconds_per_epoch
        return float(np.quantile(seen, _CAUTION)) if seen else 0.0

    @property
    def reserve(self) -> float:
        """Seconds that finalists and report are expected to take."""
        return self._final_epochs * self._epoch_seconds + REPORT_SECONDS

    def fits(self) -> bool:
        """Whether a trial can be expected to end in time, if it takes all its epochs."""
        if self._end is None:
            return True
        seconds = self._trial_epochs * self._epoch_seconds
        return self._clock() + seconds + self.reserve <= self._end

    def is_due(self) -> bool:
        """Whether running trials have to make way for the finalists."""
        return self._end is not None and self._clock() + self.reserve > self._end
