"""Predicted score over the two most important hyperparameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import shortened, words
from reports.analysis.networks import place_of_best, population
from reports.analysis.shared import by_importance, compared_axes, surrogate_of
from reports.figures import _style as style
from reports.statistics.space import Axis
from reports.statistics.surrogate import fit_surrogate
from reports.statistics.wide import is_wide, shares_beaten
from reports.study.study import Study

SECTION, ORDER = "hyperparameters", 32
TITLE = "The two most important together"


@dataclass(frozen=True)
class Info:
    """A surface, `(len(y), len(x))`, over two axes scaled to 0..1, and the networks on it.

    The surface is NaN where the space allows no network that uses both hyperparameters. `shown`
    says which networks of `axes` use both, and `numbers` are theirs. `best` is the position of the
    study's best network among them, `None` where that does not use both; `after` names the epoch of
    the predicted scores.
    """

    objective: str
    direction: str
    predicted: str
    axes: tuple[Axis, Axis]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    surface: npt.NDArray[np.float64]
    shown: npt.NDArray[np.bool_]
    numbers: tuple[int, ...]
    best: int | None
    after: str
    fit: float


def info(study: Study) -> Info | str:
    """Predicts the surface by a random forest."""
    axes, surrogate, found = compared_axes(study), surrogate_of(study), population(study)
    if found.problem:
        return found.problem
    wide = is_wide(found.scores, study.objective)
    if wide:  # else outliers dominate a forest's means
        surrogate = fit_surrogate(axes, shares_beaten(found.scores, study.direction), study.seed)
    if surrogate is None or len(axes) < 2:
        return "Ten networks with different scores and two varied hyperparameters are needed."
    names = [axis.name for axis in axes]
    columns = tuple(names.index(name) for name in by_importance(study)[:2])
    first, second = axes[columns[0]], axes[columns[1]]
    x, y, surface = surrogate.grid(first, second, (columns[0], columns[1]))
    possible = second.is_used_at(first, x)[None] & first.is_used_at(second, y)[:, None]
    shown = first.active & second.active
    if not possible.any() or not shown.any():
        return f"No network uses both {words(first.name)} and {words(second.name)}."
    place = place_of_best(study)
    return Info(
        objective=study.objective,
        direction="max" if wide else study.direction,
        predicted="share of trials beaten" if wide else words(study.objective),
        axes=(first, second),
        x=x,
        y=y,
        surface=np.where(possible, surface, np.nan),
        shown=shown,
        numbers=tuple(int(n) for n in found.frame["number"][shown]),
        best=int(shown[:place].sum()) if shown[place] else None,
        after=found.after,
        fit=surrogate.fit,
    )


def finding(info: Info) -> str:
    """Says where the surface is best, and how far to trust it."""
    pick = (np.nanargmax if info.direction == "max" else np.nanargmin)(info.surface)
    row, column = np.unravel_index(int(pick), info.surface.shape)
    places = (info.axes[0].text_of(info.x[column]), info.axes[1].text_of(info.y[row]))
    trust = "a poor fit, so take it as a hint" if info.fit < 0.3 else "a fair fit"
    trust = "a good fit" if info.fit > 0.7 else trust
    return (
        f"A random forest predicts the best scores{info.after} near "
        f"{words(info.axes[0].name)} = {places[0]} and "
        f"{words(info.axes[1].name)} = {places[1]} (R² {info.fit:.2f} on unseen networks: {trust})."
    )


def height(info: Info) -> float:
    """Inches."""
    return 3.8


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the surface and the trials."""
    colors = "viridis" if info.direction == "max" else "viridis_r"
    mesh = ax.pcolormesh(
        info.x, info.y, info.surface, cmap=colors, shading="nearest", rasterized=True
    )
    if all(axis.levels is None for axis in info.axes):  # few values have no in-between
        ax.contour(info.x, info.y, info.surface, 6, colors="white", linewidths=0.6, alpha=0.7)
    places = [axis.unit[info.shown] for axis in info.axes]
    style.scatter(
        ax, info.numbers, places[0], places[1], "white", edgecolors="black", linewidths=0.6
    )
    if info.best is not None:
        style.circle(ax, places[0][info.best], places[1][info.best])
    titles = style.labels([axis.name for axis in info.axes])
    _ticks(ax.xaxis, info.axes[0])
    _ticks(ax.yaxis, info.axes[1])
    ax.set_xlabel(titles[0])
    ax.set_ylabel(titles[1])
    ax.grid(visible=False)
    meaning = f"predicted {info.predicted}{info.after}"
    style.color_bar(ax, mesh, meaning, fraction=0.05, pad=0.02)
    style.count_note(ax, len(info.numbers), "networks")
    return ax


def _ticks(ruler: Any, axis: Axis) -> None:
    levels = axis.levels
    if levels is None or len(levels) > 12:
        levels = np.unique([axis.nearest(unit) for unit in np.linspace(0, 1, 5)])
    ruler.set_ticks(levels, shortened([axis.text_of(unit) for unit in levels], 12))
