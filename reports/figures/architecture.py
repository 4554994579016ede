"""Score by choice of architecture."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from reports.figures import _style as style
from reports.figures._choices import Group, choices, grouped
from reports.figures._wide import scale_scores
from reports.statistics.estimates import mean
from reports.statistics.paired import holm
from reports.study import Study
from reports.words import plural, score, short, words

SECTION, ORDER = "architectures", 20
TITLE = "Score by choice of architecture"
_COLUMNS = 3


@dataclass(frozen=True)
class Info:
    """Scores by value of every architecture choice: `(name, groups)`."""

    objective: str
    direction: str
    choices: tuple[tuple[str, tuple[Group, ...]], ...]


def info(study: Study) -> Info | str:
    """Groups the completed trials by each choice of architecture that was varied."""
    found = [(name, grouped(study, name)) for name in choices(study)]
    found = [(name, groups) for name, groups in found if groups]
    if not found:
        return "No choice of architecture was varied among the completed trials."
    return Info(study.objective, study.direction, tuple(found))


def finding(info: Info) -> str:
    """Names the choice that separates most, tested and corrected for the number of choices."""
    p_values = holm([_separation(groups) for _, groups in info.choices])
    known = [(p, index) for index, p in enumerate(p_values) if math.isfinite(p)]
    if not known:
        return "No choice has two values with two trials each: nothing can be said of them yet."
    p, index = min(known)
    name, groups = info.choices[index]
    ranked = sorted(groups, key=lambda g: float(np.mean(g[1])), reverse=info.direction == "max")
    said = [
        f"{v} {score(float(np.mean(s)))} ({plural(len(s), 'trial')})"
        for v, s, _ in (ranked[0], ranked[-1])
    ]
    count = plural(len(known), "choice")
    if p >= 0.05:
        return (
            f"No choice separates the scores (Kruskal-Wallis, corrected for {count}); the nearest "
            f"is {words(name)}, p = {p:.2g}: on average {said[0]} against {said[1]}."
        )
    return (
        f"{words(name)} separates the scores most (Kruskal-Wallis, corrected for {count}, "
        f"p = {p:.2g}): on average {said[0]} against {said[1]}."
    )


def _separation(groups: tuple[Group, ...]) -> float:
    from scipy.stats import kruskal

    samples = [scores for _, scores, _ in groups if len(scores) > 1]
    if len(samples) < 2 or len({score for scores in samples for score in scores}) < 2:
        return math.nan
    return float(kruskal(*samples).pvalue)


def height(info: Info) -> float:
    """Inches."""
    return 2.7 * math.ceil(len(info.choices) / _COLUMNS)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws every score, and the mean with its 95 % interval."""
    rows = math.ceil(len(info.choices) / _COLUMNS)
    axes = style.panels(ax, rows, _COLUMNS, sharey=True)
    for panel in axes.flat[len(info.choices) :]:
        panel.set_visible(False)
    for panel, (name, groups) in zip(axes.flat, info.choices, strict=False):
        _strip(panel, name, groups)
    for row in axes:
        row[0].set_ylabel(words(info.objective))
    # Intervals of two or three trials would dwarf the trials themselves.
    scores = [score for _, groups in info.choices for _, values, _ in groups for score in values]
    margin = 0.15 * (max(scores) - min(scores) or 1.0)
    once = [score for _, values, _ in info.choices[0][1] for score in values]
    if not scale_scores(axes[0][0], once, info.objective, info.direction):
        axes[0][0].set_ylim(min(scores) - margin, max(scores) + margin)
    return ax


def _strip(ax: Axes, name: str, groups: tuple[Group, ...]) -> None:
    for index, (_, scores, numbers) in enumerate(groups):
        spread = np.linspace(-0.22, 0.1, len(scores)) if len(scores) > 1 else np.zeros(1)
        style.scatter(ax, numbers, index + spread, scores)
        estimate = mean(scores)
        half = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
        bars = half if estimate.has_interval else None
        ax.errorbar(
            index + 0.28, estimate.mean, yerr=bars, fmt="D", color=style.ORANGE, ms=5, capsize=3
        )
    size = 7.0 if len(groups) > 3 else 8.5
    limit = 6 if len(groups) > 4 else 12
    labels = [f"{short(value, limit)}\nn = {len(scores)}" for value, scores, _ in groups]
    ax.set_xticks(range(len(groups)), labels, fontsize=size)
    ax.set_xlim(-0.5, len(groups) - 0.5)
    ax.grid(visible=False, axis="x")
    ax.set_title(style.label(name), loc="left")
