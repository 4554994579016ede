"""Whether a hyperparameter explains next to nothing: a claim of no effect, tested as such."""

import numpy as np
import numpy.typing as npt
from scipy.stats import f, ncf, rankdata

from reports.statistics.space import Axis

SHARE = 0.1  # of the variance of the scores' ranks; less is next to nothing
_LEVEL, _POWER = 0.03, 0.8  # measured, the level is below 5 %


def explains_little(axis: Axis, scores: npt.NDArray[np.float64]) -> bool:
    """Whether a hyperparameter alone explains less than `SHARE` of the differences in score.

    An F test of equivalence (Wellek 2010, "Testing statistical hypotheses of equivalence and
    noninferiority", 7.2.2) on the ranks of scores against a parabola, or against groups. One that
    explains as much as `SHARE` is called idle in at most 5 %. Nothing is claimed with so few trials
    that one without any effect would be called idle in less than 80 %.

    Args:
        axis: Values of the completed trials.
        scores: `(num_trials,)`.
    """
    used = axis.active
    if used.sum() < 10 or np.ptp(scores[used]) == 0:
        return False
    design = _design(axis, used)
    degrees = int(np.linalg.matrix_rank(design)) - 1
    rest = int(used.sum()) - degrees - 1
    if degrees < 1 or rest < 1:
        return False
    limit = float(ncf.ppf(_LEVEL, degrees, rest, used.sum() * SHARE / (1 - SHARE)))
    if f.cdf(limit, degrees, rest) < _POWER:
        return False
    share = _explained(design, rankdata(scores[used]))
    return bool(share / degrees <= limit * (1 - share) / rest)


def _design(axis: Axis, used: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    values = axis.values[used]
    if axis.labels:
        return np.column_stack([np.ones(len(values)), *(values == v for v in np.unique(values))])
    unit = axis.unit[used]
    return np.column_stack([np.ones(len(unit)), unit, unit**2])


def _explained(design: npt.NDArray[np.float64], ranks: npt.NDArray[np.float64]) -> float:
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    return float(1 - ((ranks - fitted) ** 2).sum() / ((ranks - ranks.mean()) ** 2).sum())
