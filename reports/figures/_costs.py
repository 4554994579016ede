"""Score against each cost, a point a network: bases of a study, arms of a comparison."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from experiments.record.formatting import shortened
from reports.analysis.costs import Costed, cost_title
from reports.figures import _style as style

COLORS = (*style.PALETTE, style.RED, style.GREY)
_COLUMNS = 2


def costs_height(info: Costed) -> float:
    """Inches."""
    legend = 0.22 * math.ceil((len(info.names) + 2) / 3)
    return 2.7 * math.ceil(len(info.costs) / _COLUMNS) + legend


def draw_costs(info: Costed, ax: Axes) -> Axes:
    """Draws a panel a cost: networks with intervals, the front as steps, the knee in a diamond."""
    axes = style.grid(ax, len(info.costs), _COLUMNS)
    for cost, panel in zip(info.costs, axes.flat, strict=False):
        _panel(info, cost, panel)
    for row in axes:
        row[0].set_ylabel(info.metric)
    marks = style.marks(axes.flat)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(
        marks.values(), marks.keys(), loc="outside lower center", ncols=3, fontsize=8,
        frameon=False,
    )  # fmt: skip
    return ax


def _panel(info: Costed, cost: str, ax: Axes) -> None:
    costs, front = info.costs[cost], info.fronts[cost]
    members = front.members[::-1]  # the cheapest first
    scores = np.array([estimate.mean for estimate in info.scores])
    ax.step(
        costs[members], scores[members], where="post", color=style.SOFT, lw=1.5, zorder=1,
        label="Pareto front",
    )  # fmt: skip
    names = shortened(info.names, 30)
    for row, (name, estimate) in enumerate(zip(names, info.scores, strict=True)):
        if not math.isfinite(costs[row]):
            continue
        color = COLORS[info.positions[row] % len(COLORS)]
        marker, half = style.MARKERS[info.positions[row] % len(style.MARKERS)], None
        if estimate.has_interval:
            half = [[max(estimate.mean - estimate.low, 0)], [max(estimate.high - estimate.mean, 0)]]
        ax.errorbar(
            costs[row], estimate.mean, yerr=half, fmt=marker, color=color, ms=6, capsize=3,
            elinewidth=1, label=name, zorder=3,
        )  # fmt: skip
    if front.knee is not None:
        ax.plot(
            costs[front.knee], scores[front.knee], "D", mfc="none", mec=style.INK, mew=1.5, ms=12,
            ls="", label="knee", zorder=4,
        )  # fmt: skip
    ax.margins(x=0.12)
    scale_costs(ax, costs[np.isfinite(costs)])
    ax.set_xlabel(cost_title(cost, info.noun))


def scale_costs(ax: Axes, costs: npt.NDArray[np.float64]) -> None:
    """Scales the x axis to costs, `(n,)`: by ratio where they differ much."""
    if costs.min() > 0 and costs.max() / costs.min() > 5:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(style.log_ticks(costs))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5))  # room for `116.2 M`
    style.compact_ticks(ax.xaxis)
