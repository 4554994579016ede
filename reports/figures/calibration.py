"""Calibration of the exported model: whether its confidence matches its accuracy."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from experiments.record.formatting import format_number, plural, score
from reports.analysis.predictions import predictions
from reports.analysis.task import noun_of
from reports.figures import _style as style
from reports.statistics.calibration import Calibration, calibration
from reports.statistics.estimates import wilson
from reports.study.study import Study, computed_once

SECTION, ORDER = "mistakes", 62
TITLE = "Calibration"
_LEVEL = 0.04
_SMALL = 0.03  # error of a perfect model on enough images
_ENOUGH = 100  # images, below which the shares right say little
_CLEAR = 2.0  # standard errors


@dataclass(frozen=True)
class Info:
    """Calibration on the test split, and what it is counted over."""

    bins: Calibration
    count: int
    num_classes: int
    noun: str


@computed_once
def info(study: Study) -> Info | str:
    """Measures the calibration."""
    found = predictions(study)
    if isinstance(found, str):
        return found
    labels, chances = found
    bins = calibration(labels, chances, seed=study.seed)
    return Info(bins, len(labels), chances.shape[1], noun_of(study))


def finding(info: Info) -> str:
    """Says whether its probabilities can be trusted."""
    bins = info.bins
    return (
        f"Stated probability and share of right answers differ by {bins.error:.3f} on average "
        f"(expected calibration error; Brier score {score(bins.brier)}). On "
        f"{plural(info.count, info.noun)} a perfectly calibrated model differs by up to "
        f"{bins.error_by_chance:.3f} by chance: {_verdict(info)}."
    )


def _verdict(info: Info) -> str:
    bins = info.bins
    if not is_off(bins):
        if bins.error_by_chance < _SMALL and _would_show(info):
            return "its probabilities can be taken at their word"
        few = f"so few {info.noun}s would not show much"
        return f"nothing speaks against its probabilities, but {few}"
    if abs(bins.excess) < _CLEAR:
        return "it is too sure in places and not sure enough in others"
    return "it is too sure of itself" if bins.excess > 0 else "it is less sure than it is right"


def _would_show(info: Info) -> bool:
    """Whether the share right is known to be near what is stated, whatever the model states.

    Of a model that is nearly sure of all, chance alone allows no error, of ten images as of many.
    """
    right, stated = (
        float(np.nansum(part * info.bins.counts))
        for part in (info.bins.accuracy, info.bins.confidence)
    )
    ends = wilson(round(right), info.count)
    gap = max(abs(end - stated / info.count) for end in ends)
    return info.count >= _ENOUGH and gap <= _SMALL


def is_off(bins: Calibration) -> bool:
    """Whether a model is called miscalibrated; a perfectly calibrated one is in at most 5 %."""
    return bins.p_value <= _LEVEL


def height(info: Info) -> float:
    """Inches."""
    return 3.0


def draw(info: Info, ax: Axes) -> Axes:
    """Draws accuracy against confidence, and how often each confidence is stated."""
    left, right = style.panels(ax, 1, 2)[0]
    known = info.bins.counts > 0
    left.plot([0, 1], [0, 1], ls="--", color=style.EDGE, lw=1)
    left.vlines(
        info.bins.confidence[known], info.bins.low[known], info.bins.high[known],
        color=style.EDGE, lw=5, label="95 % if perfectly calibrated",
    )  # fmt: skip
    left.legend(loc="upper left", fontsize=7.5)
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
    right.yaxis.set_major_formatter(lambda value, _: format_number(value))
    right.set_xlabel("stated probability")
    right.set_ylabel(f"test {info.noun}s (log)")
    style.count_note(left, info.count, f"test {info.noun}s")
    return ax
