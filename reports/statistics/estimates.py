"""Scores that travel with their interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

CONFIDENCE = 0.95
Scores = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Args:
        mean: The point estimate.
        low: Lower end of the interval; NaN where nothing is known of it.
        high: Upper end.
        count: Number of scores behind it.
        kind: What the interval covers: `seeds` (Student's t over trainings), `images` (Wilson, one
            training on a sample of images), `both` (trainings and images), or `none`.
    """

    mean: float
    low: float
    high: float
    count: int
    kind: str

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def accuracy(scores: Scores, num_images: int) -> Estimate:
    """Estimates an accuracy from one score a seed.

    From two seeds on the interval is Student's t over the seeds: where another training would
    fall on average. One seed says nothing of that, so its interval is Wilson's for a share of
    `num_images`.

    Args:
        scores: Shares of 0..1, one a training.
        num_images: Images each was measured on.
    """
    if len(scores) > 1:
        estimate = mean(scores)
        return Estimate(
            estimate.mean, max(estimate.low, 0.0), min(estimate.high, 1.0), len(scores), "seeds"
        )
    share = float(scores[0])
    low, high = wilson(round(share * num_images), num_images)
    return Estimate(share, low, high, 1, "images")


def mean(scores: Scores) -> Estimate:
    """Estimates a mean with Student's t interval; without one where there is a single score."""
    values = np.asarray(scores, dtype=float)
    centre = float(values.mean())
    if len(values) < 2:
        return Estimate(centre, math.nan, math.nan, len(values), "none")
    half = float(values.std(ddof=1)) / math.sqrt(len(values)) * t_quantile(len(values) - 1)
    return Estimate(centre, centre - half, centre + half, len(values), "seeds")


def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Returns the two-sided quantile of Student's t."""
    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def wilson(successes: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns Wilson's interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Raises:
        ValueError: `successes` is not within 0..`count`, or `count` is no positive number.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"expected 0 <= successes <= count and count >= 1; got {successes, count}")
    z = float(special.ndtri((1 + confidence) / 2))
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    half = spread * z / (1 + z * z / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def difference(first: Scores, second: Scores, extra_variance: float = 0.0) -> Estimate:
    """Estimates `mean(first) - mean(second)`, variances unequal.

    Args:
        first: Scores of one arm, one a training.
        second: Scores of the other.
        extra_variance: Variance of the difference that the scores don't show, such as that of
            the sample of test images; it has many degrees of freedom.

    Returns:
        The difference with Welch's interval (Welch 1947, degrees of freedom after Satterthwaite);
        without one where an arm has a single score.
    """
    gap = float(np.mean(first) - np.mean(second))
    count = min(len(first), len(second))
    if count < 2:
        return Estimate(gap, math.nan, math.nan, count, "none")
    variance, degrees = _welch(first, second, extra_variance)
    half = math.sqrt(variance) * t_quantile(degrees)
    return Estimate(gap, gap - half, gap + half, count, "both" if extra_variance else "seeds")


def welch_p(first: Scores, second: Scores, extra_variance: float = 0.0) -> float:
    """Returns the two-sided p-value of equal means, variances unequal (Welch 1947).

    NaN where an arm has a single score: nothing is known of how trainings vary.
    """
    if min(len(first), len(second)) < 2:
        return math.nan
    gap = float(np.mean(first) - np.mean(second))
    variance, degrees = _welch(first, second, extra_variance)
    if variance == 0:
        return 1.0 if gap == 0 else 0.0
    return float(2 * special.stdtr(degrees, -abs(gap) / math.sqrt(variance)))


def _welch(first: Scores, second: Scores, extra_variance: float) -> tuple[float, float]:
    parts = [float(np.var(s, ddof=1)) / len(s) for s in (first, second)]
    variance = sum(parts) + extra_variance
    weight = sum(
        part**2 / (len(scores) - 1) for part, scores in zip(parts, (first, second), strict=True)
    )
    if weight == 0:  # no spread at all: the degrees of freedom don't matter
        return variance, float(len(first) + len(second) - 2)
    return variance, variance**2 / weight
