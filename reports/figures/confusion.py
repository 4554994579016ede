"""Confusion matrix of the exported model on the test split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 60, False
TITLE = "Confusion matrix"
QUESTION = "Which classes does the exported model mix up on the test split?"
_MAX_CLASSES = 40


@dataclass(frozen=True)
class Info:
    """Counts, rows are true classes, columns are predicted ones."""

    counts: npt.NDArray[np.int64]
    class_names: tuple[str, ...]


def info(study: Study) -> Info | str:
    """Counts the predictions."""
    stored = study.arrays("predictions")
    if stored is None:
        return "No test predictions are recorded: no finalist was trained."
    num_classes = stored["probabilities"].shape[1]
    if num_classes > _MAX_CLASSES:
        return f"{num_classes} classes are too many for a matrix that can be read."
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (stored["labels"], stored["probabilities"].argmax(axis=1)), 1)
    names = study.class_names or [str(index) for index in range(num_classes)]
    return Info(counts, tuple(names))


def draw(info: Info) -> Figure:
    """Draws the matrix; colours are shares of each true class."""
    size = len(info.class_names)
    figure, axes = style.subplots(1, 1, min(max(2.8, 0.5 * size + 1.2), 8.0))
    ax = axes[0][0]
    shares = info.counts / np.maximum(info.counts.sum(axis=1, keepdims=True), 1)
    sns.heatmap(
        shares,
        annot=info.counts if size <= 20 else False,
        fmt="d",
        cmap="Blues",
        vmin=0,
        vmax=1,
        square=True,
        linewidths=0.5,
        annot_kws={"fontsize": 8.5},
        cbar_kws={"label": "share of the true class", "shrink": 0.8},
        xticklabels=info.class_names,
        yticklabels=info.class_names,
        ax=ax,
    )
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.tick_params(axis="y", rotation=0)
    style.count_note(ax, int(info.counts.sum()), "test images")
    return figure
