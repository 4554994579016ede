"""Expected validation performance: the best score a budget of n trials can be expected to find."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.statistics.estimates import Scores

LEAST_DRAWS = 30  # with fewer, a band can't hold: a score of one trial in ten may not have come up
CONFIDENCE = 0.9
_JACKKNIFE = 0.998  # its own level: it covers less where scores are of two kinds
_QUANTILES = (0.35, 0.65)  # of the best of n, between which its expectation lies, or near them
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """Expected best score after 1..n independent trials, with a 90 % band.

    Args:
        trials: `(k,)`, numbers of trials; well below the number of scores.
        mean: `(k,)`, expected best.
        low: `(k,)`, lower end of the band.
        high: `(k,)`, upper end.
        count: Scores it was estimated from.
    """

    trials: npt.NDArray[np.int64]
    mean: _Array
    low: _Array
    high: _Array
    count: int


def expected_best(
    scores: Scores, trials: npt.NDArray[np.int64], direction: str = "max", replacement: bool = False
) -> npt.NDArray[np.float64]:
    """Returns the expected best of n of the scores, drawn without replacement.

    For independent scores this is unbiased at any n. With replacement (Dodge et al. 2019), small
    samples give values that are too low. E[max] = sum over i of x_(i) C(i - 1, n - 1) / C(N, n),
    x_(i) the i-th of N scores. Sources: Tang et al. 2020, "Showing your work doesn't always work";
    Dodge et al. 2021, "Expected validation performance and estimation of a random variable's
    maximum".

    Args:
        scores: `(num_trials,)`, drawn independently of each other; or `(draws, num_trials)` for
            many samples at once.
        trials: `(k,)`, the numbers n, at most `num_trials`.
        direction: `"max"` or `"min"`.
        replacement: Whether scores are drawn with replacement: biased, and steadier where n is
            near the number of scores.

    Returns:
        `(k,)`, or `(draws, k)`.

    Raises:
        ValueError: An n is larger than the number of scores.
    """
    sign = 1.0 if direction == "max" else -1.0
    ordered = np.sort(sign * np.asarray(scores, dtype=float))
    count = ordered.shape[-1]
    if replacement:  # ties need no care: their terms telescope
        shares = (np.arange(count + 1) / count)[:, None] ** np.asarray(trials)[None, :]
        return np.asarray(sign * (ordered @ np.diff(shares, axis=0)))
    if np.any(np.asarray(trials) > count):
        raise ValueError(f"expected at most {count} trials, one a score; got {max(trials)}")
    return np.asarray(sign * (ordered @ _weights(count, np.asarray(trials))))


def _weights(count: int, trials: npt.NDArray[np.int64]) -> _Array:
    """Returns the chance of each score, from the worst, to be the best of n: `(count, k)`."""
    place, n = np.arange(1, count + 1)[:, None], trials[None, :]
    possible = place >= n
    ways = _log_choose(np.where(possible, place - 1, n - 1), n - 1) - _log_choose(count, n)
    return np.where(possible, np.exp(ways), 0.0)


def _log_choose(n: npt.NDArray[np.int64] | int, k: npt.NDArray[np.int64]) -> _Array:
    return np.asarray(
        special.gammaln(np.add(n, 1)) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    )


def expected_performance(
    scores: Scores, direction: str = "max", points: int = 60
) -> Expected | None:
    """Estimates the curve with a 90 % band, for budgets well below the number of scores.

    The band is the union of two intervals that fail in different cases. The jackknife's is normal
    on average, and too short for long tails. The other is between order statistics that hold the
    35 % and the 65 % point of the best of n with 95 % each, whatever the distribution (David and
    Nagaraja 2003, "Order statistics", section 7.1). The band ends where the second interval has no
    upper end, at about a seventh of the scores. In `benchmarks/believing/search.py` it covers 90 %
    or more.

    Args:
        scores: `(num_trials,)`, finite, drawn independently of results.
        direction: `"max"` or `"min"`.
        points: Most numbers of trials; if fewer than the trials, they are spread evenly in log
            scale.

    Returns:
        The curve, or `None` where scores are fewer than 30.
    """
    count = len(scores)
    if count < LEAST_DRAWS:
        return None
    sign = 1.0 if direction == "max" else -1.0
    ordered = np.sort(sign * np.asarray(scores, dtype=float))
    trials = np.unique(np.geomspace(1, _largest(count), points).round().astype(np.int64))
    mean = ordered @ _weights(count, trials)
    half = _jackknife(ordered, trials) * special.stdtrit(count - 1, (1 + _JACKKNIFE) / 2)
    lower, upper = _order_statistics(ordered, trials)
    low, high = np.minimum(mean - half, lower), np.maximum(mean + half, upper)
    if direction == "min":
        low, high = -high, -low
    return Expected(trials, sign * mean, low, high, count)


def same_budget(curves: Sequence[Expected]) -> list[Expected]:
    """Returns curves up to the largest budget that all of them have, for comparing them there."""
    budget = min(int(curve.trials[-1]) for curve in curves)
    trials = np.unique(np.concatenate([curve.trials for curve in curves]))
    kept = trials[trials <= budget]
    even = []
    for curve in curves:
        ends = [np.interp(kept, curve.trials, y) for y in (curve.mean, curve.low, curve.high)]
        even.append(Expected(kept, ends[0], ends[1], ends[2], curve.count))
    return even


def _largest(count: int) -> int:
    """Returns the largest n whose upper end is among `count` scores."""
    return int(count * np.log(_QUANTILES[1]) / np.log((1 - CONFIDENCE) / 2))


def _jackknife(ordered: _Array, trials: npt.NDArray[np.int64]) -> _Array:
    """Returns the standard error of the expected best, by leaving out a score at a time."""
    count = len(ordered)
    weights = _weights(count - 1, trials)
    below = np.vstack([np.zeros(len(trials)), np.cumsum(ordered[:-1, None] * weights, axis=0)])
    above = np.cumsum((ordered[1:, None] * weights)[::-1], axis=0)[::-1]
    without = below + np.vstack([above, np.zeros(len(trials))])
    deviations = without - without.mean(axis=0)
    return np.asarray(np.sqrt((count - 1) / count * (deviations**2).sum(axis=0)))


def _order_statistics(ordered: _Array, trials: npt.NDArray[np.int64]) -> tuple[_Array, _Array]:
    """Returns scores between which the typical best of n lies."""
    count, tail = len(ordered), (1 - CONFIDENCE) / 2
    low, high = (quantile ** (1 / trials) for quantile in _QUANTILES)
    first = stats.binom.ppf(tail, count, low).astype(int)
    last = stats.binom.ppf(1 - tail, count, high).astype(int) + 1
    return ordered[np.maximum(first, 1) - 1], ordered[np.minimum(last, count) - 1]
