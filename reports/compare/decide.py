"""Decides between arms: every pair's difference, two tests, and a verdict that may be none.

Two kinds of luck can make an arm look better: the seeds it was trained with, and the images it was
tested on. An arm wins where both are ruled out for every other arm: by Welch's test over trainings,
with the variance of the sample of images added to theirs, and by McNemar's test over the images,
each at 5 % after Holm's correction for the number of pairs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from reports.compare.arms import Arm
from reports.statistics.estimates import Estimate, accuracy, difference, welch_p
from reports.statistics.paired import (
    MOST_SEEDS,
    McNemar,
    holm,
    image_variance,
    mcnemar,
    seeds_needed,
    superiority,
    superiority_interval,
    two_proportions,
)
from reports.words import listed, plural

LEVEL = 0.05


@dataclass(frozen=True)
class Pair:
    """Two arms against each other on test; positive differences favour the first.

    Args:
        first: Position of an arm.
        second: Position of another.
        difference: Of mean test accuracies; its interval covers seeds and images.
        superiority: Probability that a training of the first beats one of the second.
        superiority_low: Lower end of its 95 % interval.
        superiority_high: Upper end.
        p: Welch's p-value over trainings and images, corrected; NaN where an arm has one training.
        seeds_p: Welch's p-value over trainings alone, corrected likewise.
        images: McNemar's test, uncorrected; `None` where predictions were not kept.
        images_p: Its p-value, corrected; of the mean accuracies as two samples of images that do
            not pair (a z test, weaker) where predictions were not kept.
        needed: Trainings an arm that would separate them, if they differ as observed; `None` if
            more than 1,000.
    """

    first: int
    second: int
    difference: Estimate
    superiority: float
    superiority_low: float
    superiority_high: float
    p: float
    seeds_p: float
    images: McNemar | None
    images_p: float
    needed: int | None

    @property
    def separable(self) -> bool:
        """Whether neither the luck of seeds nor that of images explains the difference."""
        return self.p < LEVEL and self.images_p < LEVEL


@dataclass(frozen=True)
class Comparison:
    """What a comparison came to.

    Args:
        arms: The arms.
        estimates: Test accuracy of each; `None` where it was not tested.
        pairs: Every pair of tested arms.
        ranking: Positions of tested arms, best mean first.
        winner: Position of the arm that is separable from every other, if there is one.
        same_images: Whether all arms are known to have been tested on the same images.
    """

    arms: tuple[Arm, ...]
    estimates: tuple[Estimate | None, ...]
    pairs: tuple[Pair, ...]
    ranking: tuple[int, ...]
    winner: int | None
    same_images: bool

    def pair(self, first: int, second: int) -> Pair | None:
        """Returns the pair of two arms in either order."""
        wanted = {first, second}
        return next((p for p in self.pairs if {p.first, p.second} == wanted), None)


def compare(arms: Sequence[Arm], seed: int, same_images: bool = True) -> Comparison:
    """Compares `arms` on test.

    Args:
        arms: Two or more.
        seed: Seed of the bootstrap.
        same_images: Whether they were tested on the same images, so that images pair.
    """
    tested = [i for i, arm in enumerate(arms) if arm.tests]
    pairs = _pairs(arms, tested, seed, same_images)
    ranking = sorted(tested, key=lambda i: -float(np.mean(arms[i].tests)))
    return Comparison(
        arms=tuple(arms),
        estimates=tuple(accuracy(a.tests, a.test_size) if a.tests else None for a in arms),
        pairs=tuple(pairs),
        ranking=tuple(ranking),
        winner=_winner(ranking, pairs, len(arms)),
        same_images=same_images,
    )


def _winner(ranking: list[int], pairs: list[Pair], num_arms: int) -> int | None:
    if len(ranking) < max(num_arms, 2):
        return None
    best = [p for p in pairs if ranking[0] in (p.first, p.second)]
    return ranking[0] if all(p.separable for p in best) else None


def _pairs(arms: Sequence[Arm], tested: list[int], seed: int, same_images: bool) -> list[Pair]:
    places = list(combinations(tested, 2))
    tests = [_mcnemar(arms[a], arms[b]) if same_images else None for a, b in places]
    variances = [
        _image_variance(arms[a], arms[b], t) for (a, b), t in zip(places, tests, strict=True)
    ]
    seeds_p = holm([welch_p(arms[a].tests, arms[b].tests) for a, b in places])
    both_p = holm(
        [
            welch_p(arms[a].tests, arms[b].tests, v)
            for (a, b), v in zip(places, variances, strict=True)
        ]
    )
    images_p = holm(
        [_images_p(arms[a], arms[b], t) for (a, b), t in zip(places, tests, strict=True)]
    )
    pairs = []
    for index, ((a, b), test) in enumerate(zip(places, tests, strict=True)):
        first, second = arms[a].tests, arms[b].tests
        low, high = superiority_interval(first, second, seed)
        gap = difference(first, second, variances[index])
        pairs.append(
            Pair(
                first=a,
                second=b,
                difference=gap,
                superiority=superiority(first, second),
                superiority_low=low,
                superiority_high=high,
                p=both_p[index],
                seeds_p=seeds_p[index],
                images=test,
                images_p=images_p[index],
                needed=seeds_needed(gap.mean, _deviation(first, second), LEVEL / len(places)),
            )
        )
    return pairs


def _mcnemar(first: Arm, second: Arm) -> McNemar | None:
    if first.right is None or second.right is None or len(first.right) != len(second.right):
        return None
    return mcnemar(first.right, second.right)


def _images_p(first: Arm, second: Arm, test: McNemar | None) -> float:
    if test is not None:
        return test.p
    shares = float(np.mean(first.tests)), float(np.mean(second.tests))
    return two_proportions(*shares, (first.test_size, second.test_size))


def _image_variance(first: Arm, second: Arm, test: McNemar | None) -> float:
    if test is None or first.share is None or second.share is None or test.count < 2:
        return sum(
            share * (1 - share) / arm.test_size
            for arm in (first, second)
            if 0 <= (share := float(np.mean(arm.tests))) <= 1
        )
    return image_variance(first.share, second.share)


def _deviation(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns the pooled standard deviation of a training's score."""
    degrees = len(first) + len(second) - 2
    if min(len(first), len(second)) < 2:
        return math.nan
    parts = [float(np.var(s, ddof=1)) * (len(s) - 1) for s in (first, second)]
    return math.sqrt(sum(parts) / degrees)


