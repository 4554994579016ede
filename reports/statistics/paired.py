"""Two arms against each other: paired tests, correction, superiority, seeds needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.statistics.estimates import Scores

_EXACT_BELOW = 25  # discordant pairs; below, the chi-square approximation is poor
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two models on the same images.

    Args:
        only_first: Images that only the first got right.
        only_second: Images that only the second got right.
        count: Images in all.
        p: Two-sided p-value of equal accuracy.
        exact: Whether it is the exact binomial test.
    """

    only_first: int
    only_second: int
    count: int
    p: float
    exact: bool


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> McNemar:
    """Tests whether two models err on equally many of the same images.

    Exact (binomial) where fewer than 25 images are discordant, else chi-square with the continuity
    correction of Edwards. Source: McNemar 1947, "Note on the sampling error of the difference
    between correlated proportions"; Dietterich 1998 for its use with classifiers.

    Args:
        first: `(num_images,)`, whether the first model is right.
        second: `(num_images,)`, whether the second is.

    Raises:
        ValueError: They are not of one length.
    """
    if len(first) != len(second):
        raise ValueError(f"expected the same images; got {len(first)} and {len(second)}")
    b, c = int(np.sum(first & ~second)), int(np.sum(~first & second))
    exact = b + c < _EXACT_BELOW
    if b + c == 0:
        p = 1.0
    elif exact:
        p = min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5)))
    else:
        p = float(special.chdtrc(1, (abs(b - c) - 1) ** 2 / (b + c)))
    return McNemar(b, c, len(first), p, exact)


def two_proportions(first: float, second: float, counts: tuple[int, int]) -> float:
    """Returns the two-sided p-value of equal shares of two samples that do not pair.

    The z test with pooled variance (Fleiss 1981, "Statistical methods for rates and proportions").

    Args:
        first: Share of the first sample, 0..1.
        second: Share of the second.
        counts: Sizes of the samples.
    """
    pooled = (first * counts[0] + second * counts[1]) / sum(counts)
    variance = pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1])
    if variance == 0:
        return 1.0
    return float(2 * special.ndtr(-abs(first - second) / math.sqrt(variance)))


def image_variance(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Returns the variance of a difference of accuracies that comes from the sample of images.

    Args:
        first: `(num_images,)`, 0 or 1 or the share of trainings that are right on the image.
        second: Likewise, on the same images.
    """
    if len(first) < 2:
        return math.nan
    return float(np.var(first.astype(float) - second.astype(float), ddof=1)) / len(first)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number; missing ones stay missing and don't count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    known = [(p, index) for index, p in enumerate(p_values) if not math.isnan(p)]
    corrected = [math.nan] * len(p_values)
    running = 0.0
    for rank, (p, index) in enumerate(sorted(known)):
        running = max(running, min(1.0, p * (len(known) - rank)))
        corrected[index] = running
    return corrected


def superiority(first: Scores, second: Scores) -> float:
    """Returns the probability that a score of `first` beats one of `second`, ties counting half.

    This is the Mann-Whitney statistic as a share of all pairs; `rliable` calls it probability of
    improvement (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice").
    """
    a, b = np.asarray(first, dtype=float)[:, None], np.asarray(second, dtype=float)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


def superiority_interval(
    first: Scores, second: Scores, seed: int, draws: int = 2000
) -> tuple[float, float]:
    """Returns the 95 % percentile-bootstrap interval of `superiority`; NaN for single scores."""
    if min(len(first), len(second)) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng([seed, 0x50])
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    a = a[rng.integers(len(a), size=(draws, len(a)))][:, :, None]
    b = b[rng.integers(len(b), size=(draws, len(b)))][:, None, :]
    shares = np.mean((a > b) + 0.5 * (a == b), axis=(1, 2))
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)


def seeds_needed(gap: float, deviation: float, alpha: float = 0.05) -> int | None:
    """Returns the trainings an arm that would separate two arms, if they differ as observed.

    Args:
        gap: Difference of the means.
        deviation: Standard deviation of one score within an arm.
        alpha: Two-sided level of the test.

    Returns:
        The smallest number with a power of 80 % in a two-sample t test (noncentral t; Cohen 1988,
        "Statistical power analysis"); `None` if more than 1,000 would be needed.
    """
    if not (math.isfinite(gap) and math.isfinite(deviation)) or gap == 0:
        return None
    if deviation == 0:
        return 2
    effect = abs(gap) / deviation
    low, high = 1, MOST_SEEDS
    if _power(effect, high, alpha) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(effect, middle, alpha) >= POWER else (middle, high)
    return high


def _power(effect: float, count: int, alpha: float) -> float:
    degrees, shift = 2 * count - 2, effect * math.sqrt(count / 2)
    limit = float(special.stdtrit(degrees, 1 - alpha / 2))
    upper = float(stats.nct.sf(limit, degrees, shift))
    lower = float(stats.nct.cdf(-limit, degrees, shift))
    # Far in the tail SciPy gives NaN for what is next to nothing.
    return (1.0 if math.isnan(upper) else upper) + (0.0 if math.isnan(lower) else lower)
