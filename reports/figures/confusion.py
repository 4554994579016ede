"""Confusion matrix of the exported model on the test split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes

from experiments.record.formatting import format_number, plural, shortened
from reports.analysis.predictions import class_names, confusion_counts, predictions
from reports.analysis.task import noun_of
from reports.figures import _style as style
from reports.statistics.estimates import wilson
from reports.study.study import Study

SECTION, ORDER = "mistakes", 60
TITLE = "Confusion matrix"
_MAX_CLASSES = 40


@dataclass(frozen=True)
class Info:
    """Counts, rows are true classes, columns are predicted ones; and what was counted."""

    counts: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    noun: str


def info(study: Study) -> Info | str:
    """Counts the predictions."""
    found = predictions(study)
    if isinstance(found, str):
        return found
    labels, chances = found
    num_classes = chances.shape[1]
    if num_classes > _MAX_CLASSES:
        return f"{num_classes} classes are too many for a matrix that can be read."
    counts = confusion_counts(labels, chances)
    return Info(counts, tuple(class_names(study, num_classes)), noun_of(study))


def finding(info: Info) -> str:
    """Names the most frequent confusion."""
    wrong = info.counts - np.diag(np.diag(info.counts))
    total = int(wrong.sum())
    count = plural(int(info.counts.sum()), f"test {info.noun}")
    if not total:
        return f"Not one of {count} is classified wrongly."
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    return (
        f"{format_number(total)} of {count} are classified wrongly; most often "
        f"{info.class_names[true]} is taken for {info.class_names[predicted]} "
        f"({plural(int(wrong[true, predicted]), 'time')})."
    )


def height(info: Info) -> float:
    """Inches."""
    return min(max(3.0, 0.42 * len(info.class_names) + 1.2), 8.0)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the matrix, coloured by shares of each true class, and each class's recall."""
    left, right = style.panels(ax, 1, 2, width_ratios=(3, 2))[0]
    size = len(info.class_names)
    shares = info.counts / np.maximum(info.counts.sum(axis=1, keepdims=True), 1)
    names = shortened(info.class_names, 16)
    sns.heatmap(
        shares, annot=info.counts if size <= 20 else False, fmt="d", cmap="Blues", vmin=0, vmax=1,
        linewidths=0.5, annot_kws={"fontsize": 8}, xticklabels=names, yticklabels=names,
        cbar=False, ax=left,
    )  # fmt: skip
    left.set_xlabel("predicted")
    left.set_ylabel("true")
    left.tick_params(axis="y", rotation=0)
    left.tick_params(axis="x", rotation=90 if max(map(len, names)) > 6 else 0)
    style.count_note(left, int(info.counts.sum()), f"test {info.noun}s")
    _shares_right(right, info)
    return ax


def _shares_right(ax: Axes, info: Info) -> None:
    rows = [
        (index, int(row[index]), int(row.sum()))
        for index, row in enumerate(info.counts)
        if row.sum()
    ]
    for index, num_correct, count in rows:
        low, high = wilson(num_correct, count)
        ax.plot([low, high], [index + 0.5] * 2, color=style.BLUE, lw=2, solid_capstyle="round")
        ax.plot(num_correct / count, index + 0.5, "o", color=style.BLUE, ms=5)
    ax.set_ylim(len(info.counts), 0)
    ax.set_yticks([])
    ax.set_xlim(right=1.005)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel("share of the class that is right, 95 % interval")
