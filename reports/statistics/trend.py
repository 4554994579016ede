"""Trends within groups: tests on ranks that hold at any size and for any shape of noise."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr
from scipy.stats import rankdata

_Array = npt.NDArray[np.float64]
_BLOCK = 10  # trials that are compared with each other


def blocks(count: int, size: int = _BLOCK) -> npt.NDArray[np.int64]:
    """Returns the block of each of `count` trials in order of their start: `(count,)`.

    Trials of a block were proposed at about the same time. A search improves as it proceeds.
    Comparing within blocks alone does not credit this progress to a value that the search happens
    to drift to.
    """
    return np.arange(count) * max(1, count // size) // max(count, 1)


def trend_p(x: _Array, y: _Array, groups: npt.NDArray[np.int64]) -> float:
    """Returns the one-sided p-value of `y` rising with `x` within groups; NaN without spread.

    Sums over groups the covariance of `x` with the ranks of `y`, and divides it by its standard
    deviation over all orders of `y` within groups (van Elteren 1960, for a number in the place of
    two samples; one group is Spearman's test).

    Args:
        x: `(n,)`.
        y: `(n,)`.
        groups: `(n,)`, what is compared within.
    """
    total, variance = 0.0, 0.0
    for group in np.unique(groups):
        inside = groups == group
        if inside.sum() < 2:
            continue
        a = x[inside] - x[inside].mean()
        ranks = rankdata(y[inside])
        b = ranks - ranks.mean()
        total += float(a @ b) / len(a)  # groups weigh by their size, not by its square
        variance += float(a @ a) * float(b @ b) / (len(a) - 1) / len(a) ** 2
    return float(ndtr(-total / math.sqrt(variance))) if variance > 0 else math.nan


def is_rising_at(x: _Array, y: _Array, place: float) -> bool:
    """Whether a parabola through the ranks of `y` still rises at `place`, towards larger `x`."""
    degree = min(2, len(np.unique(x)) - 1)
    if degree < 1:
        return False
    slope = np.polyder(np.polyfit(x, rankdata(y), degree))
    return bool(np.polyval(slope, place) > 0)


def end_p(unit: _Array, gains: _Array, end: str, inner: float = 0.9) -> float:
    """Returns the p-value of scores that get better up to an end of a range.

    It is 1 where scores are best before the end: where a parabola turns before `inner` of the way.

    Args:
        unit: `(num_trials,)`, values scaled to 0..1 of the range, in order of start.
        gains: `(num_trials,)`, scores, larger is better.
        end: `"lower"` or `"upper"`.
        inner: Share of the range up to which the scores should rise.
    """
    x = 1 - unit if end == "lower" else unit
    p_value = trend_p(x, gains, blocks(len(x)))
    if not p_value <= 0.5:
        return p_value if math.isnan(p_value) else 1.0
    return p_value if is_rising_at(x, gains, inner) else 1.0


def slopes(curves: Sequence[_Array]) -> _Array:
    """Returns the least-squares slope of each curve, a value an epoch: `(num_curves,)`.

    Of a constant it is 0, and not what rounding leaves.
    """
    found = []
    for curve in curves:
        x = np.arange(len(curve)) - (len(curve) - 1) / 2
        found.append(float(x @ (curve - curve[0]) / (x @ x)))
    return np.array(found)


def mean_above_zero_p(values: _Array) -> float:
    """Returns the one-sided p-value of a mean above 0 by Student's t; NaN below three values.

    Given one slope a training, it tests whether trainings rise, whatever the noise of their epochs:
    each training counts once.
    """
    if len(values) < 3 or not np.isfinite(values).all():
        return math.nan
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    if spread == 0:
        return 0.5 if mean == 0 else float(mean < 0)
    return float(stdtr(len(values) - 1, -mean / spread))
