"""Whether early scores predict the final ones: is stopping hopeless trials early safe here?"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import format_number, percent, plural, score
from reports.analysis.networks import cut_short
from reports.figures import _style as style
from reports.statistics.estimates import t_quantile, wilson
from reports.study.study import Study

SECTION, ORDER = "learning-curves", 41
TITLE = "Early scores against final ones"
LEAST_TRIALS = 5
SAYS = 20  # trials, to say something about stopping
SAFE = 0.7


@dataclass(frozen=True)
class Info:
    """By epoch: rank correlation of the score so far with the final one, and the best's rank.

    Args:
        epochs: `(k,)`.
        correlation: `(k,)`, Spearman's, over trials that ran longer than the epoch.
        low: `(k,)`, lower ends of its intervals, which hold jointly in 95 %.
        high: `(k,)`, upper ends.
        best_rank: `(k,)`, share of trials that were ahead of the finally best one.
        kept: `(k,)`, how many of the finally best fifth are in the better half at that epoch.
        counts: `(k,)`, trials.
    """

    epochs: npt.NDArray[np.int64]
    correlation: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    best_rank: npt.NDArray[np.float64]
    kept: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def info(study: Study) -> Info | str:
    """Compares the best score up to each epoch with the final one."""
    if short := cut_short(study):
        return f"{short}: the others alone can't say what stopping early costs."
    found = _best_so_far(study)
    if found is None:
        return "The objective was not recorded epoch by epoch."
    (recorded, table), rows = found, []
    final = np.nanmax(table, axis=1) if len(table) else np.array([])
    for column in range(table.shape[1] - 1):
        longer = np.isfinite(table[:, column]) & np.isfinite(table[:, column + 1])
        if longer.sum() < LEAST_TRIALS:
            break
        early, late = table[longer, column], final[longer]
        best = int(np.argmax(late))
        rows.append((recorded[column], rank_correlation(early, late), np.mean(early > early[best]),
                     _num_kept(early, late), longer.sum()))  # fmt: skip
    if not rows:
        return f"{LEAST_TRIALS} trials of two epochs or more are needed."
    epochs, correlation, best_rank, kept, counts = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    low, high = correlation_interval(correlation, counts, 1 - 0.05 / len(rows))
    return Info(epochs, correlation, low, high, best_rank, kept, counts)


def _num_best(count: int) -> int:
    return math.ceil(count / 5)


def _num_kept(early: npt.NDArray[np.float64], late: npt.NDArray[np.float64]) -> int:
    best = np.argsort(-late, kind="stable")[: _num_best(len(late))]
    return int((early[best] >= np.median(early)).sum())


def correlation_interval(
    correlation: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], confidence: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns both ends of the interval of Spearman's rank correlation.

    Source: Bonett and Wright 2000, "Sample size requirements for estimating Pearson, Kendall and
    Spearman correlations".

    Args:
        correlation: `(k,)`.
        counts: `(k,)`, of four or more.
        confidence: Of each interval.
    """
    centre = np.arctanh(np.clip(correlation, -1 + 1e-9, 1 - 1e-9))
    spread = np.sqrt((1 + correlation**2 / 2) / np.maximum(counts - 3, 1))
    half = t_quantile(1e6, confidence) * spread
    return np.tanh(centre - half), np.tanh(centre + half)


def _best_so_far(study: Study) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    """Returns the epochs with a score, and scores `(num_trials, num_epochs)`.

    Larger is better; NaN after a trial's end.
    """
    epochs = study.epochs
    if study.objective not in epochs or epochs.empty:
        return None
    done = epochs["trial_id"].isin(set(study.completed["trial_id"]))
    first = epochs[(epochs["execution"] == 0) & done]
    table = first.pivot_table(index="trial_id", columns="epoch", values=study.objective)
    values = table.to_numpy(dtype=float) * (1 if study.direction == "max" else -1)
    ran = np.isfinite(values)
    best = np.fmax.accumulate(values, axis=1) if values.size else values
    return table.columns.to_numpy(dtype=np.int64), np.where(ran, best, np.nan)


def rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    """Returns Spearman's rank correlation; NaN where one does not vary."""
    from scipy.stats import rankdata

    a, b = rankdata(first), rankdata(second)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def finding(info: Info) -> str:
    """Says from which epoch on stopping the worse half is safe, where that can be said."""
    if info.counts[0] < SAYS:
        return (
            f"Whether stopping the worse half early would keep the best can't be said of "
            f"{plural(int(info.counts[0]), 'trial')}: {SAYS} are needed."
        )
    enough = info.counts >= SAYS
    safe = np.flatnonzero((info.low >= SAFE) & (info.best_rank < 0.5) & enough)
    if len(safe):
        at = int(safe[0])
        best, kept = _num_best(int(info.counts[at])), int(info.kept[at])
        low, _ = wilson(kept, best)
        return (
            f"After epoch {info.epochs[at]} scores rank the trials nearly as at their end (rank "
            f"correlation {_of(info, at)}): stopping the worse half there would have kept the best "
            f"trial, and {kept} of the best {best} (of others like them {percent(low)} or more)."
        )
    known = np.flatnonzero(np.isfinite(info.correlation) & enough)
    if not len(known):
        return "Whether early scores tell the final ones can't be said: they don't vary."
    first = int(known[0])
    told = float(info.high[known].max())
    said = f"rank correlation {_of(info, first)} after epoch {info.epochs[first]}"
    if told < SAFE:
        return (
            f"Early scores tell little of the final ones ({said}): early stopping across trials is "
            "a risk here."
        )
    return f"Whether early scores tell the final ones is open ({said})."


def _of(info: Info, at: int) -> str:
    return (
        f"{_two(info.correlation[at])}, 95 % interval {_two(info.low[at])} to "
        f"{_two(info.high[at])}, "
        f"{plural(int(info.counts[at]), 'trial')}"
    )


def _two(correlation: float) -> str:
    """Returns two decimals, more where they would read as 1."""
    return f"{correlation:.2f}" if abs(correlation) < 0.995 else score(correlation)


def height(info: Info) -> float:
    """Inches."""
    return 2.6


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the correlation by epoch, and the best trial's rank."""
    left, right = style.panels(ax, 1, 2)[0]
    left.plot(info.epochs, info.correlation, color=style.BLUE, marker="o", lw=2)
    left.fill_between(info.epochs, info.low, info.high, color=style.BLUE, alpha=0.15, lw=0)
    left.axhline(SAFE, color=style.EDGE, ls="--", lw=1)
    left.set_ylim(min(-0.05, float(np.nanmin([*info.low, 0])) - 0.05), 1.05)
    left.set_ylabel("rank correlation with final score")
    right.plot(info.epochs, info.best_rank, color=style.ORANGE, marker="o", lw=2)
    right.axhline(0.5, color=style.EDGE, ls="--", lw=1)
    right.set_ylim(-0.05, 1.05)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    right.set_ylabel("trials ahead of the final best")
    for panel in (left, right):
        panel.set_xlabel("epoch")
        style.whole_numbers(panel)
        counts = dict.fromkeys(format_number(n) for n in (info.counts[0], info.counts[-1]))
        style.note(panel, f"n = {' to '.join(counts)} trials")
    return ax
