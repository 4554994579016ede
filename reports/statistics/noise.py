"""How much a score varies by chance alone: among trainings, and among images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from reports.statistics.estimates import t_quantile
from reports.statistics.expected import expected_best

_DRAWS, _MOST = 1000, 2000
_MANY = 1000.0  # degrees of freedom of a variance that is as good as known


@dataclass(frozen=True)
class Noise:
    """Standard deviations of one trial's score.

    Args:
        images: Of another sample of validation images; NaN where it is not known.
        seeds: Of another training; NaN where no network was trained twice.
        degrees: Degrees of freedom of `seeds`.
    """

    images: float
    seeds: float
    degrees: float

    @property
    def deviation(self) -> float:
        """The standard deviation of both together, as far as known; NaN where neither is."""
        known = [v for v in (self.images, self.seeds) if math.isfinite(v)]
        return math.hypot(*known) if known else math.nan

    @property
    def total_degrees(self) -> float:
        """Degrees of freedom of `deviation` squared (Satterthwaite 1946)."""
        if not math.isfinite(self.seeds) or self.seeds == 0:
            return _MANY
        return min(self.degrees * (self.deviation / self.seeds) ** 4, _MANY)

    def apart(self, level: float = 0.05) -> float:
        """Returns the distance of two equal networks' scores, exceeded in `level` of cases."""
        return t_quantile(self.total_degrees, 1 - level) * math.sqrt(2) * self.deviation

    def gain(self, num_trials: int, level: float = 0.05) -> float:
        """Returns the gain of all equal trials over half of them, exceeded in `level` of cases."""
        half = _gain_of_luck(num_trials, round(self.total_degrees), level)
        return half * self.deviation


@cache
def _gain_of_luck(num_trials: int, degrees: int, level: float) -> float:
    rng = np.random.default_rng([num_trials, degrees])
    size = min(num_trials, _MOST)
    at = np.array([max(size // 2, 1), size])
    curves = expected_best(rng.standard_normal((_DRAWS, size)), at, replacement=True)
    spread = np.sqrt(rng.chisquare(degrees, _DRAWS) / degrees)
    return float(np.quantile((curves[:, 1] - curves[:, 0]) / spread, 1 - level))


def pooled(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Returns the standard deviation within groups and its degrees of freedom; NaN and 0 without.

    Args:
        groups: Scores of the same network from other seeds, one group a network.
    """
    usable = [np.asarray(g, dtype=float) for g in groups]
    usable = [g[np.isfinite(g)] for g in usable]
    usable = [g for g in usable if len(g) > 1]
    degrees = sum(len(g) - 1 for g in usable)
    if not degrees:
        return math.nan, 0.0
    squares = sum(float(((g - g.mean()) ** 2).sum()) for g in usable)
    return math.sqrt(squares / degrees), float(degrees)
