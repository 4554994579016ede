"""Scores over a wide scale: a diverged trial's loss must not flatten all others."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, SymmetricalLogLocator
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


def scale_scores(ax: Axes, values: object, metric: str, direction: str) -> bool:
    """Scales the y axis where values are wide; returns whether it did.

    Values far worse than the others lie beyond the axis, and a note counts them. The others get a
    logarithmic scale if they are still wide.
    """
    if not is_wide(values, metric):
        return False
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    near = known[~far_worse(known, direction)]
    if is_wide(near, metric):
        _logarithmic(ax, near)
    margin = 0.06 * (float(np.ptp(near)) or 1.0)
    low, high = float(near.min()), float(near.max())
    if ax.get_yscale() == "log":
        ax.set_ylim(low / 1.5, high * 1.5)
    else:
        ax.set_ylim(low - margin, high + margin)
    beyond = len(known) - len(near)
    if beyond:
        place = {"min": (0.98, "top"), "max": (0.02, "bottom")}[direction]
        ax.text(
            0.98, place[0], f"{beyond:,} of {len(known):,} values beyond", fontsize=7.5,
            transform=ax.transAxes, ha="right", va=place[1],
        )  # fmt: skip
    return True


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


def _logarithmic(ax: Axes, values: npt.NDArray[np.float64]) -> None:
    if values.min() > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator())
    else:
        middle = float(np.median(np.abs(values[values != 0])))
        ax.set_yscale("symlog", linthresh=middle)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=middle))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def shares_beaten(scores: npt.NDArray[np.float64], direction: str) -> npt.NDArray[np.float64]:
    """Returns the share of trials that each trial beats, ties half: `(num_trials,)`."""
    ranks = rankdata(scores if direction == "max" else -scores) - 1
    return np.asarray(ranks / max(len(scores) - 1, 1))
