"""Decides between arms on test: every pair's difference, one test, and groups in order.

An arm can look better by chance in two ways: by its training seeds and by its test images. One test
accounts for both variances (`statistics/crossed.py`), corrected for the number of pairs by Holm's
method. Repeated looks with more trainings raise the chance of a false difference. So each look at
the same arms spends half of the error that is left: 2.5 %, 1.25 % and so on (Lan and DeMets 1983,
"Discrete sequential boundaries for clinical trials").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from reports.analysis.comparison.arms import Arm
from reports.analysis.task import noun_of
from reports.statistics.crossed import Needed, Spread, difference, needed, p_value, spread
from reports.statistics.estimates import Estimate, accuracy
from reports.statistics.paired import groups, holm, superiority, superiority_interval

LEVEL = 0.05
DIFFERENCE = 0.005  # half a point: a smaller one is seldom worth another architecture


def level(look: int) -> float:
    """Returns the error that a look, counted from 1, may spend; all looks together spend 5 %."""
    return LEVEL * 2.0**-look


@dataclass(frozen=True)
class Pair:
    """Two arms against each other on test; positive differences favour the first.

    Args:
        first: Position of an arm.
        second: Position of another.
        difference: Of mean test accuracies; its interval covers other trainings and other images.
        spread: Components of its variance; `None` where an arm has one training.
        superiority: Probability that a training of the first beats one of the second.
        superiority_low: Lower end of its 95 % interval.
        superiority_high: Upper end.
        p: p-value of equal arms, corrected for all pairs; NaN where an arm has one training.
        level: The level that `p` must be below at this look.
        next_level: The level at the next look, before Holm's correction.
        smallest: Smallest difference of interest.
    """

    first: int
    second: int
    difference: Estimate
    spread: Spread | None
    superiority: float
    superiority_low: float
    superiority_high: float
    p: float
    level: float
    next_level: float
    smallest: float

    @cached_property
    def needed(self) -> Needed | None:
        """The data that would show the difference of interest at the next look; `None` if none.

        It plans for a larger difference only where the data leave no doubt of it: the observed one
        is too optimistic a guess (Hoenig and Heisey 2001, "The abuse of power").
        """
        if self.spread is None:
            return None
        sure = abs(self.spread.gap) - 2 * self.spread.variance**0.5
        return needed(self.spread, max(self.smallest, sure), self.next_level)

    @property
    def separable(self) -> bool:
        """Whether chance among trainings and images does not explain the difference."""
        return self.p < self.level


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison.

    Args:
        arms: The arms.
        estimates: Test accuracy of each; `None` where it was not tested.
        pairs: Every pair of tested arms.
        ranking: Positions of tested arms, best mean first.
        groups: Tested arms of which no two can be told apart, best first; an arm may be in several.
        winner: Position of the arm that is separable from every other, if there is one.
        same_images: Whether all arms are known to have been tested on the same images.
        look: How many times these arms have been compared, this one included, each time on other
            data.
        difference: Smallest difference of interest.
    """

    arms: tuple[Arm, ...]
    estimates: tuple[Estimate | None, ...]
    pairs: tuple[Pair, ...]
    ranking: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    winner: int | None
    same_images: bool
    look: int = 1
    difference: float = DIFFERENCE

    @property
    def noun(self) -> str:
        """What one row of the data is called: `image` or `row`."""
        return noun_of(self.arms[0].study)

    def pair(self, first: int, second: int) -> Pair | None:
        """Returns the pair of two arms in either order."""
        wanted = {first, second}
        return next((p for p in self.pairs if {p.first, p.second} == wanted), None)


def compare(
    arms: Sequence[Arm], same_images: bool = True, look: int = 1, smallest: float = DIFFERENCE
) -> Comparison:
    """Compares `arms` on test.

    Args:
        arms: Two or more.
        same_images: Whether they were tested on the same images, so that images pair.
        look: Which look at these arms this is, from 1.
        smallest: Smallest difference of interest; the data needed are computed for it.
    """
    tested = [i for i, arm in enumerate(arms) if arm.tests]
    pairs = _pairs(arms, tested, same_images, look, smallest)
    ranking = sorted(tested, key=lambda i: -float(np.mean(arms[i].tests)))
    apart = [(p.first, p.second) for p in pairs if p.separable]
    return Comparison(
        arms=tuple(arms),
        estimates=tuple(_estimate(arm) if arm.tests else None for arm in arms),
        pairs=tuple(pairs),
        ranking=tuple(ranking),
        groups=tuple(groups(ranking, apart)),
        winner=_winner(ranking, pairs, sum(not arm.is_left_out for arm in arms)),
        same_images=same_images,
        look=look,
        difference=smallest,
    )


def _estimate(arm: Arm) -> Estimate:
    return accuracy(arm.tests, arm.test_size, arm.is_correct)


def _winner(ranking: list[int], pairs: list[Pair], num_arms: int) -> int | None:
    if len(ranking) < max(num_arms, 2):
        return None
    best = [p for p in pairs if ranking[0] in (p.first, p.second)]
    return ranking[0] if all(p.separable for p in best) else None


def _pairs(
    arms: Sequence[Arm], tested: list[int], same_images: bool, look: int, smallest: float
) -> list[Pair]:
    places = list(combinations(tested, 2))
    found = [spread(arms[a].sample, arms[b].sample, same_images) for a, b in places]
    corrected = holm([p_value(f) if f is not None else float("nan") for f in found])
    return [
        _pair(arms, place, f, p, look, smallest, len(places))
        for place, f, p in zip(places, found, corrected, strict=True)
    ]


def _pair(
    arms: Sequence[Arm],
    place: tuple[int, int],
    found: Spread | None,
    p: float,
    look: int,
    smallest: float,
    num_pairs: int,
) -> Pair:
    first, second = (arms[i].tests for i in place)
    gap = float(np.mean(first) - np.mean(second))
    low, high = superiority_interval(first, second)
    unknown = Estimate(gap, float("nan"), float("nan"), min(len(first), len(second)), "none")
    return Pair(
        first=place[0],
        second=place[1],
        difference=unknown if found is None else difference(found),
        spread=found,
        superiority=superiority(first, second),
        superiority_low=low,
        superiority_high=high,
        p=p,
        level=level(look),
        next_level=level(look + 1) / num_pairs,
        smallest=smallest,
    )
