"""The expected best score of n trials for each choice of architecture."""

from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from experiments.record.formatting import between, plural, score, shortened, words
from reports.analysis.networks import population
from reports.figures import _style as style
from reports.figures._choices import choices, grouped
from reports.figures._wide import scale_scores
from reports.statistics.expected import LEAST_DRAWS, Expected, expected_performance, same_budget
from reports.study.study import Study

SECTION, ORDER = "architectures", 21
TITLE = "Expected best score by budget"
_MOST_CHOICES = 3


@dataclass(frozen=True)
class Info:
    """Curves by value of a choice: `(name, ((value, curve), ...))`, to one budget a choice.

    `after` names the epoch of the scores; empty for final scores.
    """

    objective: str
    direction: str
    choices: tuple[tuple[str, tuple[tuple[str, Expected], ...]], ...]
    after: str = ""


def info(study: Study) -> Info | str:
    """Estimates a curve for each value with enough networks drawn independently of results."""
    compared = population(study)
    if compared.problem:
        return compared.problem
    found = []
    for name in choices(study):
        curves = [
            (group.value, curve)
            for group in grouped(study, name)
            if (curve := expected_performance(group.drawn_scores, study.direction)) is not None
        ]
        if len(curves) > 1:
            even = same_budget([curve for _, curve in curves])
            values = [value for value, _ in curves]
            found.append((name, tuple(zip(values, even, strict=True))))
    if not found:
        return (
            f"No choice has two values with {LEAST_DRAWS} networks each that were drawn "
            f"independently of results (of this study: {len(compared.drawn)}): fewer can't say "
            "what a budget finds."
        )
    return Info(study.objective, study.direction, tuple(found[:_MOST_CHOICES]), compared.after)


def finding(info: Info) -> str:
    """Compares the curves of the first choice at their largest budget."""
    name, curves = info.choices[0]
    budget = int(curves[0][1].trials[-1])
    ranked = sorted(curves, key=lambda c: c[1].mean[-1], reverse=info.direction == "max")
    said = ", ".join(
        f"{score(c.mean[-1])} ({between(c.low[-1], c.high[-1])}) with {value}"
        for value, c in ranked[:3]
    )
    return (
        f"The best of {plural(budget, 'random trial')}{info.after} is expected to reach, by "
        f"{words(name)}: {said} (90 % bands)."
    )


def height(info: Info) -> float:
    """Inches."""
    return 2.8


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a curve with its 90 % band for each value."""
    axes = style.grid(ax, len(info.choices), max(2, len(info.choices)))[0]
    titles = style.labels([name for name, _ in info.choices])
    for panel, (_, curves), title in zip(axes, info.choices, titles, strict=False):
        values = shortened([value for value, _ in curves], 18)
        looks = zip(cycle(style.PALETTE), cycle(style.MARKERS), strict=False)
        for (_, curve), value, (color, marker) in zip(curves, values, looks, strict=False):
            panel.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.15, lw=0)
            panel.plot(
                curve.trials, curve.mean, color=color, lw=2, marker=marker, ms=4,
                label=f"{value} (n = {curve.count})",
            )  # fmt: skip
        panel.set_title(title, loc="left")
        panel.set_xlabel("random trials")
        style.whole_numbers(panel)
        panel.legend(loc="best", fontsize=7.5)
    drawn = np.concatenate([curve.mean for _, curves in info.choices for _, curve in curves])
    scale_scores(axes[0], drawn, info.objective, info.direction)
    axes[0].set_ylabel(f"expected best\n{words(info.objective)}{info.after}")
    return ax
