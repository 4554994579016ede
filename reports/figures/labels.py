"""Precision and recall of each label, where a row may have several."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from experiments.record.formatting import plural, shortened
from reports.analysis.label_scores import LabelScore, LabelScores, label_scores
from reports.figures import _style as style
from reports.statistics.estimates import wilson
from reports.study.study import Study

SECTION, ORDER = "mistakes", 57
TITLE = "Precision and recall of each label"
_MOST = 40


@dataclass(frozen=True)
class Info:
    """The labels to draw, by F1, the worst last; and all of them."""

    scores: LabelScores
    shown: tuple[LabelScore, ...]


def info(study: Study) -> Info | str:
    """Counts the labels; says nothing of a study without any."""
    found = label_scores(study)
    if isinstance(found, str):
        return found
    # Labels without an F1 have nothing to draw: where there are many, they are left out first.
    ordered = sorted(found.labels, key=lambda label: -label.f1 if np.isfinite(label.f1) else -2.0)
    return Info(found, tuple(ordered[-_MOST:]))


def finding(info: Info) -> str:
    """Names the mean F1, the worst label, and how many rows are right as a whole."""
    scores = info.scores
    known = [label for label in scores.labels if np.isfinite(label.f1)]
    count = plural(scores.num_rows, f"test {scores.noun}")
    whole = f"every label is right of {scores.num_whole:,} of {count}"
    if not known:
        return f"No label occurs, nor is said to: {whole}."
    worst = min(known, key=lambda label: label.f1)
    return (
        f"Mean F1 of {plural(len(known), 'label')} {scores.macro_f1:.3f}; the worst is "
        f"{worst.name} ({worst.f1:.3f}); {whole}.{_not_drawn(info)}"
    )


def _not_drawn(info: Info) -> str:
    """Counts the labels that are left out, as a sentence; empty where all are drawn."""
    hidden = len(info.scores.labels) - len(info.shown)
    without = [sum(not np.isfinite(s.f1) for s in of) for of in (info.scores.labels, info.shown)]
    absent = without[0] - without[1]
    said = [f"{absent:,} that no row has or is said to have"] if absent else []
    said += [f"the best {hidden - absent:,}"] if hidden > absent else []
    return f" Not drawn, but in the table: {', and '.join(said)}." if said else ""


def height(info: Info) -> float:
    """Inches."""
    return max(1.8, 0.26 * len(info.shown) + 0.9)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws both shares of each label with their 95 % intervals."""
    left, right = style.panels(ax, 1, 2, sharey=True)[0]
    _shares(left, info.shown, lambda label: (label.num_right, label.num_said))
    left.set_xlabel("precision: right of those said to have it")
    _shares(right, info.shown, lambda label: (label.num_right, label.num_true))
    right.set_xlabel("recall: found of those that have it")
    left.set_yticks(range(len(info.shown)), shortened([s.name for s in info.shown], 18))
    left.set_ylim(len(info.shown) - 0.5, -0.5)
    style.note(right, f"n = {info.scores.num_rows:,} test {info.scores.noun}s; 95 % intervals")
    return ax


def _shares(
    ax: Axes, labels: tuple[LabelScore, ...], parts: Callable[[LabelScore], tuple[int, int]]
) -> None:
    for place, label in enumerate(labels):
        right, count = parts(label)
        if not count:
            continue
        low, high = wilson(right, count)
        ax.plot([low, high], [place] * 2, color=style.BLUE, lw=2, solid_capstyle="round")
        ax.plot(right / count, place, "o", color=style.BLUE, ms=5)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
