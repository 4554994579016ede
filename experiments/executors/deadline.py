"""A deadline, and what still fits before it: costs are learned during the search.

What a trial takes is learned in parts: seconds an epoch, what building and tracing a network takes,
and frozen features, which later trials find.

A deadline is a moment of real time: it arrives even while the machine sleeps. Durations of trials
exclude sleep: they use `time.monotonic` on Linux.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.record.durations import REPORT_SECONDS, clock

NUM_REMEMBERED = 50
_CAUTION = 0.9  # quantile of the costs seen that a trial is expected to take


@dataclass(frozen=True)
class Cost:
    """What a trial took, in all its attempts.

    Args:
        epochs: Epochs of all its executions.
        training: Seconds of these epochs.
        features: Seconds in which it computed frozen features.
        besides: Other seconds.
    """

    epochs: int
    training: float
    features: float = 0.0
    besides: float = 0.0


class Deadline:
    """Decides whether a trial can be started, and when trials must stop for the finalists.

    Args:
        seconds: Seconds from now; never if `None`.
        trial_epochs: Epochs of a trial at most.
        final_epochs: Epochs that training the finalists again takes at most, one after the other.
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
        self._trial_epochs = trial_epochs
        self._final_trials = final_epochs / trial_epochs  # as many take what finalists take
        self._an_epoch, self._besides, self._features = (
            deque[float](maxlen=NUM_REMEMBERED) for _ in range(3)
        )
        # Of those trained whole, how good they are and what they took: only they can be finalists.
        self._finals = deque[tuple[float, float]](maxlen=NUM_REMEMBERED)
        self._reported: dict[str, float] = {}  # running trial -> when its last epoch ended
        self._longest = 0.0  # epoch of a trial that runs or ran

    def learn(self, cost: Cost, gain: float | None = 0.0, earlier: bool = False) -> None:
        """Records what a trial that has ended took.

        Args:
            cost: What it took. A `fit` of the user's own may train more than it is asked for.
            gain: Its score, larger is better; `None` if it was not trained whole, so that it can't
                be a finalist.
            earlier: Whether it is of an earlier session, which may have asked for more.
        """
        if cost.epochs:  # else it failed before: what it took says nothing of others
            self._an_epoch.append(cost.training / cost.epochs)
            if gain is not None:
                self._finals.append((gain, cost.training / cost.epochs))
            self._besides.append(cost.besides)
            self._features.append(cost.features)
            if not earlier:
                self._trial_epochs = max(self._trial_epochs, cost.epochs)

    def epoch_ended(self, trial_id: str) -> None:
        """Takes the time of an epoch: before a trial has ended, nothing else tells the pace."""
        if self._an_epoch or not self.is_set:
            return
        now = self._clock()
        if trial_id in self._reported:
            self._longest = max(self._longest, now - self._reported[trial_id])
        self._reported[trial_id] = now

    @property
    def is_set(self) -> bool:
        """Whether there is a deadline."""
        return self._end is not None

    @property
    def _epoch_seconds(self) -> float:
        return _cautious(self._an_epoch) if self._an_epoch else self._longest

    @property
    def reserve(self) -> float:
        """Seconds that finalists and report are expected to take; without a trial, there are none.

        Their features are there. What a slow trial takes that was stopped early, or is in the worse
        half, says nothing of them; of the others, the best one may be the slowest.
        """
        if not self._an_epoch:
            return REPORT_SECONDS
        middle = np.median([gain for gain, _ in self._finals]) if self._finals else 0.0
        better = [seconds for gain, seconds in self._finals if gain >= middle]
        an_epoch = _cautious(better or self._an_epoch, "higher")
        seconds = self._trial_epochs * an_epoch + _cautious(self._besides)
        return self._final_trials * seconds + REPORT_SECONDS

    def fits(self) -> bool:
        """Whether a trial can be expected to end in time, if it takes all its epochs."""
        if self._end is None:
            return True
        seconds = self._trial_epochs * self._epoch_seconds
        if self._besides:  # of features the mean: most trials find what few have computed
            seconds += _cautious(self._besides) + float(np.mean(self._features))
        return self._clock() + seconds + self.reserve <= self._end

    def is_due(self) -> bool:
        """Whether running trials have to stop for the finalists, before another epoch."""
        if self._end is None:
            return False
        return self._clock() + self._epoch_seconds + self.reserve > self._end


def _cautious(seen: Iterable[float], method: Literal["linear", "higher"] = "linear") -> float:
    return float(np.quantile(list(seen), _CAUTION, method=method))
