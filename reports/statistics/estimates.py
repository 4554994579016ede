"""Scores with their intervals."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy  # whose parts are loaded when they are used

from reports.study.metrics import is_proportion

CONFIDENCE = 0.95
Scores = Sequence[float] | npt.NDArray[np.float64]


# Prior of the spread of trainings, where few were measured: a standard deviation of 1.5 points,
# less near the ends (0.2 on the probit scale: 0.5 points at 99 %), weighted like an estimate from
# five trainings beside one, and ever less beside more of them (`_PRIOR_DEGREES / count`).
PRIOR_SPREAD, _PRIOR_MOST, _PRIOR_DEGREES = 0.2, 0.015, 4
_KNOWN = 5  # trainings, beside which the prior weighs less than one degree of freedom
_WHOLE = 0.5  # images; with none, intervals of labels that go wrong together hold 74 %, not 97
_STEPS = 60  # of a bisection
_DRAWS, _BATCHES = 999, 9  # of a bootstrap
_MOST_DRAWN = 20_000  # rows of it: the mean of more is near enough to normal, and they take seconds
_FURTHEST = 10.0  # standard errors that it may add; more comes from draws that are nearly equal
_NO_SPREAD = 1e-9  # of that of all rows: what rounding leaves of equal ones
_UNBOUNDED = 1e9  # degrees of freedom of a variance that is known


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval.

    Args:
        mean: The point estimate.
        low: Lower end of the interval; NaN where nothing is known of it.
        high: Upper end.
        count: Number of scores behind it.
        kind: What the interval covers: `both` (another training on other images), `seeds` (the mean
            over trainings, on these images), `rows` (this training on other rows), or `none`.
        is_assumed: Whether a prior has a share in how far trainings vary: all of it with one.
    """

    mean: float
    low: float
    high: float
    count: int
    kind: str
    is_assumed: bool = False

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def why_none(self) -> str:
        """Says of what there is no interval: `one training`, `3 equal trainings`."""
        return "one training" if self.count == 1 else f"{self.count} equal trainings"

    def scope(self, noun: str = "image") -> str:
        """Says what the interval covers; `noun` is what a row of the data is called."""
        partly = "" if self.count == 1 else "partly "
        assumed = f"; how far trainings vary is {partly}assumed" if self.is_assumed else ""
        return _SCOPES[self.kind].format(noun=noun) + assumed


_SCOPES = {
    "both": "of another training on other {noun}s",
    "seeds": "of the mean over trainings, on these {noun}s",
    "rows": "of this training on other {noun}s",
    "none": "no interval",
}


def accuracy(
    scores: Scores, num_images: int, is_correct: npt.NDArray[np.generic] | None = None
) -> Estimate:
    """Estimates an accuracy: its interval is for another training, on other images.

    An accuracy `p` is in the interval if the mean of the scores is within the t quantile times its
    standard deviation under `p`. This deviation combines the sample of images, as in Wilson's
    interval, and the trainings twice: those measured and the one to come. So the interval has a
    width even where all scores are 1. Trainings are taken to vary alike on the probit scale. Their
    variance is moderated (Smyth 2004, "Linear models and empirical Bayes methods for assessing
    differential expression"): one training gives no estimate of it, and two give a poor one. The
    prior's weight falls with their number, and the variance is at least that of the scores as they
    are. Degrees of freedom are Satterthwaite's. Source of the interval's shape: Wilson 1927; with
    another variance in place of the binomial one, Franco et al. 2019, "Comparative study of
    confidence intervals for proportions in complex sample surveys".

    Args:
        scores: Shares of 0..1, one a training.
        num_images: Images each was measured on.
        is_correct: `(num_trainings, num_images)`, whether each training is right on each image, or
            the share of its labels that are right: images that only some get wrong, or only in
            part, count less. Without it all count in full.
    """
    values = np.asarray(scores, dtype=float)
    count, centre = len(values), float(np.clip(values.mean(), 0.0, 1.0))
    squares = _squares(values, num_images)
    weight = _PRIOR_DEGREES / count
    degrees = weight + count - 1
    plain = float(((values - values.mean()) ** 2).sum()) / degrees  # where probits flatten it
    shared = 1.0 if is_correct is None else _shared(is_correct)
    anchor = (centre * num_images + 1) / (num_images + 2)  # finite on the probit scale

    def moderated(share: float) -> float:
        slope = _slope(share, anchor)
        return max((weight * _prior(slope) + squares * slope**2) / degrees, plain) * (1 + 1 / count)

    low, high = _inverted(centre, shared / num_images, moderated, degrees)
    return Estimate(centre, low, high, count, "both", is_assumed=count < _KNOWN)


