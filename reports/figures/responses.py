"""Score against each hyperparameter, and the best score at each value."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import plural, shortened, words
from reports.analysis.networks import SHORT, cut_short, finished, networks
from reports.analysis.shared import by_importance, scores_of
from reports.figures import _style as style
from reports.figures._wide import scale_scores
from reports.statistics.space import Axis, axis
from reports.study.study import Study

SECTION, ORDER = "hyperparameters", 31
TITLE = "Score against each hyperparameter"
_COLUMNS, _MOST, _BINS = 3, 12, 6
_MOST_NAMES = 20  # of options on an axis; of more some are named


@dataclass(frozen=True)
class Panel:
    """One hyperparameter: values of networks that ended (best first), scores, values of the others.

    `best` is its value in the best network of all as text; empty where that does not use it.
    `best_x` and `best_y` are its isolation plot: the best score in each stretch of its range,
    whatever the other hyperparameters were.
    """

    hp: dict[str, Any]
    name: str
    best: str
    labels: tuple[str, ...]
    x: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    numbers: tuple[int, ...]
    failed: npt.NDArray[np.float64]
    pruned: npt.NDArray[np.float64]
    best_x: tuple[float, ...]
    best_y: tuple[float, ...]


@dataclass(frozen=True)
class Info:
    """One panel a varied hyperparameter, the most important first; `scores` of all networks."""

    objective: str
    direction: str
    panels: tuple[Panel, ...]
    scores: npt.NDArray[np.float64]
    hidden: int
    cut_short: str
    num_failed: int


def info(study: Study) -> Info | str:
    """Collects values and scores of every hyperparameter that was varied."""
    names = by_importance(study)
    names = [name for name in names if finished(study)[name].notna().any()]
    panels = [_panel(study, name) for name in names[:_MOST]]
    if not panels:
        return "No hyperparameter took more than one value among the completed trials."
    return Info(
        study.objective,
        study.direction,
        tuple(panels),
        scores_of(study),
        max(len(names) - _MOST, 0),
        cut_short(study),
        int((networks(study)["status"] == "failed").sum()),
    )


def _panel(study: Study, name: str) -> Panel:
    hp = study.hyperparameters[name]
    done, states = finished(study), networks(study)
    best, done = done.iloc[0]["number"], done[done[name].notna()]
    failed, pruned = (
        states[states["status"].isin(statuses) & states[name].notna()]
        for statuses in (("failed",), SHORT)
    )
    column = axis(hp | {"name": name}, [*done[name], *failed[name], *pruned[name]])
    places = 10**column.values if column.is_log else column.values
    ended = len(done) + len(failed)
    scores = done["score"].to_numpy(dtype=float)
    best_x, best_y = _isolated(column, len(done), scores, study.direction)
    return Panel(
        hp=hp,
        name=name,
        best=column.text_of(column.unit[0]) if done.iloc[0]["number"] == best else "",
        labels=column.labels,
        x=places[: len(done)],
        scores=scores,
        numbers=tuple(int(n) for n in done["number"]),
        failed=places[len(done) : ended],
        pruned=places[ended:],
        best_x=tuple(10**v if column.is_log else v for v in best_x),
        best_y=best_y,
    )


def _isolated(
    column: Axis, count: int, scores: npt.NDArray[np.float64], direction: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = column.values[:count]
    bins = (
        values
        if column.labels or len(np.unique(values)) <= _BINS
        else np.minimum((column.unit[:count] * _BINS).astype(int), _BINS - 1)
    )
    found = []
    for one in np.unique(bins):
        inside = np.flatnonzero(bins == one)
        pick = inside[(np.argmax if direction == "max" else np.argmin)(scores[inside])]
        found.append((float(values[pick]), float(scores[pick])))
    return tuple(x for x, _ in found), tuple(y for _, y in found)


def finding(info: Info) -> str:
    """Says where the best trial lies on the first axes."""
    used = [f"{words(panel.name)} = {panel.best}" for panel in info.panels if panel.best]
    said = f"has {', '.join(used[:3])}" if used else "uses none of them"
    found = f"The best trial {said}; the orange line is the best score at each value."
    if info.cut_short:
        found += f" Ticks at the bottom are the values of others: {info.cut_short}."
    if info.num_failed:
        found += f" Crosses there are those of {plural(info.num_failed, 'failed network')}."
    return found


def height(info: Info) -> float:
    """Inches."""
    return 2.35 * math.ceil(len(info.panels) / _COLUMNS)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws one small plot a hyperparameter, all with one score axis."""
    axes = style.grid(ax, len(info.panels), _COLUMNS)
    scale_scores(axes[0][0], info.scores, info.objective, info.direction)
    titles = style.labels([panel.name for panel in info.panels])
    for panel, content, title in zip(axes.flat, info.panels, titles, strict=False):
        _response(panel, content)
        panel.set_xlabel(title)
    for row in axes:
        row[0].set_ylabel(words(info.objective))
    return ax


def _response(ax: Axes, panel: Panel) -> None:
    if panel.labels:
        names = shortened(panel.labels, 13)
        crowded = len(names) > 4 or len(max(names, key=len)) > 9
        places = range(0, len(names), math.ceil(len(names) / _MOST_NAMES))
        ax.set_xticks(places, [names[i] for i in places], rotation=30 if crowded else 0)
        ax.set_xlim(-0.5, len(names) - 0.5)
    style.scatter(ax, panel.numbers, panel.x, panel.scores)
    ax.plot(panel.best_x, panel.best_y, color=style.ORANGE, lw=1.5, marker=".", zorder=3)
    if panel.best:
        style.circle(ax, panel.x[0], panel.scores[0])
    bottom = ax.get_xaxis_transform()
    for values, mark, color in ((panel.pruned, "|", style.GREY), (panel.failed, "x", style.RED)):
        ax.plot(values, [0.03] * len(values), mark, color=color, markersize=6, transform=bottom)
    if not panel.labels:
        style.scale_x(ax, panel.hp, panel.x)
    style.count_note(ax, len(panel.x))
