"""Whether the exported model is as sure as it is right."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from reports.figures import _style as style
from reports.figures._predictions import predictions
from reports.statistics.calibration import Calibration, calibration
from reports.study import Study
from reports.words import number

SECTION, ORDER = "mistakes", 62
TITLE = "Calibration"


@dataclass(frozen=True)
class Info:
    """Calibration on the test split."""

    bins: Calibration
    count: int
    num_classes: int


def info(study: Study) -> Info | str:
    """Measures the calibration."""
    found = predictions(study)
    if isinstance(found, str):
        return found
    labels, chances = found
    return Info(calibration(labels, chances), len(labels), chances.shape[1])


def finding(info: Info) -> str:
    """Says whether its probabilities can be taken at their word."""
    known = info.bins.counts > 0
    gap = (
        np.nansum((info.bins.confidence - info.bins.accuracy)[known] * info.bins.counts[known])
        / info.count
    )
    way = "too sure of itself" if gap > 0 else "less sure than it is right"
    trust = "its probabilities can be taken at their word" if info.bins.error < 0.02 else way
    return (
        f"Stated probability and share of right answers differ by {info.bins.error:.3f} on average "
        f"(expected calibration error; Brier score {info.bins.brier:.3f}): {trust}."
    )


def height(info: Info) -> float:
    """Inches."""
    return 3.0


def draw(info: Info, ax: Axes) -> Axes:
    """Draws accuracy against confidence, and how often each confidence is stated."""
    left, right = style.panels(ax, 1, 2)[0]
    known = info.bins.counts > 0
    left.plot([0, 1], [0, 1], ls="--", color=style.EDGE, lw=1)
    left.plot(
        info.bins.confidence[known], info.bins.accuracy[known], "o-", color=style.BLUE, lw=1.8
    )
    left.set_xlim(1 / info.num_classes - 0.02, 1.02)
    left.set_ylim(-0.02, 1.02)
    left.set_xlabel("stated probability")
    left.set_ylabel("share right")
    edges = np.linspace(0, 1, len(info.bins.counts) + 1)
    right.bar(edges[:-1], info.bins.counts, width=0.1, align="edge", color=style.BLUE, ec="none")
    right.set_xlim(1 / info.num_classes - 0.02, 1.02)
    right.set_yscale("symlog", linthresh=1)
    right.yaxis.set_major_formatter(lambda value, _: number(value))
    right.set_xlabel("stated probability")
    right.set_ylabel("test images (log)")
    style.count_note(left, info.count, "test images")
    return ax