def over_ratios(
    each: npt.NDArray[np.float64], sampled: float, counted: float, absent: float = 0.0
) -> Estimate:
    """Estimates a ratio of counts, such as F1: for another training, on other images.

    The interval is that of `accuracy`, without its prior of trainings: the images count as those of
    a share whose variance is `sampled`. Of few that are wrong that variance says little. So all of
    a share of `counted` images counts like half an image more.

    Args:
        each: `(num_trainings,)`, within 0..1. With one training the interval is for this one.
        sampled: Variance of the mean of trainings over the sample of images.
        counted: Images of which a share varies about as much.
        absent: Variance beside `sampled`, as other images may lack a class.
    """
    count, centre = len(each), float(np.clip(each.mean(), 0.0, 1.0))
    trained = float(each.var(ddof=1)) * (1 + 1 / count) if count > 1 else 0.0
    whole = centre * (1 - centre) / counted
    rare = counted * min(centre, 1 - centre)
    shared = _steadied(sampled / whole, rare) if whole > 0 else 1.0
    low, high = _inverted(
        centre, shared / counted, lambda share: trained, max(count - 1, 1), absent
    )
    return Estimate(centre, low, high, count, "both" if count > 1 else "rows")


def _inverted(
    centre: float,
    images: float,
    trainings: Callable[[float], float],
    degrees: float,
    fixed: float = 0.0,
) -> tuple[float, float]:
    """Returns the ends of the shares that a score test does not reject.

    Args:
        centre: The share that was found.
        images: Variance of a share over the sample of images, as a part of `share * (1 - share)`.
        trainings: Variance of trainings, where a share is the true one.
        degrees: Degrees of freedom of that variance.
        fixed: Further variance, which is known.
    """

    def covers(share: float) -> bool:
        trained = trainings(share)
        variance = share * (1 - share) * images + fixed + trained
        ratio = variance / trained if trained > 0 else math.inf  # at 1, nothing varies
        quantile = t_quantile(min(ratio * ratio * degrees, _UNBOUNDED))
        return (centre - share) ** 2 <= quantile**2 * variance

    return farthest(covers, centre, 0.0), farthest(covers, centre, 1.0)


def _prior(slope: float) -> float:
    """Returns the variance that trainings are expected to have at most."""
    return min(PRIOR_SPREAD * slope, _PRIOR_MOST) ** 2


def _slope(first: float, second: float) -> float:
    """Returns how far a share moves for a step on the probit scale, between two shares."""
    low, high = (float(scipy.special.ndtri(share)) for share in (first, second))
    if abs(high - low) < 1e-6:
        return math.exp(-(low**2) / 2) / math.sqrt(2 * math.pi)
    return (second - first) / (high - low)


def _squares(values: npt.NDArray[np.float64], num_images: int) -> float:
    """Returns the sum of squared deviations of trainings, on the probit scale."""
    probits = scipy.special.ndtri((values * num_images + 1) / (num_images + 2))
    return float(((probits - probits.mean()) ** 2).sum())


def _shared(is_correct: npt.NDArray[np.generic]) -> float:
    """Returns the share of the images' binomial variance that is left in the mean of trainings.

    That of one training which is right or wrong on each image is all of it. Of images that are
    right in part, few that are wrong say little of it: all of it counts like half an image more.
    """
    right = np.asarray(is_correct, dtype=float)
    share = right.mean(axis=0)
    whole = float(share.mean() * (1 - share.mean()))
    found = min(1.0, float(share.var()) / whole) if whole > 0 else 1.0
    if np.isin(right, (0, 1)).all():
        return found
    return _steadied(found, len(share) * float(min(share.mean(), 1 - share.mean())))


def _steadied(found: float, rare: float) -> float:
    """Returns a part of the binomial variance, drawn towards all of it where few are wrong."""
    return (rare * found + _WHOLE) / (rare + _WHOLE)


def farthest(covers: Callable[[float], bool], inside: float, end: float) -> float:
    """Returns the value farthest from `inside` towards `end` that is covered, by bisection."""
    if inside == end:
        return end
    outside = end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if covers(middle) else (inside, middle)
    return inside


