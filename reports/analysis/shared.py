"""Statistics of one study that several figures share, each computed once.

`scores_of` and `axes_of` cover the networks that ended by themselves. Statistics that take networks
as a sample of the space use `networks.population`: one row a network, at equal fidelity.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.analysis.draws import Draws, independent
from reports.analysis.networks import finished, population
from reports.statistics.effects import Effect, effects
from reports.statistics.importance import Shares, importances
from reports.statistics.space import Axis, axis
from reports.statistics.surrogate import Surrogate, fit_surrogate
from reports.statistics.wide import is_wide, shares_beaten
from reports.study.study import Study, computed_once


def scores_of(study: Study) -> npt.NDArray[np.float64]:
    """Scores of the networks that ended by themselves, best first: `(num_networks,)`."""
    return finished(study)["score"].to_numpy(dtype=float)


@computed_once
def axes_of(study: Study) -> list[Axis]:
    """Varied hyperparameters of the networks that ended by themselves, best first."""
    return axes_in(study, finished(study), study.searched)


@computed_once
def compared_axes(study: Study) -> list[Axis]:
    """Varied hyperparameters of the networks of `population`, best first."""
    return axes_in(study, population(study).frame, study.searched)


def axes_in(
    study: Study, frame: pd.DataFrame, names: Iterable[str], as_choices: bool = False
) -> list[Axis]:
    """Returns the hyperparameters among `names` that took several values in `frame`.

    Args:
        study: The study.
        frame: Networks.
        names: Hyperparameters.
        as_choices: Whether numbers are compared value by value, as choices are.
    """
    other = {"kind": "Choice", "values": []} if as_choices else {}
    return [
        axis(study.hyperparameters[name] | {"name": name} | other, list(frame[name]))
        for name in names
        if frame[name].dropna().astype(str).nunique() > 1
    ]


@computed_once
def draws_of(study: Study) -> Draws:
    """The trials that were proposed independently of results."""
    return independent(study)


def drawn_scores(study: Study) -> npt.NDArray[np.float64] | None:
    """Scores of a random sample of the space, trained to their end, best first.

    `None` where there is none: networks were stopped early, or results chose most of them.
    """
    found = population(study)
    if found.epoch is not None or found.problem or not draws_of(study).whole:
        return None
    return found.drawn["score"].to_numpy(dtype=float)


@computed_once
def effects_of(study: Study) -> list[Effect]:
    """Tests of every varied hyperparameter, on networks drawn independently of results."""
    drawn = population(study).drawn
    axes = axes_in(study, drawn, study.searched)
    return effects(axes, drawn["score"].to_numpy(dtype=float), study.seed)


@computed_once
def shares_of(study: Study) -> Shares | None:
    """Share of every varied hyperparameter, over the space, by a model of all networks.

    Wide scores count by the share of networks that each beats: one that diverged would be all.
    """
    scores = population(study).scores
    if is_wide(scores, study.objective):
        scores = shares_beaten(scores, study.direction)
    return importances(compared_axes(study), scores, study.seed)


def by_importance(study: Study) -> list[str]:
    """Varied hyperparameters, the most important first; by trials that use them if unknown."""
    shares = shares_of(study)
    if shares is not None:
        return [importance.name for importance in shares.importances]
    axes = compared_axes(study) or axes_of(study)
    return [a.name for a in sorted(axes, key=lambda a: -int(a.active.sum()))]


@computed_once
def surrogate_of(study: Study) -> Surrogate | None:
    """The forest that predicts scores of `population` from hyperparameters."""
    return fit_surrogate(compared_axes(study), population(study).scores, study.seed)
