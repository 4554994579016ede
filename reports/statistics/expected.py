"""Expected validation performance: the best score a budget of n trials can be expected to find."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.estimates import Scores

_BOOTSTRAP_MOST = 2000  # scores; a larger study is thinned, its band is narrow anyway


@dataclass(frozen=True)
class Expected:
    """Expected best score after 1..n trials, with a 95 % band.

    Args:
        trials: `(k,)`, numbers of trials.
        mean: `(k,)`, expected best.
        low: `(k,)`, lower end of the bootstrap band.
        high: `(k,)`, upper end.
        count: Scores it was estimated from.
    """

    trials: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    count: int


def expected_best(
    scores: Scores, trials: npt.NDArray[np.int64], direction: str = "max"
) -> npt.NDArray[np.float64]:
    """Returns the expected best of n scores drawn from the empirical distribution.

    E[max] = sum over the distinct values v of v (F(v)^n - F(v-)^n), F the share of scores at or
    below v. Source: Dodge et al. 2019, "Show your work: improved reporting of experimental
    results", equations 7 and 8.

    Args:
        scores: `(num_trials,)`, or `(draws, num_trials)` for many samples at once.
        trials: `(k,)`, the numbers n.
        direction: `"max"` or `"min"`.

    Returns:
        `(k,)`, or `(draws, k)`.
    """
    sign = 1.0 if direction == "max" else -1.0
    ordered = np.sort(sign * np.asarray(scores, dtype=float), axis=-1)
    count = ordered.shape[-1]
    # Ties need no care: their terms telescope.
    shares = (np.arange(count + 1) / count)[:, None] ** trials[None, :]
    return np.asarray(sign * (ordered @ np.diff(shares, axis=0)))


def expected_performance(
    scores: Scores, seed: int, direction: str = "max", points: int = 60, draws: int = 500
) -> Expected:
    """Estimates the curve with a percentile-bootstrap band over trials.

    Args:
        scores: `(num_trials,)`, finite.
        seed: Seed of the bootstrap.
        direction: `"max"` or `"min"`.
        points: Numbers of trials at most; fewer than trials, they are spread evenly in log scale.
        draws: Bootstrap samples.
    """
    values = np.asarray(scores, dtype=float)
    count = len(values)
    trials = np.unique(np.geomspace(1, count, points).round().astype(np.int64))
    if count <= points:
        trials = np.arange(1, count + 1)
    rng = np.random.default_rng([seed, 0xE7])
    size = min(count, _BOOTSTRAP_MOST)
    samples = values[rng.integers(count, size=(draws, size))]
    curves = expected_best(samples, trials, direction)
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return Expected(trials, expected_best(values, trials, direction), low, high, count)
