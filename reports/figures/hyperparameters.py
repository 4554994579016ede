"""Score against each hyperparameter."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 30, False
TITLE = "Score against each hyperparameter"
QUESTION = "Which values did well, and is the best one at the edge of its range?"


@dataclass(frozen=True)
class Info:
    """One isolation plot a hyperparameter: `(description, values, scores, values of failures)`."""

    objective: str
    panels: tuple[tuple[dict[str, Any], tuple[Any, ...], tuple[float, ...], tuple[Any, ...]], ...]


def info(study: Study) -> Info | str:
    """Collects values and scores of every hyperparameter that was varied."""
    panels = []
    for name in study.searched:
        done = study.completed[study.completed[name].notna()]
        failed = study.failed[study.failed[name].notna()]
        if len(done):
            panels.append(
                (
                    study.hyperparameters[name],
                    tuple(done[name]),
                    tuple(float(s) for s in done["score"]),
                    tuple(failed[name]),
                )
            )
    if not panels:
        return "No hyperparameter took more than one value among the completed trials."
    return Info(study.objective, tuple(panels))


def draw(info: Info) -> Figure:
    """Draws one small plot a hyperparameter, all with one score axis."""
    columns = 3
    rows = math.ceil(len(info.panels) / columns)
    figure, axes = style.subplots(rows, columns, 2.3 * rows, sharey=True)
    for ax in axes.flat[len(info.panels) :]:
        ax.set_visible(False)
    low = min(min(scores) for _, _, scores, _ in info.panels)
    for ax, panel in zip(axes.flat, info.panels, strict=False):
        _isolate(ax, *panel, low)
    for row in axes:
        row[0].set_ylabel(style.words(info.objective))
    return figure


def _isolate(
    ax: Axes,
    hp: dict[str, Any],
    values: tuple[Any, ...],
    scores: tuple[float, ...],
    failed: tuple[Any, ...],
    low: float,
) -> Axes:
    x, crosses = values, failed
    if not style.is_numeric(hp):
        names = list(dict.fromkeys([*_ordered(hp), *map(style.text, (*values, *failed))]))
        x = tuple(names.index(style.text(value)) for value in values)
        crosses = tuple(names.index(style.text(value)) for value in failed)
        ax.set_xticks(range(len(names)), names, rotation=20 if len(max(names, key=len)) > 8 else 0)
        ax.set_xlim(-0.5, len(names) - 0.5)
    ax.scatter(x, scores, s=26, color=style.BLUE, alpha=0.75, linewidths=0)
    ax.scatter(x[:1], scores[:1], s=80, facecolors="none", edgecolors=style.ORANGE, linewidths=2)
    ax.scatter(crosses, [low] * len(crosses), marker="x", color=style.FAILED)
    if style.is_numeric(hp):
        style.scale_x(ax, hp)
    ax.set_xlabel(style.words(hp["name"]))
    style.count_note(ax, len(values))
    return ax


def _ordered(hp: dict[str, Any]) -> list[str]:
    if hp["kind"] == "Boolean":
        return ["no", "yes"]
    return [style.text(value) for value in hp.get("values", [])]
