"""Searches on several workers in simulated time, an epoch at a time, in the order of their ends."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contenders import OBJECTIVE


@dataclass
class Incumbents:
    """What a search would have answered at any time.

    Args:
        times: Seconds at which the best trial so far became another, or got better.
        trials: Values and epochs of that trial, at the same places.
        best: Its score, as the search saw it.
    """

    times: list[float] = field(default_factory=list)
    trials: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    best: float = float("-inf")

    def note(self, now: float, score: float, values: dict[str, Any], epoch: int) -> None:
        """Takes notice of the score of a trial after an epoch."""
        if score > self.best:
            self.best = score
            self.times.append(now)
            self.trials.append((values, epoch))


@dataclass(frozen=True)
class Spent:
    """How a simulated search spent its time.

    Args:
        busy: Share of the workers' seconds that were spent in trials, until the last trial began
            and until the end.
        begun: Number of trials.
        seconds: Seconds of the whole search.
    """

    busy: tuple[float, float]
    begun: int
    seconds: float


def simulate(
    oracle: Any,
    num_workers: int,
    num_epochs: int,
    score: Callable[[Any, int], float],
    seconds: Callable[[Any, int], float],
    most_trials: int,
    most_seconds: float = float("inf"),
    incumbents: Incumbents | None = None,
) -> Spent:
    """Runs trials of an oracle on workers that ask for the next as soon as one has ended.

    Args:
        oracle: The oracle; where it has a worker wait, that asks again when the next trial ends.
        num_workers: Number of workers.
        num_epochs: Epochs of a trial, where the oracle does not say.
        score: Returns what a trial reaches after an epoch, counted from 0.
        seconds: Returns the seconds of an epoch of a trial, counted from 0.
        most_trials: Trials that are begun at most.
        most_seconds: Time at which the search is cut off.
        incumbents: Receives each better score.
    """
    now, busy, begun, at_last_begin = 0.0, 0.0, 0, (0.0, 0.0)
    idle = list(range(num_workers))
    events: list[tuple[float, int, Any, int]] = []  # end of an epoch, worker, trial, epoch
    while True:
        for worker in list(idle) if begun < most_trials else []:
            trial = oracle.create_trial(f"worker{worker}")
            if trial.status != "RUNNING":
                continue
            begun, at_last_begin = begun + 1, (busy, now)
            idle.remove(worker)
            first = int(trial.hyperparameters.values.get("tuner/initial_epoch", 0))
            heapq.heappush(events, (now + seconds(trial, first), worker, trial, first))
        if not events or events[0][0] > most_seconds:
            spans = (at_last_begin, (busy, now))
            shares = [worked / (span * num_workers) if span else 0.0 for worked, span in spans]
            return Spent((shares[0], shares[1]), begun, now)
        before = now
        now, worker, trial, epoch = heapq.heappop(events)
        busy += (now - before) * (num_workers - len(idle))
        reached = score(trial, epoch)
        if incumbents is not None:
            incumbents.note(now, reached, dict(trial.hyperparameters.values), epoch)
        if _goes_on(oracle, trial, epoch, reached, num_epochs):
            heapq.heappush(events, (now + seconds(trial, epoch + 1), worker, trial, epoch + 1))
        else:
            idle.append(worker)


def _goes_on(oracle: Any, trial: Any, epoch: int, reached: float, num_epochs: int) -> bool:
    """Reports an epoch; ends the trial if it was the last, or if it is to be stopped."""
    values = trial.hyperparameters.values
    answer = oracle.update_trial(trial.trial_id, {OBJECTIVE.name: reached}, step=epoch)
    if epoch + 1 < int(values.get("tuner/epochs", num_epochs)):
        if answer.status != "STOPPED":
            return True
        trial.message = f"pruned after {epoch + 1} epochs"
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    return False
