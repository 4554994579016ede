"""A race: extra trainings go to contenders that may still be the best, until one is left.

All contenders that are left are trained once a round, with the same seed: the rounds are paired
blocks. After each round, those that are clearly worse than the best one are dropped.

Sources: Birattari et al., "A Racing Algorithm for Configuring Metaheuristics", GECCO 2002, and its
variant with t-tests in López-Ibáñez et al., "The irace Package", Operations Research Perspectives
2016. Spread is the residual of rounds and contenders (two-way analysis of variance), or the
pair's own where that is larger: few rounds tell little about one pair, and one contender may
spread more than others. Each is compared with the best so far (Hsu, "Constrained Simultaneous
Confidence Intervals for Multiple Comparisons with the Best", Annals of Statistics 1984). The
two-sided p-values are corrected by Holm's method (1979). Every round is another look, so the error
is spent in proportion to the budget (Lan and DeMets, Biometrika 1983).

Where contenders have costs, they are on a front: one with worse scores may be worth keeping
because it costs less. So each is compared with the best of those that cost no more. It leaves if
that one is clearly better. If it is itself clearly better, it is worth its cost. The race is over
when every contender left is worth its cost, or is the cheapest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from experiments.finalists.plan import FIRST_TEST

# Chance that the best one is dropped in a whole race. Of 3,000 simulated races of two to eight
# equals 3 to 5 % dropped any; 7 % where half of them spread twenty times as much as the others.
ERROR = 0.04


@dataclass(frozen=True)
class Drop:
    """A contender that left a race.

    Args:
        name: The contender.
        round: After which round, from 1.
        against: The best one then; empty if its training failed.
        difference: How much worse it was, in units of the score; NaN if its training failed.
        p_value: Of the t-test, corrected for all comparisons with the best.
        level: The p-value had to be below it.
    """

    name: str
    round: int
    against: str = ""
    difference: float = math.nan
    p_value: float = math.nan
    level: float = math.nan


@dataclass
class Race:
    """The state of a race; a function of the scores that were recorded.

    Args:
        contenders: Their names, the most promising first.
        budget: Trainings of all rounds.
        direction: `"max"` or `"min"`.
        resolution: The smallest possible difference of two scores: one validation image. Equal
            scores are known only to this precision.
        costs: name -> cost, less is better. The first contender is the recommended one; a contender
            that drops it takes its place. Empty where there are no costs.
    """

    contenders: Sequence[str]
    budget: int
    direction: str = "max"
    resolution: float = 0.0
    costs: Mapping[str, Sequence[float]] = field(default_factory=dict)
    alive: list[str] = field(init=False)
    drops: list[Drop] = field(init=False, default_factory=list)
    spent: int = field(init=False, default=0)
    rounds: int = field(init=False, default=0)
    _scores: dict[str, list[float]] = field(init=False)
    _worth: set[str] = field(init=False, default_factory=set)  # known to be worth their cost
    _tested: float = field(init=False, default=0.0)  # share of the budget at the last test

    def __post_init__(self) -> None:
        self.alive = list(self.contenders)
        self._scores = {name: [] for name in self.contenders}

    def next_round(self) -> list[str]:
        """Returns the contenders of the next round, once each; empty if the race is over."""
        is_over = len(self.alive) < 2 or self._is_front_known()
        if is_over or self.spent + len(self.alive) > self.budget:
            return []
        return list(self.alive)

    def record(self, scores: Mapping[str, float | None]) -> list[Drop]:
        """Records a round's scores, one per remaining contender, and returns who is dropped.

        Args:
            scores: name -> score on validation; `None` if the training failed.
        """
        self.rounds += 1
        self.spent += len(self.alive)
        failed = [name for name in self.alive if scores[name] is None]
        drops = [Drop(name, self.rounds) for name in failed]
        self._remove(failed)
        for name in self.alive:
            self._scores[name].append(float(scores[name] or 0.0))
        if self.rounds >= FIRST_TEST and len(self.alive) > 1:
            share = min(1.0, self.spent / self.budget)
            drops += self._losers(ERROR * (share - self._tested))
            self._tested = share
        self.drops += drops
        return drops

    @property
    def ending(self) -> str:
        """Why the race is over.

        `separated`, `budget`, `front` where all that are left are worth their cost, or `failed`
        where failures left only one.
        """
        if len(self.alive) > 1:
            return "front" if self._is_front_known() else "budget"
        last = [drop for drop in self.drops if drop.round == self.rounds]
        return "separated" if any(drop.against for drop in last) else "failed"

    def mean(self, name: str) -> float:
        """Returns the mean score of a contender over its rounds; NaN without one."""
        return float(np.mean(self._scores[name])) if self._scores[name] else math.nan

    def best(self) -> str | None:
        """Returns the remaining contender with the best mean; the first of equal ones.

        Where contenders have costs, the recommended one.
        """
        if self.costs:
            return self._recommended()
        known = [name for name in self.alive if self._scores[name]] or self.alive
        return max(known, key=self._merit, default=None)

    def _recommended(self) -> str | None:
        """Returns the first contender, or the remaining one that dropped it."""
        dropped_by = {drop.name: drop.against for drop in self.drops}
        name = self.contenders[0]
        while name in dropped_by:
            name = dropped_by[name]
        return name if name in self.alive else next(iter(self.alive), None)

    def _merit(self, name: str) -> float:
        return self.mean(name) if self.direction == "max" else -self.mean(name)

    def ranking(self) -> list[str]:
        """Returns the contenders, the winner first, those dropped earliest last."""
        left = {drop.name: drop.round for drop in self.drops}
        first = self.best() if self.costs else None

        def merit(name: str) -> tuple[int, bool, float]:
            known = self._merit(name) if math.isfinite(self.mean(name)) else -math.inf
            return left.get(name, self.rounds + 1), name == first, known

        return sorted(self.contenders, key=merit, reverse=True)

    def place(self, name: str) -> dict[str, Any]:
        """Returns the outcome of a contender, as plain data for the record."""
        drop = next((drop for drop in self.drops if drop.name == name), None)
        place: dict[str, Any] = {"mean": self.mean(name)}
        if drop is None:
            won = len(self.alive) == 1 and self.ending == "separated"
            standing = {"standing": self._standing(name)} if self.costs else {}
            return place | {"outcome": "won" if won else "left"} | standing
        if not drop.against:
            return place | {"outcome": "failed", "round": drop.round}
        facts = {
            n: getattr(drop, n) for n in ("round", "against", "difference", "p_value", "level")
        }
        return place | {"outcome": "dropped"} | facts

    def _standing(self, name: str) -> str:
        """Returns the state of a remaining contender: `cheapest`, `worth` its cost or `open`."""
        if not self._rivals(name):
            return "cheapest"
        return "worth" if name in self._worth else "open"

    def _is_front_known(self) -> bool:
        standings = (self._standing(name) for name in self.alive)
        return bool(self.costs) and "open" not in standings

    def _rivals(self, name: str) -> list[str]:
        """Returns the other remaining contenders that cost no more."""
        return [other for other in self.alive if other != name and self._is_no_dearer(other, name)]

    def _is_no_dearer(self, one: str, than: str) -> bool:
        if not self.costs:
            return True
        return all(a <= b for a, b in zip(self.costs[one], self.costs[than], strict=True))

    def _losers(self, level: float) -> list[Drop]:
        drops: dict[str, Drop] = {}
        for (ahead, behind), p_value in self._p_values().items():
            if p_value < level and self._is_no_dearer(ahead, behind):
                gap = abs(self.mean(ahead) - self.mean(behind))
                drops[behind] = Drop(behind, self.rounds, ahead, gap, p_value, level)
            elif p_value < level:
                self._worth.add(ahead)
        self._remove(list(drops))
        return list(drops.values())

    def _pairs(self) -> list[tuple[str, str]]:
        """Returns each with the best that costs no more, the leader first, without repeats."""
        order = {name: place for place, name in enumerate(self.alive)}
        found: dict[tuple[str, str], None] = {}
        for name in self.alive:
            rivals = self._rivals(name)
            if rivals:
                rival = max(rivals, key=self._merit)
                pair = sorted((name, rival), key=lambda n: (-self._merit(n), order[n]))
                found[pair[0], pair[1]] = None
        return list(found)

    def _p_values(self) -> dict[tuple[str, str], float]:
        """Returns the p-value of each pair, the leader first, after Holm's correction."""
        raw = self._raw_p_values()
        adjusted, largest = {}, 0.0
        for place, pair in enumerate(sorted(raw, key=lambda pair: raw[pair])):
            largest = max(largest, min(1.0, (len(raw) - place) * raw[pair]))
            adjusted[pair] = largest
        return adjusted

    def _raw_p_values(self) -> dict[tuple[str, str], float]:
        scores = np.array([self._scores[name] for name in self.alive])  # (contenders, rounds)
        rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
        freedom = (scores.shape[0] - 1) * (scores.shape[1] - 1)
        # A rounding is uniform over the resolution: variance 1/12 of its square.
        shared = max(float((rest**2).sum()) / freedom, self.resolution**2 / 12)
        rows = dict(zip(self.alive, scores, strict=True))
        return {
            (ahead, behind): _p_value(rows[ahead] - rows[behind], 2 * shared, freedom)
            for ahead, behind in self._pairs()
        }

    def _remove(self, names: Sequence[str]) -> None:
        self.alive = [name for name in self.alive if name not in names]


def _p_value(gaps: npt.NDArray[np.float64], variance: float, freedom: int) -> float:
    """Returns the two-sided p-value of a pair's mean difference."""
    gap = abs(float(gaps.mean()))
    own = float(gaps.var(ddof=1))
    if own > variance:
        variance, freedom = own, len(gaps) - 1
    if variance == 0:
        return 1.0 if gap == 0 else 0.0
    return float(2 * stats.t.sf(gap / math.sqrt(variance / len(gaps)), freedom))
