"""Two arms whose trainings are crossed with the same test images: one test, and its sample size.

Every training of an arm is judged on every image. So a difference of mean accuracies varies with
the trainings of each arm, with the images, and with chance for each training on each image. This is
the design of readers and cases in diagnostic imaging, with a training as a reader.

Sources: Obuchowski and Rockette 1995, "Hypothesis testing of diagnostic accuracy for multiple
readers and multiple tests"; Hillis 2014, "A marginal-mean ANOVA approach for analyzing multireader
multicase radiological imaging data", for the split of the variance. Degrees of freedom follow
Satterthwaite. The arm with the fewest trainings gives them for all trainings: Welch's own are too
many where one arm has two trainings and the other ten.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from reports.statistics.estimates import Estimate, t_quantile

POWER = 0.8
MOST_UNITS = 100  # trainings an arm; nobody trains more to tell two networks apart
_MOST_IMAGES = 10_000_000
_PILOT = 0.7  # see `_pilot_variance`
_DOUBT = 0.3  # standard errors of what chance adds to the variance of a unit
_MARGIN = 0.7  # standard errors of the variance of one image
_ROOM = 2.0  # times the images that the most trainings need, so that fewer trainings do
_UNBOUNDED = 1e9
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """What was measured of an arm.

    Args:
        scores: `(num_units,)`, accuracies: of trainings, or of searches (means over trainings).
        num_images: Test images.
        is_correct: `(num_units, num_images)`, 0, 1 or a share: how often each unit is right on each
            image; `None` where that was not kept.
    """

    scores: _Array
    num_images: int
    is_correct: _Array | None = None


@dataclass(frozen=True)
class Spread:
    """Components of the variance of a difference.

    Args:
        gap: The difference of the mean scores.
        counts: Units of each arm.
        units: Variance of one unit's score, of each arm.
        images: Variance of one image's difference that more units do not reduce.
        noise: Variance of one unit on one image, of each arm: a part of `units`, times the images.
        num_images: Images, of the smaller test split.
    """

    gap: float
    counts: tuple[int, int]
    units: tuple[float, float]
    images: float
    noise: tuple[float, float]
    num_images: int

    @property
    def variance(self) -> float:
        """Variance of the difference."""
        return self._between + self.images / self.num_images

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance."""
        return _degrees(self.variance, self._between, min(self.counts))

    @property
    def shares(self) -> tuple[float, float]:
        """Shares of the variance: of images, and of the units' chance on images.

        The latter shrinks with more units and with more images. The rest is the share of units.
        """
        chance = sum(v / n for v, n in zip(self.noise, self.counts, strict=True))
        parts = self.images / self.num_images, chance / self.num_images
        return parts[0] / self.variance, min(parts[1] / self.variance, 1.0)

    @property
    def _between(self) -> float:
        return sum(v / n for v, n in zip(self.units, self.counts, strict=True))


@dataclass(frozen=True)
class Needed:
    """Sample sizes that show a difference in 80 % of cases.

    Args:
        units: Units an arm.
        images: Test images.
        gap: The true difference that they would show.
    """

    units: int
    images: int
    gap: float


def spread(first: Sample, second: Sample, same_images: bool = True) -> Spread | None:
    """Splits the variance of the difference of two arms; `None` where an arm has a single unit.

    Args:
        first: One arm.
        second: The other.
        same_images: Whether both were judged on the same images.
    """
    counts = len(first.scores), len(second.scores)
    if min(counts) < 2:
        return None
    size = min(first.num_images, second.num_images)
    noise = _noise(first), _noise(second)
    units = [
        max(float(np.var(arm.scores, ddof=1)), part / arm.num_images)
        for arm, part in zip((first, second), noise, strict=True)
    ]
    return Spread(
        gap=float(first.scores.mean() - second.scores.mean()),
        counts=counts,
        units=(units[0], units[1]),
        images=_image_variance(first, second, noise, same_images),
        noise=noise,
        num_images=size,
    )


def _noise(arm: Sample) -> float:
    if arm.is_correct is None or len(arm.is_correct) < 2:
        return 0.0
    return float(arm.is_correct.var(axis=0, ddof=1).mean())


def _image_variance(
    first: Sample, second: Sample, noise: tuple[float, float], same_images: bool
) -> float:
    if first.is_correct is None or second.is_correct is None:
        return sum(_binomial(arm) for arm in (first, second))
    parts = [
        n / len(a.is_correct)
        for a, n in zip((first, second), noise, strict=True)
        if a.is_correct is not None
    ]
    shares = first.is_correct.mean(axis=0), second.is_correct.mean(axis=0)
    if same_images and len(shares[0]) == len(shares[1]):
        return max(float(np.var(shares[0] - shares[1], ddof=1)) - sum(parts), 0.0)
    return sum(
        max(float(np.var(share, ddof=1)) - part, 0.0)
        for share, part in zip(shares, parts, strict=True)
    )


