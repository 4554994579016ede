"""Scores over a wide scale: a diverged trial's loss must not flatten all others."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, SymmetricalLogLocator

from reports.figures import _style as style
from reports.statistics.wide import far_worse, is_wide


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


def _logarithmic(ax: Axes, values: npt.NDArray[np.float64]) -> None:
    if values.min() > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(style.log_ticks(values))
    else:
        middle = float(np.median(np.abs(values[values != 0])))
        ax.set_yscale("symlog", linthresh=middle)
        ax.yaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=middle))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
