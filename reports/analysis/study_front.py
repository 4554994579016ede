"""The front of a study with several objectives."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.record.front import Front, arrivals, front_of
from experiments.record.objective import Objective, described
from reports.study.fidelity import EARLY
from reports.study.study import Study, computed_once

# objective -> columns of `Study.trials` that add up to it; others are columns themselves
_COLUMNS = {"params": ("trainable_parameters", "frozen_parameters")}


@dataclass(frozen=True)
class StudyFront:
    """The front over a study's completed trials.

    Args:
        objectives: Of the study; the first ranks trials.
        trials: Completed trials, best first by the first objective, without those of early rounds
            of Hyperband.
        values: `(num_completed, num_objectives)`.
        front: Positions among them.
    """

    objectives: tuple[Objective, ...]
    trials: pd.DataFrame
    values: npt.NDArray[np.float64]
    front: Front

    @property
    def ids(self) -> list[str]:
        """Ids of the front's trials, best first by the first objective."""
        return [str(self.trials.iloc[position]["trial_id"]) for position in self.front.members]

    @property
    def recommended(self) -> int | None:
        """Position of the knee, or of the best where the front does not bend."""
        ranked = self.front.ranked()
        return ranked[0] if ranked else None

    def described(self, position: int, others_only: bool = False) -> str:
        """Returns a trial's values as text."""
        named = self.objectives[1:] if others_only else self.objectives
        values = dict(zip((o.name for o in self.objectives), self.values[position], strict=True))
        return described(values, named)


def value_of_trials(study: Study, trials: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """Returns the trials' values of an objective: `(num_trials,)`, NaN where missing."""
    if name == study.objective:
        return trials["score"].to_numpy(dtype=float)
    columns = _COLUMNS.get(name, (name,))
    values: npt.NDArray[np.float64] = trials[list(columns)].to_numpy(dtype=float)
    return np.asarray(values.sum(axis=1), dtype=np.float64)


def without_early_rounds(study: Study) -> pd.DataFrame:
    """Returns completed trials, best first, without those of early rounds of Hyperband."""
    is_early = study.completed["trial_id"].map(study.handicaps) == EARLY
    return study.completed[~is_early]


@computed_once
def study_front(study: Study) -> StudyFront | None:
    """Returns the front of a study, computed once; `None` for one objective or without trials."""
    if len(study.objectives) < 2 or study.completed.empty:
        return None
    done = without_early_rounds(study)
    values = np.column_stack([value_of_trials(study, done, o.name) for o in study.objectives])
    front = front_of(values.tolist(), study.objectives)
    return StudyFront(study.objectives, done, values, front) if len(front.members) else None


def last_arrival(study: Study) -> int | None:
    """Returns which completed trial, counted by end, was the last to join the front."""
    found = study_front(study)
    if found is None:
        return None
    places = {str(name): place for place, name in enumerate(study.by_end["trial_id"], 1)}
    ends = np.array([places[str(name)] for name in found.trials["trial_id"]])
    order = np.argsort(ends)
    joined = arrivals(found.values[order], [o.direction for o in found.objectives])
    return int(ends[order[joined[-1]]]) if joined else None