def _binomial(arm: Sample) -> float:
    share = float(np.clip(arm.scores.mean(), 0, 1))
    return share * (1 - share)


def p_value(found: Spread) -> float:
    """Returns the two-sided p-value of equal mean accuracies, for other units and other images."""
    if found.variance == 0:
        return 1.0 if found.gap == 0 else 0.0
    return float(2 * special.stdtr(found.degrees, -abs(found.gap) / math.sqrt(found.variance)))


def difference(found: Spread) -> Estimate:
    """Returns the difference with its 95 % interval."""
    half = math.sqrt(found.variance) * t_quantile(found.degrees)
    return Estimate(found.gap, found.gap - half, found.gap + half, min(found.counts), "both")


def power(found: Spread, needed: Needed, level: float) -> float:
    """Returns the probability of finding a true difference, in its direction.

    Args:
        found: Components of the variance.
        needed: Units an arm, images, and the true difference.
        level: Two-sided level of the test.
    """
    between = (_pilot_variance(found) + sum(found.noise) / needed.images) / needed.units
    variance = between + _pilot_images(found) / needed.images
    if variance == 0:
        return 1.0
    degrees = _degrees(variance, between, needed.units)
    limit, shift = -float(special.stdtrit(degrees, level / 2)), needed.gap / math.sqrt(variance)
    if degrees > 1e5:
        return float(special.ndtr(shift - limit))
    return float(np.nan_to_num(stats.nct.sf(limit, degrees, shift), nan=1.0))


def _degrees(variance: float, between: float, units: int) -> float:
    if between == 0 or units < 2:
        return _UNBOUNDED
    return min(variance**2 * (units - 1) / between**2, _UNBOUNDED)


def _pilot_variance(found: Spread) -> float:
    """Returns an upper estimate of both arms' summed variance of a unit on endless images.

    This is the 70 % limit of a variance estimated from few units (Browne 1995, "On the use of a
    pilot sample for sample size determination"): with its mean value, half of all plans would fall
    short. The part due to chance on the given images is known better, and is subtracted before.
    """
    degrees = sum(found.counts) - 2
    chance = sum(found.noise) / found.num_images
    own = max(sum(found.units) - chance, 0.0)
    doubt = _DOUBT * chance * math.sqrt(2 / degrees)
    return own * degrees / float(special.chdtri(degrees, _PILOT)) + doubt


def _pilot_images(found: Spread) -> float:
    """Returns an upper estimate of the variance of one image, with half an image added."""
    total = found.images + sum(v / n for v, n in zip(found.noise, found.counts, strict=True))
    return found.images + _MARGIN * math.sqrt(total / found.num_images) + 0.5 / found.num_images


def needed(found: Spread, gap: float, level: float) -> Needed | None:
    """Returns the sample sizes that show a difference of `gap` with a power of 80 %.

    It asks for more units alone if they suffice on these images, else for more images too. Then
    units are as few as they can be with at most twice the images that the most units would need.

    Args:
        found: Components of the variance.
        gap: The true difference.
        level: Two-sided level of the test.

    Returns:
        Units an arm and images; `None` if not even 100 units and any number of images would do.
    """
    have = max(min(found.counts), 2)

    def enough(units: int, images: int) -> bool:
        return power(found, Needed(units, images, gap), level) >= POWER

    if enough(MOST_UNITS, found.num_images):
        units = _least(lambda n: enough(n, found.num_images), 1, MOST_UNITS)
        return Needed(max(units, have + 1), found.num_images, gap)
    if not enough(MOST_UNITS, _MOST_IMAGES):
        return None
    least = _least(lambda n: enough(MOST_UNITS, n), found.num_images, _MOST_IMAGES)
    most = int(_ROOM * least)
    units = max(have, _least(lambda n: enough(n, most), 1, MOST_UNITS))
    images = _least(lambda n: enough(units, n), found.num_images, most)
    return Needed(units, images, gap)


def _least(enough: Callable[[int], bool], short: int, most: int) -> int:
    """Returns the least sufficient number above `short`, to one in 100; `most` is sufficient."""
    while most - short > max(1, most // 200):
        middle = (short + most) // 2
        short, most = (short, middle) if enough(middle) else (middle, most)
    return most
