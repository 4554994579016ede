"""Every trial as one line through all of its hyperparameters."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 40, False
TITLE = "Parallel coordinates"
QUESTION = "Which combinations of values do the good trials share?"
_MAX_AXES = 10


@dataclass(frozen=True)
class Info:
    """Lines of completed trials, worst first: positions 0..1 on each axis, NaN where inactive."""

    objective: str
    direction: str
    axes: tuple[tuple[str, tuple[tuple[float, str], ...]], ...]  # name, ticks (position, label)
    lines: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    num_left_out: int


def info(study: Study) -> Info | str:
    """Places every varied hyperparameter of every completed trial on its axis."""
    done = study.completed.iloc[::-1]
    names = [n for n in study.searched if done[n].notna().any()]
    # Those that are active in more trials say more.
    names.sort(key=lambda n: -done[n].count())
    shown = names[:_MAX_AXES]
    if len(shown) < 2 or len(done) < 2:
        return "Two varied hyperparameters and two completed trials are needed."
    axes, columns = [], []
    for name in shown:
        place, ticks = _axis(study.hyperparameters[name], list(done[name]))
        axes.append((name, ticks))
        columns.append([place(value) for value in done[name]])
    return Info(
        study.objective,
        study.direction,
        tuple(axes),
        tuple(zip(*columns, strict=True)),
        tuple(float(s) for s in done["score"]),
        len(names) - len(shown),
    )


def _axis(hp: dict[str, Any], values: list[Any]) -> tuple[Any, tuple[tuple[float, str], ...]]:
    known = [v for v in values if style.text(v)]
    if style.is_numeric(hp):
        scale = math.log if style.is_log(hp) else float
        low, high = hp.get("min_value", min(known)), hp.get("max_value", max(known))
        span = (scale(high) - scale(low)) or 1.0

        def place_number(value: Any) -> float:
            return (scale(value) - scale(low)) / span if style.text(value) else math.nan

        return place_number, ((0.0, style.text(low)), (1.0, style.text(high)))
    labels = [style.text(v) for v in hp.get("values", [False, True])]
    labels = list(dict.fromkeys([*labels, *map(style.text, known)]))
    step = 1 / max(len(labels) - 1, 1)

    def place_label(value: Any) -> float:
        return labels.index(style.text(value)) * step if style.text(value) else math.nan

    return place_label, tuple((i * step, label) for i, label in enumerate(labels))


def draw(info: Info) -> Figure:
    """Draws the lines in the order of their scores, the best on top and thickest."""
    figure, grid = style.subplots(1, 1, 4.0)
    ax = grid[0][0]
    low, high = min(info.scores), max(info.scores)
    norm, cmap = Normalize(low, high if high > low else low + 1e-9), colormaps["viridis_r"]
    if info.direction == "min":
        cmap = colormaps["viridis"]
    x = np.arange(len(info.axes))
    for line, score in zip(info.lines, info.scores, strict=True):
        best = line is info.lines[-1]
        y = np.array(line)
        width = 3.0 if best else 1.2
        ax.plot(x, y, color=cmap(norm(score)), linewidth=width, alpha=1 if best else 0.75)
        ax.plot(x, y, "o", color=cmap(norm(score)), markersize=5 if best else 3)
    for position, (_, ticks) in enumerate(info.axes):
        ax.axvline(position, color="0.75", linewidth=1, zorder=0)
        for height, label in ticks:
            ax.annotate(
                label,
                (position, height),
                xytext=(4, 2),
                textcoords="offset points",
                fontsize=7.5,
                color="0.25",
                bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
            )
    names = [style.words(name).replace(" ", "\n", 1) for name, _ in info.axes]
    ax.set_xticks(x, names)
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_xlim(-0.15, len(x) - 0.45)
    ax.set_ylim(-0.06, 1.1)
    for side in ax.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, cmap), ax=ax, fraction=0.03, pad=0.01)
    bar.set_label(style.words(info.objective))
    more = f", {info.num_left_out} axes left out" if info.num_left_out else ""
    style.count_note(ax, len(info.lines), f"trials{more}")
    return figure
