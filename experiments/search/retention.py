"""Which weights stay on disk: those of the best trials and of trials that may be resumed."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.config import SearchConfig
from experiments.record.front import front_of
from experiments.record.layout import CHECKPOINT, SNAPSHOTS, StudyFolder
from experiments.record.objective import Objective


class Retention:
    """Removes weights as the search goes; histories stay.

    Args:
        folder: The study folder.
        objective: Ranks trials.
        num_kept: Trials whose best epoch's weights are kept.
        by_score: Whether trials that were stopped early are ranked with all others.
    """

    def __init__(
        self, folder: Path, objective: Objective, num_kept: int, by_score: bool = False
    ) -> None:
        self._study = StudyFolder(folder)
        self._objective = objective
        self._num_kept = num_kept
        self._by_score = by_score
        # (whether it was stopped early, score, whether it has no weights, trial id), best first
        self._best: list[tuple[bool, float, bool, str]] = []
        self._with_weights: set[str] = set()
        self._held: set[str] = set()  # trials whose training may be resumed

    def score_to_beat(self, stopped: bool = False) -> float | None:
        """Returns the score that a trial's weights need to be kept; `None` while there is room.

        Trials that were stopped early give way to every other one, unless scores alone rank.

        Args:
            stopped: Of a trial that is stopped early.
        """
        if not len(self._best) >= self._num_kept > 0:
            return None
        last_was_stopped, score, *_ = self._best[-1]
        if last_was_stopped == (stopped and not self._by_score):
            return score
        return None if last_was_stopped else self._objective.unbeatable

    def recall(self, trials: Sequence[tuple[str, float | None, Sequence[float] | None]]) -> None:
        """Registers the trials of earlier sessions: id, score and values by objective.

        Of equal ones those stay that have weights.
        """
        for trial in sorted(trials, key=lambda trial: not self._has_weights(trial[0])):
            self._note(*trial)
        self._tidy()

    def ended(
        self, trial_id: str, score: float | None, values: Sequence[float] | None = None
    ) -> None:
        """Registers the end of a trial, and removes weights that are not needed any more.

        Args:
            trial_id: The trial.
            score: Its score; `None` if it has none.
            values: Its value of each objective; `None` if it was stopped early.
        """
        self._note(trial_id, score, values)
        self._tidy()

    def _note(self, trial_id: str, score: float | None, values: Sequence[float] | None) -> None:
        self._held.add(trial_id)
        if self._has_weights(trial_id):
            self._with_weights.add(trial_id)
        if score is not None:
            self._rank(trial_id, score, values is None and not self._by_score)
            del self._best[self._num_kept :]

    def _tidy(self) -> None:
        wanted = self._wanted()
        for trial_id in self._with_weights - wanted:
            self._remove(trial_id, CHECKPOINT)
        self._with_weights &= wanted

    def _wanted(self) -> set[str]:
        return {trial_id for *_, trial_id in self._best}

    def _rank(self, trial_id: str, score: float, was_stopped: bool) -> None:
        """Ranks a trial: of equal ones first what has weights, then as `best_trials` does."""
        self._best.append((was_stopped, score, trial_id not in self._with_weights, trial_id))
        sign = -1 if self._objective.direction == "max" else 1
        self._best.sort(key=lambda of: (of[0], sign * of[1], of[2], int(of[3])))

    def _has_weights(self, trial_id: str) -> bool:
        return self._study.trial(trial_id).checkpoint.is_file()

    def release(self, wanted: set[str]) -> None:
        """Removes the training state of ended trials that are not among `wanted`."""
        for trial_id in self._held - wanted:
            self._remove(trial_id, SNAPSHOTS)
        self._held &= wanted

    def _remove(self, trial_id: str, name: str) -> None:
        for path in self._study.trial(trial_id).path.glob(name):
            with suppress(FileNotFoundError):
                path.unlink()


MOST_KEPT = 20  # trials of the front whose weights are kept


class FrontRetention(Retention):
    """Keeps the weights of the best trials by the first objective, and of the front's.

    Of a front with more than `MOST_KEPT` trials, those that stand closest together lose theirs
    first (crowding distance: Deb et al. 2002, "A fast and elitist multiobjective genetic
    algorithm: NSGA-II").

    Args:
        folder: The study folder.
        objectives: Of the search; the first ranks trials.
        num_kept: Best trials whose weights are kept besides.
        by_score: As of `Retention`.
    """

    def __init__(
        self, folder: Path, objectives: Sequence[Objective], num_kept: int, by_score: bool = False
    ) -> None:
        super().__init__(folder, objectives[0], num_kept, by_score)
        self._objectives = objectives
        self._values: dict[str, Sequence[float]] = {}  # trial id -> values, if it may be kept

    def score_to_beat(self, stopped: bool = False) -> float | None:
        """Returns `None`: whether a trial is on the front is known only when its costs are."""
        return None

    def _note(self, trial_id: str, score: float | None, values: Sequence[float] | None) -> None:
        super()._note(trial_id, score, values)
        if values is not None:
            self._values[trial_id] = values

    def _wanted(self) -> set[str]:
        return super()._wanted() | self._front()

    def _front(self) -> set[str]:
        ids = list(self._values)
        front = front_of(list(self._values.values()), self._objectives)
        places = [p for p, at in enumerate(front.members) if ids[at] in self._with_weights]
        while len(places) > MOST_KEPT:
            crowded = int(np.argmin(_crowding(front.losses[places])))
            del places[crowded]
        return {ids[front.members[place]] for place in places}


def _crowding(losses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns how far apart each point's neighbours are; ends are infinitely far."""
    total = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        gaps = np.full(len(losses), np.inf)
        gaps[order[1:-1]] = column[order[2:]] - column[order[:-2]]
        total += gaps
    return total


def make_retention(folder: Path, config: SearchConfig, by_score: bool = False) -> Retention:
    """Returns what decides whose weights stay in a search.

    Args:
        folder: The study folder.
        config: The search.
        by_score: As of `Retention`: a script takes its best models as Keras Tuner ranks them.
    """
    num_kept = max(config.keep, config.confirm, 1)
    if len(config.objectives) == 1:
        return Retention(folder, config.parsed_objective, num_kept, by_score)
    return FrontRetention(folder, config.objectives, num_kept, by_score)