def mean(scores: Scores, confidence: float = CONFIDENCE) -> Estimate:
    """Estimates a mean with Student's t interval; a single score has none."""
    values = np.asarray(scores, dtype=float)
    centre = float(values.mean())
    if len(values) < 2:
        return Estimate(centre, math.nan, math.nan, len(values), "none")
    quantile = t_quantile(len(values) - 1, confidence)
    half = float(values.std(ddof=1)) / math.sqrt(len(values)) * quantile
    if np.ptp(values) == 0:  # which rounding would hide
        centre, half = float(values[0]), 0.0
    return Estimate(centre, centre - half, centre + half, len(values), "seeds")


def bounded(estimate: Estimate, metric: str) -> Estimate:
    """Returns the estimate of a metric: a proportion has no interval beyond 0..1.

    Where all trainings are equal and nothing else varies, there is no interval: it has no width.
    """
    if estimate.low == estimate.high:
        return replace(estimate, low=math.nan, high=math.nan, kind="none")
    if not is_proportion(metric) or not 0 <= estimate.mean <= 1:
        return estimate
    low, high = (float(np.clip(end, 0.0, 1.0)) for end in (estimate.low, estimate.high))
    return replace(estimate, low=low, high=high)


def over_examples(rows: npt.NDArray[np.float64]) -> Estimate:
    """Estimates a mean over rows, such as a loss: for another training, on other rows.

    The variance is that of the mean over the sample of rows, and that of trainings twice: those
    measured, and the one to come. Degrees of freedom are Satterthwaite's. With one training the
    interval is for this one. Where no score is below 0, as of losses, it ends there, and a few
    large ones may be missing in the sample: each end is the farther of Student's t and of a
    studentized bootstrap over rows (Efron and Tibshirani 1993, "An introduction to the bootstrap",
    section 12.5), which is made of up to 20,000 rows.

    Args:
        rows: `(num_trainings, num_rows)`, two rows or more.
    """
    size, shared = rows.shape[1], rows.mean(axis=0)
    sampled = float(shared.var(ddof=1)) / size
    found = over_draws(rows.mean(axis=1), sampled, size)
    if rows.min() < 0:
        return found
    if sampled > 0 and size <= _MOST_DRAWN:
        plain, half = t_quantile(size - 1) ** 2 * sampled, found.high - found.mean
        low, high = (
            math.sqrt(half**2 + max(end * end * sampled - plain, 0.0))
            for end in _by_bootstrap(shared)
        )
        found = replace(found, low=found.mean - low, high=found.mean + high)
    return replace(found, low=max(found.low, 0.0))


def _by_bootstrap(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Returns how many standard errors the mean may lie below, and above, what was found."""
    rng, size, mean = np.random.default_rng(0), len(values), float(values.mean())
    least = _NO_SPREAD * float(values.std())
    ratios = [0.0]  # where all drawn rows are equal but for rounding, nothing is known
    for _ in range(_BATCHES):
        drawn = values[rng.integers(size, size=(_DRAWS // _BATCHES, size))]
        spreads = drawn.std(axis=1, ddof=1)
        known = spreads > least
        ratios += ((drawn.mean(axis=1) - mean)[known] / spreads[known] * math.sqrt(size)).tolist()
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return min(max(float(high), 0.0), _FURTHEST), min(max(-float(low), 0.0), _FURTHEST)


def over_draws(each: npt.NDArray[np.float64], sampled: float, size: int) -> Estimate:
    """Estimates a score from its value by each training, and the variance of rows.

    Args:
        each: `(num_trainings,)`.
        sampled: Variance of the mean of trainings over the sample of rows.
        size: Rows.
    """
    count, centre = len(each), float(each.mean())
    trained = float(each.var(ddof=1)) * (1 + 1 / count) if count > 1 else 0.0
    total = sampled + trained
    spent = sampled**2 / (size - 1) + (trained**2 / (count - 1) if count > 1 else 0.0)
    degrees = min(total**2 / spent, _UNBOUNDED) if spent > 0 else _UNBOUNDED
    half = t_quantile(degrees) * math.sqrt(total)
    return Estimate(centre, centre - half, centre + half, count, "both" if count > 1 else "rows")


def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Returns the two-sided quantile of Student's t."""
    return float(scipy.special.stdtrit(degrees, (1 + confidence) / 2))


def wilson(successes: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Returns Wilson's interval of a share.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Raises:
        ValueError: `successes` is not within 0..`count`, or `count` is no positive number.
    """
    if count < 1 or not 0 <= successes <= count:
        raise ValueError(f"expected 0 <= successes <= count and count >= 1; got {successes, count}")
    z = float(scipy.special.ndtri((1 + confidence) / 2))
    share = successes / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    half = spread * z / (1 + z * z / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)
