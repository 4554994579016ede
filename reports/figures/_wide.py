"""Scores over a wide scale: a diverged trial's loss must not flatten all others."""

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, SymmetricalLogLocator
from scipy.stats import rankdata

from reports.metrics import is_proportion

_RATIO, _OUTLYING = 100.0, 30.0


def is_wide(values: Any, metric: str) -> bool:
    """Whether values need another scale than a linear one; proportions never do.

    The largest is 100 times the least, or they reach over 30 times what their middle half does.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if is_proportion(metric) or len(known) < 3:
        return False
    if known.min() > 0 and known.max() > _RATIO * known.min():
        return True
    low, high = np.quantile(known, [0.25, 0.75])
    return bool(high > low and np.ptp(known) > _OUTLYING * (high - low))


def scale_scores(ax: Axes, values: Any, metric: str) -> bool:
    """Puts the y axis into a logarithmic scale where values are wide; returns whether it did."""
    if not is_wide(values, metric):
        return False
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if known.min() > 0:
        narrow = known.max() < _RATIO * known.min()
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    else:
        middle = float(np.median(np.abs(known[known != 0])))
        ax.set_yscale("symlog", linthresh=middle)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=middle))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    return True


def shares_beaten(scores: npt.NDArray[np.float64], direction: str) -> npt.NDArray[np.float64]:
    """Returns the share of the trials that each is better than, ties half: `(num_trials,)`."""
    ranks = rankdata(scores if direction == "max" else -scores) - 1
    return np.asarray(ranks / max(len(scores) - 1, 1))
