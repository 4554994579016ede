"""Several arms: correction of p-values, groups that can't be told apart, superiority."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np
from scipy import special

from reports.statistics.estimates import CONFIDENCE, Scores, farthest

_FEWEST = 5  # scores of an arm, below which an interval of a share of pairs holds too little


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


def groups(ranking: Sequence[int], apart: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Returns the largest groups of arms of which no two can be told apart, best first.

    An arm may be in several. Source: Piepho 2004, "An algorithm for a letter-based representation
    of all-pairwise comparisons".

    Args:
        ranking: The arms, best first; at most some ten.
        apart: Pairs that can be told apart, in either order.
    """
    known = {frozenset(pair) for pair in apart}
    found: list[tuple[int, ...]] = []
    for size in range(len(ranking), 0, -1):
        for group in combinations(ranking, size):
            alike = all(frozenset(pair) not in known for pair in combinations(group, 2))
            if alike and not any(set(group) <= set(larger) for larger in found):
                found.append(group)
    places = {arm: place for place, arm in enumerate(ranking)}
    return sorted(found, key=lambda group: [places[arm] for arm in group])


def superiority(first: Scores, second: Scores) -> float:
    """Returns the probability that a score of `first` beats one of `second`, ties counting half.

    This is the Mann-Whitney statistic as a share of all pairs; `rliable` calls it probability of
    improvement (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice").
    """
    a, b = np.asarray(first, dtype=float)[:, None], np.asarray(second, dtype=float)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))


def superiority_interval(first: Scores, second: Scores) -> tuple[float, float]:
    """Returns the 95 % interval of `superiority`; NaN below five scores an arm.

    It is of other trainings, on the same images: images are no part of it. With fewer trainings it
    holds too little. A score interval: it has a width where all scores of one arm beat all of the
    other. Source: Newcombe 2006, "Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic. Part 2", method 5.
    """
    counts = len(first), len(second)
    if min(counts) < _FEWEST:
        return math.nan, math.nan
    centre, half = superiority(first, second), (sum(counts) / 2) - 1
    quantile = float(special.ndtri((1 + CONFIDENCE) / 2))

    def covers(share: float) -> bool:
        shape = 1 + half * ((1 - share) / (2 - share) + share / (1 + share))
        variance = share * (1 - share) * shape / (counts[0] * counts[1])
        return (centre - share) ** 2 <= quantile**2 * variance

    return farthest(covers, centre, 0.0), farthest(covers, centre, 1.0)
