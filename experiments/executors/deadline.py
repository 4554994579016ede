"""A deadline, and what still fits before it: costs are learned during the search.

A deadline is a moment of real time: it arrives even while the machine sleeps. Durations of trials
exclude sleep: they use `time.monotonic` on Linux.
"""

from collections import deque
from collections.abc import Callable

import numpy as np

from experiments.record.durations import REPORT_SECONDS, clock

NUM_REMEMBERED = 50
_CAUTION = 0.9  # quantile of the costs seen that a trial is expected to take


class Deadline:
    """Decides whether a trial can be started, and when trials must stop for the finalists.

    Args:
        seconds: Seconds from now; never if `None`.
        trial_epochs: Epochs of a trial at most.
        final_epochs: Epochs that training the finalists again takes at most.
        clock: Returns the time in seconds, including sleep.
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
        """Records the seconds that a trial of `epochs` epochs took in all its attempts."""
        if epochs > 0 and seconds >= 0:
            self._seconds_per_epoch.append(seconds / epochs)

    @property
    def is_set(self) -> bool:
        """Whether there is a deadline."""
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
        """Whether running trials have to stop for the finalists."""
        return self._end is not None and self._clock() + self.reserve > self._end
