"""What a budget of n trials finds with each choice of architecture."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from reports.figures import _style as style
from reports.figures._choices import choices, grouped
from reports.figures._wide import scale_scores
from reports.statistics.expected import Expected, expected_performance
from reports.study import Study
from reports.words import score, short, words

SECTION, ORDER = "architectures", 21
TITLE = "Expected best score by budget"
_MOST_CHOICES, _LEAST_TRIALS = 3, 3


@dataclass(frozen=True)
class Info:
    """Curves by value of a choice: `(name, ((value, curve), ...))`."""

    objective: str
    direction: str
    choices: tuple[tuple[str, tuple[tuple[str, Expected], ...]], ...]


def info(study: Study) -> Info | str:
    """Estimates a curve for each value with three trials or more."""
    found = []
    for name in choices(study):
        curves = tuple(
            (value, expected_performance(scores, study.seed, study.direction))
            for value, scores, _ in grouped(study, name)
            if len(scores) >= _LEAST_TRIALS
        )
        if len(curves) > 1:
            found.append((name, curves))
    if not found:
        return "No choice of architecture has two values with three completed trials each."
    return Info(study.objective, study.direction, tuple(found[:_MOST_CHOICES]))


def finding(info: Info) -> str:
    """Compares the curves of the first choice at their largest common budget."""
    name, curves = info.choices[0]
    budget = min(int(curve.trials[-1]) for _, curve in curves)
    at = {value: float(np.interp(budget, c.trials, c.mean)) for value, c in curves}
    ranked = sorted(at, key=lambda v: at[v] * (-1 if info.direction == "max" else 1))
    said = ", ".join(f"{score(at[value])} with {value}" for value in ranked[:3])
    return f"With {budget} trials of its own, {words(name)} is expected to reach {said}."


def height(info: Info) -> float:
    """Inches."""
    return 2.8


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a curve with its 95 % band for each value."""
    axes = style.panels(ax, 1, max(2, len(info.choices)), sharey=True)[0]
    for panel in axes[len(info.choices) :]:
        panel.set_visible(False)
    for panel, (name, curves) in zip(axes, info.choices, strict=False):
        for (value, curve), color in zip(curves, style.PALETTE, strict=False):
            panel.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.15, lw=0)
            panel.plot(
                curve.trials, curve.mean, color=color, lw=2,
                label=f"{short(value, 18)} (n = {curve.count})",
            )  # fmt: skip
        panel.set_title(style.label(name), loc="left")
        panel.set_xlabel("trials")
        style.whole_numbers(panel)
        panel.legend(loc="best", fontsize=7.5)
    drawn = np.concatenate([curve.mean for _, curves in info.choices for _, curve in curves])
    scale_scores(axes[0], drawn, info.objective, info.direction)
    axes[0].set_ylabel(f"expected best\n{words(info.objective)}")
    return ax
