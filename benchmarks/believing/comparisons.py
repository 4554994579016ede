"""Comparisons and test intervals on simulated trainings.

A training is right on an image where skill, the luck of its seed, the image's difficulty (shared by
all arms), the arm's own view of the image and chance add up to more than 0: a probit model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from benchmarks.believing.rows import Row, at_least, at_most
from reports.analysis.comparison.arms import Arm
from reports.analysis.comparison.decide import compare
from reports.statistics.estimates import accuracy
from reports.study.study import Study

EMPTY = Study(
    Path(), "simulated", {"dataset": {"inputs": "images"}}, "val_accuracy", "max", pd.DataFrame(),
    pd.DataFrame, {},
)  # fmt: skip
_SHARED, _OWN = 0.6, 0.1  # shares of the variance on the probit scale
_MOST_DRAWS = 3_000_000  # of trainings times images, of one simulated arm


def slope(share: float) -> float:
    """Returns the density of the normal distribution where it has the share below."""
    return float(np.exp(-(special.ndtri(share) ** 2) / 2) / np.sqrt(2 * np.pi))


def trainings(
    rng: np.random.Generator,
    difficulty: npt.NDArray[np.float64],
    share: float,
    seeds: int,
    deviation: float,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Draws what trainings of one arm get right.

    Args:
        rng: Source of the draws.
        difficulty: `(num_images,)`, standard normal.
        share: Mean accuracy on new images.
        seeds: Number of trainings.
        deviation: Standard deviation of a training's accuracy, about.

    Returns:
        `(seeds, num_images)`, and each training's accuracy on new images, `(seeds,)`.
    """
    spread = deviation / slope(share)
    skill = special.ndtri(share) * np.sqrt(1 + spread**2) + spread * rng.standard_normal(seeds)
    own = rng.standard_normal(len(difficulty))
    seen = np.sqrt(_SHARED) * difficulty + np.sqrt(_OWN) * own
    chance = rng.standard_normal((seeds, len(difficulty))) * np.sqrt(1 - _SHARED - _OWN)
    return skill[:, None] + seen + chance > 0, special.ndtr(skill)


def arm(name: str, right: npt.NDArray[np.generic]) -> Arm:
    """Makes an arm of what its trainings get right: 0, 1 or shares, `(num_units, num_images)`."""
    tests = tuple(map(float, right.mean(axis=1)))
    return Arm(name, EMPTY, pd.DataFrame(), name, tests, right.shape[1], right.astype(float), name)


def arms(
    rng: np.random.Generator,
    shares: Sequence[float],
    seeds: Sequence[int],
    images: int,
    deviation: float,
) -> list[Arm]:
    """Draws arms that are judged on the same images."""
    difficulty = rng.standard_normal(images)
    return [
        arm(f"arm {i}", trainings(rng, difficulty, share, count, deviation)[0])
        for i, (share, count) in enumerate(zip(shares, seeds, strict=True))
    ]


def winners_between_equals(seed: int, quick: bool) -> list[Row]:
    """How often equal arms have a winner, or a pair that is called different."""
    draws = 60 if quick else 1500
    cases = [
        ((2, 2), 500, 0.97, 0.002), ((2, 10), 500, 0.97, 0.002), ((2, 10), 2000, 0.95, 0.01),
        ((5, 5), 200, 0.95, 0.005), ((10, 10), 2000, 0.98, 0.002), ((2, 10), 10000, 0.99, 0.002),
        ((3, 3, 3), 500, 0.97, 0.003), ((2, 5, 10), 1000, 0.95, 0.005),
        ((5, 5, 5, 5, 5), 1000, 0.97, 0.003), ((2, 3, 5, 8, 10), 500, 0.95, 0.003),
    ]  # fmt: skip
    rows = []
    for place, (seeds, images, share, deviation) in enumerate(cases):
        rng = np.random.default_rng([seed, 1, place])
        count = draws if images < 10000 else draws // 5
        won = apart = 0
        for _ in range(count):
            found = compare(arms(rng, [share] * len(seeds), seeds, images, deviation))
            won += found.winner is not None
            apart += any(pair.separable for pair in found.pairs)
        case = f"seeds {'+'.join(map(str, seeds))}, {images} images, {share}"
        rows.append(at_most("a winner between equals", case, won, count, 0.05))
        rows.append(at_most("equals called different", case, apart, count, 0.05))
    return rows


def winners_between_equal_searches(seed: int, quick: bool) -> list[Row]:
    """How often arms of several searches have a winner, where only the luck of searches differs."""
    draws = 60 if quick else 1000
    rows = []
    for place, (searches, luck) in enumerate([((2, 2), 0.005), ((3, 3), 0.005), ((3, 6), 0.01)]):
        rng = np.random.default_rng([seed, 5, place])
        hits = 0
        for _ in range(draws):
            difficulty = rng.standard_normal(1000)
            found = [
                _arm_of_searches(str(i), rng, difficulty, count, luck)
                for i, count in enumerate(searches)
            ]
            hits += compare(found).winner is not None
        case = f"searches {'+'.join(map(str, searches))} of 3 seeds, luck of a search {luck}"
        rows.append(at_most("a winner between equals", case, hits, draws, 0.05))
    return rows


def _arm_of_searches(
    name: str,
    rng: np.random.Generator,
    difficulty: npt.NDArray[np.float64],
    searches: int,
    luck: float,
) -> Arm:
    shares = np.clip(0.95 + luck * rng.standard_normal(searches), 0.5, 0.999)
    parts = [trainings(rng, difficulty, share, 3, 0.003)[0].mean(axis=0) for share in shares]
    one = arm(name, np.stack(parts))
    return replace(one, searches=(one,) * searches)


