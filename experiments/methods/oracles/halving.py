"""Asynchronous successive halving: promotes trials at each rung without waiting for others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

from experiments.methods.oracles.base import Status
from experiments.record.bookkeeping import own_values
from experiments.record.fidelity import is_paused

_SPARE = 2  # paused trials whose training is kept, per one that the rung has room for
ORIGIN = "tuner/trial_id"


@dataclass(frozen=True)
class Place:
    """A trial at a rung.

    Args:
        trial_id: The trial.
        value: Its best objective until its first report there or later.
    """

    trial_id: str
    value: float


class Halving:
    """Asynchronous successive halving, and asynchronous Hyperband where there are several brackets.

    A trial that reaches a rung continues if it is among the best one in `factor` of those that have
    reached it so far; else it is stopped there. One that was stopped is promoted later, if it then
    is among them: it continues from there. No trial waits for another one. A rung is reached with
    the first report there or later: the objective may not be measured in every epoch. Source: Li et
    al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020.

    Args:
        max_epochs: Epochs of a trial that is never stopped.
        objective: Name of what trials are compared by.
        direction: `"max"` or `"min"`.
        factor: One in so many is promoted.
        num_brackets: Brackets that trials are put in by turns; each begins a rung later.
    """

    def __init__(
        self,
        max_epochs: int,
        objective: str,
        direction: str,
        factor: int = 3,
        num_brackets: int = 1,
    ) -> None:
        self._objective, self._sign = objective, 1.0 if direction == "max" else -1.0
        self._factor = factor
        rungs = []  # epochs after which there is a decision
        epochs = 1
        while epochs < max_epochs:
            rungs.append(epochs)
            epochs *= factor
        self._brackets = [rungs[first:] for first in range(min(num_brackets, len(rungs)) or 1)]
        self.fidelities = [*rungs, max_epochs]  # epochs after which trials can be compared
        # trial id -> metrics of a trial that has ended, and its best by epoch
        self._ended: dict[str, tuple[Any, dict[int, float]]] = {}

    def stops(self, trial: Any, trials: Mapping[str, Any], step: int) -> bool:
        """Whether `trial`, which has just ended epoch `step` (from 0), is to be stopped."""
        # A promoted trial that had to begin again was at earlier rungs as its origin.
        before = [e for e in self._reached(trial, trials) if e <= step]
        since = max([_initial_epoch(trial), *before])
        rungs = [e for e in self._rungs(trial, trials) if since < e <= step + 1]
        if not rungs:
            return False
        places = self._places(rungs[-1], self._bracket(trial, trials), trials)
        return trial.trial_id not in self._best(places)

    def promoted_values(self, trials: Mapping[str, Any], max_epochs: int) -> dict[str, Any] | None:
        """Returns the values of a trial that promotes a stopped one; `None` without one."""
        promotion = self.promotable(trials)
        if promotion is None:
            return None
        origin, epochs = promotion
        return own_values(origin.hyperparameters.values) | {
            ORIGIN: origin.trial_id,
            "tuner/initial_epoch": epochs,
            "tuner/epochs": max_epochs,
        }

    def promotable(self, trials: Mapping[str, Any]) -> tuple[Any, int] | None:
        """Returns a stopped trial to promote, and its epochs so far; highest rungs first."""
        promoted = origins(trials.values())
        for bracket, rungs in enumerate(self._brackets):
            for epochs in reversed(rungs):
                places = self._places(epochs, bracket, trials)
                for trial_id in self._best(places):
                    if trial_id not in promoted and self._is_paused(
                        trial_id, trials, rungs, epochs
                    ):
                        return trials[trial_id], self._last(trials[trial_id], trials)
        return None

    def promotion_candidates(self, trials: Mapping[str, Any]) -> set[str]:
        """Returns the stopped trials that have a chance to be promoted."""
        found: set[str] = set()
        promoted = origins(trials.values())
        for bracket, rungs in enumerate(self._brackets):
            for epochs in rungs:
                places = self._places(epochs, bracket, trials)
                near = self._ranked(places)[: _SPARE * (len(places) // self._factor + 1)]
                found.update(
                    p.trial_id for p in near if self._is_paused(p.trial_id, trials, rungs, epochs)
                )
        return found - promoted

    def value_at(self, trial: Any, epochs: int, trials: Mapping[str, Any]) -> float | None:
        """Returns the best objective of a trial until `epochs`; `None` if it has not got there.

        One that was promoted has been there with its origin. One that was trained to its end has
        been everywhere, with as many epochs as it took.
        """
        reached = self._reached(trial, trials)
        if epochs in reached:
            return self._sign * reached[epochs]
        if epochs <= _initial_epoch(trial) and (origin := trials.get(str(_origin(trial)))):
            return self.value_at(origin, epochs, trials)
        value = _value_from(epochs, reached)
        if value is not None:
            return self._sign * value
        if reached and trial.status == Status.COMPLETED and not is_paused(trial):
            return self._sign * max(reached.values())
        return None

    def _rungs(self, trial: Any, trials: Mapping[str, Any]) -> list[int]:
        return self._brackets[self._bracket(trial, trials)]

    def _bracket(self, trial: Any, trials: Mapping[str, Any]) -> int:
        while (origin := _origin(trial)) in trials:
            trial = trials[origin]
        bracket = int(trial.trial_id) % len(self._brackets)
        first = next(iter(self._brackets[bracket]), 0) if bracket else 0
        # Stopped before this bracket begins: there were other brackets then.
        return 0 if is_paused(trial) and self._last(trial, trials) < first else bracket

    def _places(self, epochs: int, bracket: int, trials: Mapping[str, Any]) -> list[Place]:
        """Returns the trials that have reached a rung; one that was promoted stands for itself."""
        places = []
        for trial in trials.values():
            if _initial_epoch(trial) >= epochs:
                continue  # it reached this rung as the trial it was promoted from
            value = _value_from(epochs, self._reached(trial, trials))
            if value is not None and self._bracket(trial, trials) == bracket:
                places.append(Place(trial.trial_id, value))
        return places

    def _reached(self, trial: Any, trials: Mapping[str, Any]) -> dict[int, float]:
        """Returns the best objective until each epoch, from 1, that was reported.

        A promoted trial begins with the best of its origin, whose network it continues to train.
        """
        metrics, known = self._ended.get(trial.trial_id, (None, {}))
        if metrics is trial.metrics:
            return known
        reached = {}
        if trial.status != Status.FAILED and trial.metrics.exists(self._objective):
            best = self._before(trial, trials)
            history = trial.metrics.get_history(self._objective)
            means = {o.step + 1: sum(o.value) / len(o.value) for o in history}
            last = max((epoch for epoch, mean in means.items() if not isnan(mean)), default=0)
            for epoch, mean in means.items():
                if isnan(mean) and epoch < last:
                    continue  # it was not measured there
                if isfinite(mean):
                    best = max(best, self._sign * mean)
                reached[epoch] = best
        if trial.status == Status.COMPLETED:
            self._ended[trial.trial_id] = (trial.metrics, reached)
        return reached

    def _before(self, trial: Any, trials: Mapping[str, Any]) -> float:
        """Returns the best value of a trial's origin until the epoch of its promotion."""
        origin, epochs = trials.get(str(_origin(trial))), _initial_epoch(trial)
        if origin is None:
            return float("-inf")
        reached = self._reached(origin, trials)
        return max((v for e, v in reached.items() if e <= epochs), default=float("-inf"))

    def _ranked(self, places: Iterable[Place]) -> list[Place]:
        return sorted(places, key=lambda p: (-p.value, int(p.trial_id)))

    def _best(self, places: list[Place]) -> list[str]:
        """Returns the trials to promote; of the first few, the best alone."""
        room = max(1, len(places) // self._factor)
        return [place.trial_id for place in self._ranked(places)[:room]]

    def _is_paused(
        self, trial_id: str, trials: Mapping[str, Any], rungs: Iterable[int], epochs: int
    ) -> bool:
        """Whether a trial was stopped at a rung: the last of its bracket that it has reached.

        It may have gone on for some epochs from there, to where there was a rung before `factor`
        was changed. One that has gone on to where trials end now has nothing left to train.
        """
        trial = trials[trial_id]
        last = self._last(trial, trials)
        if not is_paused(trial) or last >= self.fidelities[-1]:
            return False
        return max((r for r in rungs if r <= last), default=0) == epochs

    def _last(self, trial: Any, trials: Mapping[str, Any]) -> int:
        """Returns the epochs that were reported of a trial, those before a promotion included."""
        return max(self._reached(trial, trials), default=0)


def _value_from(epochs: int, reached: Mapping[int, float]) -> float | None:
    """Returns the best until the first report after `epochs` or more; `None` before there is one.

    The objective may not be measured in every epoch.
    """
    if epochs in reached:
        return reached[epochs]
    return next((value for epoch, value in reached.items() if epoch > epochs), None)


def _initial_epoch(trial: Any) -> int:
    return int(trial.hyperparameters.values.get("tuner/initial_epoch", 0))


def _origin(trial: Any) -> Any:
    return trial.hyperparameters.values.get(ORIGIN)


def origins(trials: Iterable[Any]) -> set[str]:
    """Returns the trials that were promoted to others."""
    return {_origin(t) for t in trials} - {None}
