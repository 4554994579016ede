"""Every trial as one line through the most important hyperparameters."""

import math
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize

from experiments.record.formatting import plural, shortened, words
from reports.analysis.networks import finished
from reports.analysis.shared import axes_of, by_importance, scores_of
from reports.figures import _style as style
from reports.statistics.space import Axis
from reports.statistics.wide import is_wide, shares_beaten
from reports.study.study import Study

SECTION, ORDER = "hyperparameters", 33
TITLE = "Parallel coordinates"
_MOST_AXES = 6
_MOST_NAMES = 10  # of options on an axis; of more some are named
# Worst to best, bright is good as in Contour. What is brighter or darker is lost on white paper, or
# on that of dark mode.
_SHADES = colormaps["viridis"](np.linspace(0.2, 0.6, 256))


@dataclass(frozen=True)
class Info:
    """Lines of networks that ended by themselves, worst first.

    Args:
        objective: Name of the score.
        direction: `"max"` or `"min"`.
        axes: `(name, ((position, label), ...))`.
        lines: `(num_trials, num_axes)`, positions 0..1 on each axis, NaN where inactive.
        scores: `(num_trials,)`.
        numbers: `(num_trials,)`.
        hidden: Axes left out.
    """

    objective: str
    direction: str
    axes: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]
    lines: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    numbers: tuple[int, ...]
    hidden: int


def info(study: Study) -> Info | str:
    """Places the most important hyperparameters of every network that ended on their axes."""
    known = {axis.name: axis for axis in axes_of(study)}
    chosen = [known[name] for name in by_importance(study) if name in known][:_MOST_AXES]
    done = finished(study)
    if len(chosen) < 2 or len(done) < 2:
        return "Two varied hyperparameters and two networks that ended are needed."
    lines = np.column_stack([np.where(axis.active, axis.unit, np.nan) for axis in chosen])
    return Info(
        study.objective,
        study.direction,
        tuple((axis.name, _ticks(axis)) for axis in chosen),
        lines[::-1],
        scores_of(study)[::-1],
        tuple(int(n) for n in done["number"])[::-1],
        len(known) - len(chosen),
    )


def _ticks(axis: Axis) -> tuple[tuple[float, str], ...]:
    if axis.labels:
        step = 1 / max(len(axis.labels) - 1, 1)
        named = range(0, len(axis.labels), math.ceil(len(axis.labels) / _MOST_NAMES))
        return tuple((i * step, axis.labels[i]) for i in named)
    return tuple((end, axis.text_of(end)) for end in (0.0, 1.0))


def finding(info: Info) -> str:
    """Says on which axis the best tenth agrees most."""
    best = info.lines[-max(len(info.lines) // 10, 3) :]
    # What some of them don't use, they can't agree in.
    spread = [float(column.std()) if np.isfinite(column).all() else 1.0 for column in best.T]
    tightest = int(np.argmin(spread))
    return (
        f"The best {plural(len(best), 'network')} agree most in {words(info.axes[tightest][0])}"
        f"{' (in all of them the same)' if spread[tightest] == 0 else ''}."
    )


def height(info: Info) -> float:
    """Inches."""
    return 3.7


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the lines in the order of their scores, the best on top and thickest."""
    wide = is_wide(info.scores, info.objective)
    shades = shares_beaten(info.scores, info.direction) if wide else info.scores
    low, high = float(shades.min()), float(shades.max())
    norm = Normalize(low, high if high > low else low + 1e-9)
    cmap = ListedColormap(_SHADES if wide or info.direction == "max" else _SHADES[::-1])
    x = np.arange(len(info.axes))
    many = len(info.lines) > style.MANY
    # A line runs on past what its trial does not use.
    segments = [np.column_stack([x, line])[np.isfinite(line)] for line in info.lines]
    widths = np.where(np.arange(len(segments)) == len(segments) - 1, 3.2, 0.5 if many else 1.2)
    ax.add_collection(
        LineCollection(
            segments,
            colors=cmap(norm(shades)),
            linewidths=widths,
            rasterized=many,
            alpha=0.35 if many else 0.85,
        )
    )
    ax.plot(x, info.lines[-1], "o", color=cmap(norm(shades[-1])), markersize=6)
    style.track(ax, info.numbers, np.broadcast_to(x, info.lines.shape), info.lines)
    _rulers(ax, info)
    meaning = "share of trials beaten" if wide else words(info.objective)
    style.color_bar(ax, ScalarMappable(norm, cmap), meaning, fraction=0.03, pad=0.01)
    more = f", {info.hidden} less important axes left out" if info.hidden else ""
    style.count_note(ax, len(info.lines), f"networks{more}")
    return ax


def _rulers(ax: Axes, info: Info) -> None:
    for position, (_, ticks) in enumerate(info.axes):
        ax.axvline(position, color=style.EDGE, linewidth=1, zorder=0)
        labels = shortened([label for _, label in ticks], 14)
        for (height, _), label in zip(ticks, labels, strict=True):
            ax.annotate(
                label, (position, height), xytext=(4, 3), textcoords="offset points",
                fontsize=7.5, color=style.INK,
                bbox={"facecolor": style.PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    names = ["\n".join(wrap(name, 14)) for name in style.labels([n for n, _ in info.axes], 30)]
    ax.set_xticks(range(len(names)), names, color=style.INK)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_xlim(-0.15, len(names) - 0.45)
    ax.set_ylim(-0.06, 1.1)
    for side in ax.spines.values():
        side.set_visible(False)
