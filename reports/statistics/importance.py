"""How much each hyperparameter explains: shares of a Gaussian process' variance over the space.

Trials are often not an even sample of the space: a method that learns proposes more where scores
are good. So the shares are computed from a model of the trials, at points drawn evenly from the
space.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reports.statistics.space import Axis, drawn

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

LEAST_TRIALS = 10
LEAST_FIT = 0.3  # below, the model explains too little to give shares
_MOST_TRIALS = 150  # a sample of a larger study: the model's time grows with the cube
_DRAWS, _BINS = 60, 32
_FINENESS = 0.02  # resolution of a share from that many points and bins
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Importance:
    """Share of the variance of the score that a hyperparameter explains alone.

    Args:
        name: The hyperparameter.
        mean: Its share, 0..1.
        low: Lower end of an 80 % band: the 10 % quantile over functions that fit the trials equally
            well, minus what the model leaves unexplained.
        high: Upper end, likewise.
    """

    name: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Shares:
    """Shares of all hyperparameters, the largest first.

    Args:
        importances: One a hyperparameter.
        fit: R² of the model on networks it was not fitted to.
        count: Networks it was fitted to.
    """

    importances: tuple[Importance, ...]
    fit: float
    count: int


def importances(axes: Sequence[Axis], scores: _Array, seed: int) -> Shares | None:
    """Estimates main effects over the space, evenly weighted, under its conditions.

    These are first-order Sobol indices of a Gaussian process, over samples of its posterior. So the
    quantiles are wide where trials are few. A conditional hyperparameter counts only where it is
    used; elsewhere it has no value that could stand for its parent's. Source: Oakley and O'Hagan
    2004, "Probabilistic sensitivity analysis of complex models: a Bayesian approach"; fANOVA
    (Hutter, Hoos and Leyton-Brown 2014) estimates the same by a forest.

    Args:
        axes: Hyperparameters of networks.
        scores: `(num_networks,)`, at equal fidelity.
        seed: Seed of points and samples.

    Returns:
        The shares; `None` where scores don't vary or networks are fewer than 10.
    """
    if len(scores) < LEAST_TRIALS or not axes or np.ptp(scores) == 0:
        return None
    rng = np.random.default_rng([seed, 0xFA])
    chosen = rng.permutation(len(scores))[:_MOST_TRIALS]
    if np.ptp(scores[chosen]) == 0:
        return None
    units = np.column_stack([axis.unit for axis in axes])[chosen]
    active = np.column_stack([axis.active for axis in axes])[chosen]
    standard = (scores[chosen] - scores[chosen].mean()) / scores[chosen].std()
    model = _fitted(_features(axes, units, active), standard)
    points, used = drawn(axes, seed)
    functions = _sampled(model, _features(axes, points, used), rng)
    places = [_bins(axis, points[:, i]) for i, axis in enumerate(axes)]
    table = np.array([[_share(f, p, u) for p, u in zip(places, used.T, strict=True)]
                      for f in functions])  # fmt: skip
    fit = _fit(model, standard)
    low, high = np.quantile(table, [0.1, 0.9], axis=0)
    low, high = low - (1 - fit) - _FINENESS, high + (1 - fit) + _FINENESS
    found = [
        Importance(axis.name, float(table[:, i].mean()), max(float(low[i]), 0.0),
                   min(float(high[i]), 1.0))
        for i, axis in enumerate(axes)
    ]  # fmt: skip
    ranked = sorted(found, key=lambda importance: -importance.mean)
    return Shares(tuple(ranked), fit, len(chosen))


def _features(axes: Sequence[Axis], units: _Array, active: npt.NDArray[np.bool_]) -> _Array:
    """Returns a column for each number and each value of a choice; unused ones are halfway."""
    columns = []
    for i, axis in enumerate(axes):
        if len(axis.labels) > 2:
            level = np.round(units[:, i] * (len(axis.labels) - 1)).astype(int)
            ones = np.eye(len(axis.labels))[level]
            columns.append(np.where(active[:, [i]], ones, 1 / len(axis.labels)))
        else:
            columns.append(np.where(active[:, [i]], units[:, [i]], 0.5))
    return np.hstack(columns)


def _fitted(features: _Array, scores: _Array) -> "GaussianProcessRegressor":
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = Matern(np.ones(features.shape[1]), (0.1, 50.0), nu=2.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * scales + WhiteKernel(0.1, (1e-5, 2.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a scale at its bound: the hyperparameter does nothing
        return GaussianProcessRegressor(
            kernel, alpha=1e-8, n_restarts_optimizer=2, random_state=0
        ).fit(features, scores)


def _sampled(model: "GaussianProcessRegressor", points: _Array, rng: np.random.Generator) -> _Array:
    """Returns functions of the posterior at points, `(draws, num_points)`, without noise."""
    from sklearn.gaussian_process.kernels import Sum

    assert isinstance(model.kernel_, Sum)
    smooth = model.kernel_.k1
    across = smooth(points, model.X_train_)
    mean = across @ model.alpha_
    half = np.linalg.solve(model.L_, across.T)
    left, sizes, _ = np.linalg.svd(smooth(points) - half.T @ half, hermitian=True)
    kept = sizes > 1e-9 * max(float(sizes[0]), 1e-12)
    root = left[:, kept] * np.sqrt(sizes[kept])
    return np.asarray(mean + rng.normal(size=(_DRAWS, int(kept.sum()))) @ root.T)


def _fit(model: "GaussianProcessRegressor", scores: _Array) -> float:
    """Returns R² of leaving one out (Rasmussen and Williams 2006, equation 5.12)."""
    inverse = np.linalg.inv(model.L_)
    diagonal = (inverse**2).sum(axis=0)
    return float(1 - np.mean((model.alpha_ / diagonal) ** 2) / np.var(scores))


def _bins(axis: Axis, values: _Array) -> npt.NDArray[np.int64]:
    levels = axis.levels
    if levels is not None:
        return np.asarray(np.abs(values[:, None] - levels).argmin(axis=1))
    return np.minimum((values * _BINS).astype(np.int64), _BINS - 1)


def _share(values: _Array, bins: npt.NDArray[np.int64], used: npt.NDArray[np.bool_]) -> float:
    """Returns the variance of means over a hyperparameter's values, as a share of all variance."""
    inside, places, total = values[used], bins[used], float(values.var())
    if not len(inside) or total == 0:
        return 0.0
    counts = np.bincount(places)
    means = np.bincount(places, inside) / np.maximum(counts, 1)
    between = float((counts * (means - inside.mean()) ** 2).sum())
    within = float(((inside - means[places]) ** 2).sum())
    groups = int((counts > 0).sum())
    chance = within / max(len(inside) - groups, 1) * (groups - 1)
    share = max(between - chance, 0.0) / len(values) / total
    return min(share, 1.0) if math.isfinite(share) else 0.0
