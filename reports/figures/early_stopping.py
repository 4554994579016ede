"""Whether early scores tell the final ones: is stopping hopeless trials early safe here?"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from reports.figures import _style as style
from reports.networks import num_stopped
from reports.study import Study
from reports.words import number, plural

SECTION, ORDER = "learning-curves", 41
TITLE = "Early scores against final ones"
LEAST_TRIALS = 5
SAFE = 0.7


@dataclass(frozen=True)
class Info:
    """By epoch: rank correlation of the score so far with the final one, and the best's rank.

    Args:
        epochs: `(k,)`.
        correlation: `(k,)`, Spearman's, over trials that ran longer than the epoch.
        best_rank: `(k,)`, share of trials that were ahead of the finally best one.
        counts: `(k,)`, trials.
    """

    epochs: npt.NDArray[np.int64]
    correlation: npt.NDArray[np.float64]
    best_rank: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


def info(study: Study) -> Info | str:
    """Compares the best score up to each epoch with the final one."""
    if num_stopped(study):
        return "Trials were stopped early: those that are left can't say what that has cost."
    table = _best_so_far(study)
    if table is None:
        return "The objective was not recorded epoch by epoch."
    rows = []
    final = np.nanmax(table, axis=1) if len(table) else np.array([])
    for epoch in range(table.shape[1] - 1):
        longer = np.isfinite(table[:, epoch]) & np.isfinite(table[:, epoch + 1])
        if longer.sum() < LEAST_TRIALS:
            break
        early, late = table[longer, epoch], final[longer]
        best = int(np.argmax(late))
        rows.append((epoch + 1, rank_correlation(early, late), np.mean(early > early[best]),
                     longer.sum()))  # fmt: skip
    if not rows:
        return f"{LEAST_TRIALS} trials of two epochs or more are needed."
    epochs, correlation, best_rank, counts = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return Info(epochs, correlation, best_rank, counts)


def _best_so_far(study: Study) -> npt.NDArray[np.float64] | None:
    """Returns `(num_trials, num_epochs)`, larger is better, NaN after a trial's end."""
    epochs = study.epochs
    if study.objective not in epochs or epochs.empty:
        return None
    done = epochs["trial_id"].isin(set(study.completed["trial_id"]))
    first = epochs[(epochs["execution"] == 0) & done]
    table = first.pivot_table(index="trial_id", columns="epoch", values=study.objective)
    values = table.to_numpy(dtype=float) * (1 if study.direction == "max" else -1)
    ran = np.isfinite(values)
    best = np.fmax.accumulate(values, axis=1) if values.size else values
    return np.where(ran, best, np.nan)


def rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Returns Spearman's rank correlation; NaN where one does not vary."""
    from scipy.stats import rankdata

    a, b = rankdata(first), rankdata(second)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def finding(info: Info) -> str:
    """Says from which epoch on stopping the worse half is safe."""
    safe = np.flatnonzero((info.correlation >= SAFE) & (info.best_rank < 0.5))
    count = plural(int(info.counts[0]), "trial")
    if len(safe) and len(info.epochs) >= 1:
        at = int(safe[0])
        return (
            f"After epoch {info.epochs[at]} scores rank the trials nearly as at their end (rank "
            f"correlation {info.correlation[at]:.2f}, {count}): stopping the worse half there "
            "would have kept the best trial."
        )
    return (
        f"Early scores tell little of the final ones (rank correlation "
        f"{info.correlation[0]:.2f} after epoch 1, {count}): early stopping across trials is a "
        "risk here."
    )


def height(info: Info) -> float:
    """Inches."""
    return 2.6


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the correlation by epoch, and the best trial's rank."""
    left, right = style.panels(ax, 1, 2)[0]
    left.plot(info.epochs, info.correlation, color=style.BLUE, marker="o", lw=2)
    left.axhline(SAFE, color=style.EDGE, ls="--", lw=1)
    left.set_ylim(min(-0.05, float(np.nanmin([*info.correlation, 0])) - 0.05), 1.05)
    left.set_ylabel("rank correlation with final score")
    right.plot(info.epochs, info.best_rank, color=style.ORANGE, marker="o", lw=2)
    right.axhline(0.5, color=style.EDGE, ls="--", lw=1)
    right.set_ylim(-0.05, 1.05)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    right.set_ylabel("trials ahead of the final best")
    for panel in (left, right):
        panel.set_xlabel("epoch")
        style.whole_numbers(panel)
        style.note(panel, f"n = {number(info.counts[0])} to {number(info.counts[-1])} trials")
    return ax
