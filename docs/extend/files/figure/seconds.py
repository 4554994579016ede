"""How long trials took: a figure of the section on how the search was run."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from reports.study.study import Study

SECTION, ORDER = "how-it-was-run", 95
TITLE = "Seconds per trial"


@dataclass(frozen=True)
class Info:
    """Seconds of each completed trial, `(num_trials,)`."""

    seconds: npt.NDArray[np.float64]


def info(study: Study) -> Info | str:
    """Collects the seconds, or says why there is nothing to draw."""
    seconds = study.completed["seconds"].dropna().to_numpy(dtype=float)
    return Info(seconds) if len(seconds) >= 2 else "Two completed trials are needed."


def finding(info: Info) -> str:
    """Says what half of the trials took."""
    low, middle, high = np.quantile(info.seconds, (0.25, 0.5, 0.75))
    return f"Half of the trials took {low:.1f} to {high:.1f} s, the median {middle:.1f} s."


def height(info: Info) -> float:
    """Inches."""
    return 2.4


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a histogram."""
    ax.hist(info.seconds, bins="auto")
    ax.set_xlabel("seconds")
    ax.set_ylabel("trials")
    return ax
