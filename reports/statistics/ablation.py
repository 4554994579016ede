"""From the default to the best: what each change gained, by a surrogate of the trials."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.statistics.space import Axis
from reports.statistics.surrogate import Surrogate


@dataclass(frozen=True)
class Ablation:
    """A path of single changes.

    Args:
        names: The hyperparameter changed at each step.
        scores: Predicted score before any change and after each, one more than names.
        fit: Out-of-bag R² of the surrogate.
        count: Trials it was fitted to.
    """

    names: tuple[str, ...]
    scores: tuple[float, ...]
    fit: float
    count: int


def ablation(
    axes: Sequence[Axis], surrogate: Surrogate, target: int, direction: str
) -> Ablation | None:
    """Walks from the default to the values of trial `target`, by the best change each time.

    Source: Fawcett and Hoos 2016, "Analysing differences between algorithm configurations through
    ablation"; with a surrogate instead of new trainings, Biedenkapp et al. 2017.

    Args:
        axes: Hyperparameters of completed trials.
        surrogate: Fitted to these axes.
        target: Position of the target trial.
        direction: `"max"` or `"min"`.

    Returns:
        The path, or `None` where nothing differs.
    """
    differing = [i for i, axis in enumerate(axes) if axis.values[target] != axis.default]
    if not differing:
        return None
    goal = np.array([axis.unit[target] for axis in axes])
    current = np.array([(a.default - a.low) / ((a.high - a.low) or 1.0) for a in axes])
    names, path = [], [float(surrogate.predict(current[None])[0])]
    while differing:
        trials = np.repeat(current[None], len(differing), axis=0)
        for row, column in enumerate(differing):
            trials[row, column] = goal[column]
        predicted = surrogate.predict(trials)
        pick = int(np.argmax(predicted if direction == "max" else -predicted))
        current, column = trials[pick], differing.pop(pick)
        names.append(axes[column].name)
        path.append(float(predicted[pick]))
    return Ablation(tuple(names), tuple(path), surrogate.fit, len(surrogate.table))
