"""Score by choice of architecture."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 50, False
TITLE = "Score by choice of architecture"
QUESTION = "Which kind of network did better, whatever else was drawn?"


@dataclass(frozen=True)
class Info:
    """Scores by value of every architecture choice: `(name, ((value, scores), ...))`."""

    objective: str
    choices: tuple[tuple[str, tuple[tuple[str, tuple[float, ...]], ...]], ...]


def info(study: Study) -> Info | str:
    """Groups the completed trials by each choice of architecture that was varied."""
    choices = []
    for name in study.record.get("architecture", []):
        if name not in study.searched:
            continue
        done = study.completed[study.completed[name].notna()]
        groups = [
            (style.text(value), tuple(float(s) for s in group["score"]))
            for value, group in done.groupby(name, sort=True)
        ]
        if len(groups) > 1:
            choices.append((name, tuple(groups)))
    if not choices:
        return "No choice of architecture was varied among the completed trials."
    return Info(study.objective, tuple(choices))


def draw(info: Info) -> Figure:
    """Draws every score, and the median as a bar."""
    columns = 3
    rows = math.ceil(len(info.choices) / columns)
    figure, axes = style.subplots(rows, columns, 2.5 * rows, sharey=True)
    for ax in axes.flat[len(info.choices) :]:
        ax.set_visible(False)
    for ax, (name, groups) in zip(axes.flat, info.choices, strict=False):
        for index, (_, scores) in enumerate(groups):
            spread = np.linspace(-0.18, 0.18, len(scores)) if len(scores) > 1 else [0]
            ax.scatter(index + np.array(spread), scores, s=24, color=style.BLUE, alpha=0.7)
            median = float(np.median(scores))
            ax.hlines(median, index - 0.3, index + 0.3, color=style.ORANGE, linewidth=2.5)
        labels = [f"{value}\nn = {len(scores)}" for value, scores in groups]
        ax.set_xticks(range(len(groups)), labels, fontsize=7.5 if len(groups) > 3 else 8.5)
        ax.set_xlim(-0.5, len(groups) - 0.5)
        ax.set_title(style.words(name), loc="left")
    for row in axes:
        row[0].set_ylabel(style.words(info.objective))
    return figure