def verdict(comparison: Comparison) -> str:
    """Says which arm won, or why none can be called."""
    arms, ranking = comparison.arms, comparison.ranking
    untested = [arm.name for i, arm in enumerate(arms) if i not in ranking]
    if untested:
        return (
            f"No verdict: {listed(untested)} {'was' if len(untested) == 1 else 'were'} not tested. "
            "Add --seeds 5 to train the best of each arm on fresh seeds and test it."
        )
    few = [arm.name for arm in arms if len(arm.tests) < 2]
    if few:
        return (
            f"No verdict: {listed(few)} {'has' if len(few) == 1 else 'have'} one training, which "
            "says nothing of what another seed would give. Add --seeds 5."
        )
    first, second = ranking[0], ranking[1]
    pair = comparison.pair(first, second)
    assert pair is not None
    sign = 1 if pair.first == first else -1
    gap = pair.difference
    low, high = sorted((sign * gap.low, sign * gap.high))
    said = (
        f"{arms[first].name} is {sign * gap.mean:.4f} ahead of {arms[second].name} on test "
        f"(95 % interval {low:+.4f} to {high:+.4f})"
    )
    if comparison.winner is not None:
        beside = "" if comparison.same_images else "; the test images differ, so take it with care"
        return f"{arms[first].name} wins: {said}, and neither seeds nor images explain it{beside}."
    return f"Not separable with {_counts(arms)}: {said}; {_what_it_takes(comparison, pair)}."


def _counts(arms: Sequence[Arm]) -> str:
    counts = sorted({len(arm.tests) for arm in arms})
    return plural(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def _what_it_takes(comparison: Comparison, pair: Pair) -> str:
    have = min(
        len(arm.tests) for arm in (comparison.arms[pair.first], comparison.arms[pair.second])
    )
    if pair.separable:
        return "the two ahead are separable, but one of them is not from an arm further down"
    if pair.seeds_p < LEVEL:
        return (
            f"seeds would separate them, the {comparison.arms[pair.first].test_size:,} test images "
            "do not: more test images are needed"
        )
    if pair.needed is None:
        return f"even {MOST_SEEDS:,} seeds would not separate a difference this small"
    more = pair.needed - have
    if more <= 0:
        return "more seeds would be needed"
    return f"if the difference is real, about {more} more seeds an arm would be needed to show it"
