"""Which hyperparameters matter: fANOVA by Optuna, bootstrapped over trials."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.space import Axis

LEAST_TRIALS = 10
_MOST_TRIALS = 150  # a sample of a larger study: fANOVA's time grows with the square
_DRAWS, _TREES = 16, 4


@dataclass(frozen=True)
class Importance:
    """Share of the variance of the score that a hyperparameter explains alone.

    Args:
        name: The hyperparameter.
        mean: Mean share over the bootstrap, 0..1.
        low: 10 % quantile over the bootstrap.
        high: 90 % quantile.
    """

    name: str
    mean: float
    low: float
    high: float


def importances(
    axes: Sequence[Axis], scores: npt.NDArray[np.float64], seed: int
) -> list[Importance]:
    """Estimates main effects, the most important first.

    Source: Hutter, Hoos and Leyton-Brown 2014, "An efficient approach for assessing hyperparameter
    importance", as implemented by Optuna; repeated on bootstrap samples of the trials.

    Args:
        axes: Hyperparameters of completed trials.
        scores: `(num_trials,)`.
        seed: Seed of bootstrap and trees.

    Returns:
        One a hyperparameter; empty where scores don't vary or trials are fewer than 10.
    """
    if len(scores) < LEAST_TRIALS or not axes or np.ptp(scores) == 0:
        return []
    rng = np.random.default_rng([seed, 0xFA])
    sample = np.arange(len(scores))
    if len(scores) > _MOST_TRIALS:
        sample = np.sort(rng.choice(len(scores), _MOST_TRIALS, replace=False))
    shares = []
    for draw in range(_DRAWS):
        chosen = rng.choice(sample, len(sample))
        if np.ptp(scores[chosen]) > 0:
            shares.append(_fanova(axes, scores, chosen, seed=draw))
    table = np.array(shares)
    low, high = np.quantile(table, [0.1, 0.9], axis=0)
    found = [
        Importance(axis.name, float(table[:, i].mean()), float(low[i]), float(high[i]))
        for i, axis in enumerate(axes)
    ]
    return sorted(found, key=lambda importance: -importance.mean)


def _fanova(
    axes: Sequence[Axis], scores: npt.NDArray[np.float64], chosen: npt.NDArray[np.int64], seed: int
) -> list[float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {str(i): _distribution(axis) for i, axis in enumerate(axes)}
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={str(i): _value(axis, row) for i, axis in enumerate(axes)},
                distributions=distributions,
                value=float(scores[row]),
            )
            for row in chosen
        ]
    )
    evaluator = FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks parts of its interface as experimental
        shares = evaluator.evaluate(study, params=list(distributions))
    return [float(shares[str(i)]) for i in range(len(axes))]


def _distribution(axis: Axis) -> "optuna.distributions.BaseDistribution":  # type: ignore[name-defined]  # noqa: F821
    from optuna import distributions

    if axis.labels:
        return distributions.CategoricalDistribution(range(len(axis.labels)))
    return distributions.FloatDistribution(axis.low, axis.high)


def _value(axis: Axis, row: int) -> float | int:
    value = axis.values[row]
    return int(value) if axis.labels else float(value)
