"""Statistics of one study that several figures share, each computed once."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from reports.statistics.importance import Importance, importances
from reports.statistics.space import Axis, axis
from reports.statistics.surrogate import Surrogate, fit_surrogate
from reports.study import Study

T = TypeVar("T")


def _once(study: Study, name: str, compute: Callable[[], T]) -> T:
    if name not in study.memory:
        study.memory[name] = compute()
    value: T = study.memory[name]
    return value


def scores_of(study: Study) -> npt.NDArray[np.float64]:
    """Scores of the completed trials, best first: `(num_completed,)`."""
    return study.completed["score"].to_numpy(dtype=float)


def axes_of(study: Study) -> list[Axis]:
    """Varied hyperparameters of the completed trials, best trial first."""

    def compute() -> list[Axis]:
        done = study.completed
        return [
            axis(study.hyperparameters[name] | {"name": name}, list(done[name]))
            for name in study.searched
            if done[name].dropna().astype(str).nunique() > 1
        ]

    return _once(study, "axes", compute)


def importances_of(study: Study) -> list[Importance]:
    """Importance of every varied hyperparameter, the most important first."""
    return _once(
        study,
        "importances",
        lambda: importances(axes_of(study), scores_of(study), study.seed),
    )


def by_importance(study: Study) -> list[str]:
    """Varied hyperparameters, the most important first; by trials that use them if unknown."""
    ranked = [importance.name for importance in importances_of(study)]
    if ranked:
        return ranked
    return [a.name for a in sorted(axes_of(study), key=lambda a: -int(a.active.sum()))]


def surrogate_of(study: Study) -> Surrogate | None:
    """The forest that predicts scores from hyperparameters."""
    return _once(
        study,
        "surrogate",
        lambda: fit_surrogate(axes_of(study), scores_of(study), study.seed),
    )
