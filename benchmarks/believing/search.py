"""How often a report is wrong about a search space, on searches of a known function.

A rate asked to be at most 5 % holds if it is not above it by more than three times its standard
error; likewise one asked to be at least 90 %.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.believing.rows import Row, at_least, at_most
from benchmarks.believing.searched import INERT_CHOICES, SHARES, searched
from reports.analysis.shared import effects_of, shares_of
from reports.figures import architecture
from reports.statistics.expected import expected_performance
from reports.study.study import Study

Draw = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]
_NAMED = "inert choice named as mattering"
_SEARCHES = (("random", "none"), ("tpe", "none"), ("tpe", "asha"))
# Search, trials, whether learning rate and blocks matter.
_CASES = [
    (search, size, matters)
    for search in _SEARCHES
    for size, matters in ((40, True), (20, True), (20, False))
]
# Scores that networks have: one kind, skewed either way, some collapsed, few good ones, in steps.
DISTRIBUTIONS: dict[str, Draw] = {
    "uniform": lambda rng, n: rng.random(n),
    "normal": lambda rng, n: rng.normal(size=n),
    "near the top": lambda rng, n: 1 - 0.02 * np.exp(rng.normal(size=n)),
    "long tail": lambda rng, n: rng.exponential(size=n),
    "a third collapsed": lambda rng, n: np.where(
        rng.random(n) < 0.33, 0.1, rng.normal(0.9, 0.03, n)
    ),
    "one in seven good": lambda rng, n: (
        np.where(rng.random(n) < 1 / 7, 0.9, 0.6) + rng.normal(0, 0.02, n)
    ),
    "in steps": lambda rng, n: np.round(rng.beta(8, 2, n) * 50) / 50,
}


def rows(seed: int, quick: bool = False) -> Iterator[Row]:
    """Simulates everything of this file.

    Args:
        seed: All seeds are made of it.
        quick: Whether it is to take seconds, not minutes.

    """
    yield from named(seed, quick)
    yield from shares(seed, quick)
    yield from bands(seed, quick)


def named(seed: int, quick: bool = False) -> Iterator[Row]:
    """How often a report names any inert hyperparameter: of the architecture, and by importance."""
    for (method, pruner), size, matters in _CASES[1::3] if quick else _CASES:
        count = (40 if quick else 250) if method == "random" else (16 if quick else 60)
        studies = [searched(method, pruner, size, s, matters) for s in _seeds(seed, 0, count)]
        case = f"{_method(method, pruner)}, {size} trials"
        case += "" if matters else ", nothing matters"
        for where, is_wrong in (("Architectures", _architecture), ("importance", _effects)):
            hits = sum(is_wrong(study, matters) for study in studies)
            yield at_most(f"{_NAMED} ({where})", case, hits, count, 0.05)


def _seeds(seed: int, what: int, count: int) -> list[int]:
    """Returns seeds of searches that no other `seed` has."""
    return np.random.SeedSequence([seed, what]).generate_state(count).tolist()


def _method(method: str, pruner: str) -> str:
    return method if pruner == "none" else f"{method} with {pruner}"


def _architecture(study: Study, matters: bool) -> bool:
    info = architecture.info(study)
    tests = () if isinstance(info, str) else info.tests
    inert = set(INERT_CHOICES) | (set() if matters else {"blocks"})
    return any(test.is_real for test in tests if test.name in inert)


def _effects(study: Study, matters: bool) -> bool:
    return any(e.is_real for e in effects_of(study) if not matters or e.name not in SHARES)


def shares(seed: int, quick: bool = False) -> Iterator[Row]:
    """What the share of the learning rate, truly 91 %, comes out as, and whether its band holds."""
    for method, pruner in _SEARCHES[1:2] if quick else _SEARCHES:
        count, found = 5 if quick else 100, []
        for one in _seeds(seed, 1, count):
            known = shares_of(searched(method, pruner, 60, one))
            if known is not None:
                found += [i for i in known.importances if i.name == "learning_rate"]
        case, true = f"{_method(method, pruner)}, 60 trials", SHARES["learning_rate"]
        off = float(np.median([abs(i.mean - true) for i in found]))
        yield Row("share of variance, a report's off by, median", case, off, "<= 10 %", off <= 0.1)
        inside = sum(i.low <= true <= i.high for i in found)
        yield at_least("share of variance: band covers", case, inside, count, 0.8)


def bands(seed: int, quick: bool = False) -> Iterator[Row]:
    """How often the band of the expected best covers it, at the number of trials where least."""
    rng = np.random.default_rng([seed, 0xBA])
    count = 100 if quick else 800
    for name, draw in DISTRIBUTIONS.items():
        for size in (30, 100) if quick else (30, 40, 70, 100):
            share = _covered(draw, size, count, rng)
            case = f"{name}, {size} trials"
            yield at_least("expected best: band covers", case, round(share * count), count, 0.9)


def _covered(draw: Draw, size: int, count: int, rng: np.random.Generator) -> float:
    curves = [expected_performance(draw(rng, size)) for _ in range(count)]
    known = [curve for curve in curves if curve is not None]
    trials = known[0].trials
    true = np.array([draw(rng, n * 10_000).reshape(-1, n).max(axis=1).mean() for n in trials])
    covered = [(curve.low <= true) & (true <= curve.high) for curve in known]
    return float(np.mean(covered, axis=0).min())
