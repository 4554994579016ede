"""Scores over a wide scale, such as losses of which some diverged."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from reports.study.metrics import is_proportion

_RATIO, _OUTLYING = 100.0, 30.0


def is_wide(values: object, metric: str) -> bool:
    """Whether values need another scale than a linear one; proportions never do.

    They are if all have one sign and the largest is 100 times the least, or if their range is 30
    times the range of their middle half.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if is_proportion(metric) or len(known) < 3:
        return False
    sizes = np.abs(known)
    same_sign = known.min() > 0 or known.max() < 0
    if same_sign and sizes.max() > _RATIO * sizes.min():
        return True
    low, high = np.quantile(known, [0.25, 0.75])
    return bool(high > low and np.ptp(known) > _OUTLYING * (high - low))


def far_worse(values: npt.NDArray[np.float64], direction: str) -> npt.NDArray[np.bool_]:
    """Returns which values lie far outside on the worse side: `(n,)`.

    They lie outside the outer fence, three times the middle half's width beyond it (Tukey 1977).
    This is computed in logarithms where all are above 0, else in inverse hyperbolic sines of
    multiples of the median.
    """
    worse = values if direction == "min" else -values
    if values.min() > 0:
        bent = np.log(values) * (1 if direction == "min" else -1)
    else:
        middle = float(np.median(np.abs(values))) or 1.0
        bent = np.arcsinh(worse / middle)
    low, high = np.quantile(bent, [0.25, 0.75])
    return np.asarray(bent > high + 3 * (high - low))


def shares_beaten(scores: npt.NDArray[np.float64], direction: str) -> npt.NDArray[np.float64]:
    """Returns the share of trials that each trial beats, ties half: `(num_trials,)`."""
    ranks = rankdata(scores if direction == "max" else -scores) - 1
    return np.asarray(ranks / max(len(scores) - 1, 1))