def winners_after_looks(seed: int, quick: bool) -> list[Row]:
    """How often equal arms have a winner in any of four looks, each with the seeds asked for."""
    draws = 30 if quick else 800
    rows = []
    for place, (seeds, images, share, deviation) in enumerate(
        [((2, 2), 500, 0.97, 0.004), ((3, 3), 2000, 0.97, 0.003), ((2, 5, 5), 1000, 0.95, 0.005)]
    ):
        rng = np.random.default_rng([seed, 2, place])
        hits = 0
        for _ in range(draws):
            difficulty, counts = rng.standard_normal(images), list(seeds)
            whole = [trainings(rng, difficulty, share, 60, deviation)[0] for _ in seeds]
            for look in range(1, 5):
                given = [
                    arm(str(i), r[:n]) for i, (r, n) in enumerate(zip(whole, counts, strict=True))
                ]
                found = compare(given, look=look)
                if found.winner is not None:
                    hits += 1
                    break
                asked = max((p.needed.units for p in found.pairs if p.needed), default=0)
                counts = [min(max(asked, n + 2), 60) for n in counts]
        case = f"seeds {'+'.join(map(str, seeds))}, {images} images, four looks"
        rows.append(at_most("a winner between equals", case, hits, draws, 0.05))
    return rows


def right_at_the_numbers(seed: int, quick: bool) -> list[Row]:
    """How often arms 0.5 points apart have the right winner at the numbers asked for."""
    draws = 25 if quick else 200
    cases = [
        (2, 500, 0.97, 0.002), (3, 500, 0.98, 0.001), (5, 500, 0.95, 0.003), (5, 1000, 0.97, 0.002),
        (3, 2000, 0.98, 0.002), (5, 2000, 0.95, 0.003), (5, 10000, 0.97, 0.003),
        (3, 10000, 0.98, 0.001), (2, 10000, 0.98, 0.002),
    ]  # fmt: skip
    rows = []
    for place, (seeds, images, share, deviation) in enumerate(cases[:4] if quick else cases):
        rng = np.random.default_rng([seed, 3, place])
        right = asked = 0
        for _ in range(draws):
            shares = (share + 0.005, share)
            first = compare(arms(rng, shares, (seeds, seeds), images, deviation))
            more = first.pairs[0].needed
            if first.winner is not None or more is None:
                asked += first.winner is not None
                right += first.winner == 0
                continue
            asked += 1
            images_then = min(more.images, _MOST_DRAWS // more.units)
            then = arms(rng, shares, (more.units, more.units), images_then, deviation)
            right += compare(then, look=2).winner == 0
        case = f"{seeds} seeds, {images} images, {share}, sd {deviation}"
        rows.append(at_least("right winner at the numbers asked for", case, right, asked, 0.8))
    return rows


def coverage(seed: int, quick: bool) -> list[Row]:
    """How often the interval of test accuracy holds what it should, on new images."""
    draws = 60 if quick else 600
    rows = []
    place = 0
    for count in (1, 2, 3, 4, 5, 10):
        for images in (200, 1000, 10000):
            for share, deviation in ((0.5, 0.01), (0.5, 0.03), (0.8, 0.01), (0.8, 0.03),
                                     (0.95, 0.01), (0.95, 0.03), (0.97, 0.003), (0.97, 0.01),
                                     (0.97, 0.03), (0.99, 0.002), (0.99, 0.01), (0.995, 0.0),
                                     (0.995, 0.001)):  # fmt: skip
                place += 1
                rng = np.random.default_rng([seed, 4, place])
                number = draws if images < 10000 else draws // 4
                hits, widths = np.zeros(3, dtype=int), []
                for _ in range(number):
                    difficulty = rng.standard_normal(images)
                    right, true = trainings(rng, difficulty, share, count + 1, deviation)
                    right, other = right[:count], true[count]
                    found = accuracy(right.mean(axis=1), images, right)
                    targets = (other, share, true[0])
                    hits += [found.low <= target <= found.high for target in targets]
                    widths.append(found.high - found.low)
                case = f"{count} seeds, {images} images, {share}, sd {deviation}"
                for name, hit in zip(
                    ("another training", "the mean", "this training"), hits, strict=True
                ):
                    far, least = _asked(count, deviation)
                    figure = f"interval covers {name}{far}"
                    rows.append(at_least(figure, case, int(hit), number, least))
                thin = sum(width <= 0 for width in widths)
                rows.append(at_most("interval without width", case, thin, number, 0.0))
    return rows


def _asked(count: int, deviation: float) -> tuple[str, float]:
    """Returns for what trainings an interval is, and what is asked of it: few say little."""
    if deviation <= 0.01:
        return ("", 0.93) if count > 1 else (", 1 seed, sd to 1 point", 0.84)
    if count >= 5:
        return ", 5 to 10 seeds, sd 3 points", 0.92
    return (", 2 to 4 seeds, sd 3 points", 0.88) if count > 1 else (", 1 seed, sd 3 points", 0.74)


def rows(seed: int, quick: bool = False) -> Iterator[Row]:
    """Simulates all of it; quick within half a minute of one core, full within ten minutes."""
    for simulate in (
        winners_between_equals,
        winners_between_equal_searches,
        winners_after_looks,
        right_at_the_numbers,
        coverage,
    ):
        yield from simulate(seed, quick)
