"""Timeline of each worker's trials."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import duration, percent, plural, shortened
from reports.analysis.sessions import seconds_searched
from reports.figures import _style as style
from reports.study.study import Study

SECTION, ORDER = "progress", 11
TITLE = "Worker timeline"
_COLORS = {"completed": style.BLUE, "pruned": style.GREY, "failed": style.RED}
_MOST_WORKERS = 32
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Info:
    """Trials as bars.

    Args:
        workers: Names of the workers shown.
        rows: `(n,)`, position of each trial's worker.
        begins: `(n,)`, minutes of the search before each; pauses between sessions do not count.
        lengths: `(n,)`, minutes.
        statuses: `(n,)`.
        numbers: `(n,)`, trials.
        busy: Share of the workers' time that was spent in trials.
        hidden: Workers left out.
    """

    workers: tuple[str, ...]
    rows: tuple[int, ...]
    begins: tuple[float, ...]
    lengths: tuple[float, ...]
    statuses: tuple[str, ...]
    numbers: tuple[int, ...]
    busy: float
    hidden: int


def info(study: Study) -> Info | str:
    """Collects the trials that ended."""
    ended = study.trials[study.trials["seconds"].notna()]
    if ended.empty:
        return "Times of trials are not recorded."
    # A resumed search has the same workers in other processes.
    names = ended["worker"].fillna("in this process").astype(str)
    names = names.str.replace(r" \(process \d+\)$", "", regex=True)
    workers = sorted(names.unique(), key=lambda w: (len(w), w))
    begins = seconds_searched(study, ended["started"].to_numpy(dtype=float))
    whole = np.array([ended["started"].min(), ended["ended"].max()])
    span = float(np.diff(seconds_searched(study, whole))[0])
    busy = float(ended["seconds"].sum() / (span * len(workers))) if span > 0 else 1.0
    shown = workers[:_MOST_WORKERS]
    is_shown = names.isin(shown).to_numpy()
    ended, names, begins = ended[is_shown], names[is_shown], begins[is_shown]
    return Info(
        workers=tuple(shown),
        rows=tuple(shown.index(name) for name in names),
        begins=tuple(float(s) / 60 for s in begins),
        lengths=tuple(float(s) / 60 for s in ended["seconds"]),
        statuses=tuple(ended["status"]),
        numbers=tuple(int(n) for n in ended["number"]),
        busy=min(busy, 1.0),
        hidden=len(workers) - len(shown),
    )


def finding(info: Info) -> str:
    """Says how busy the workers were."""
    total = max(b + n for b, n in zip(info.begins, info.lengths, strict=True)) * 60
    return (
        f"{plural(len(info.workers) + info.hidden, 'worker')} spent {percent(info.busy)} of "
        f"{duration(total)} in trials."
    )


def height(info: Info) -> float:
    """Inches."""
    return 1.3 + 0.26 * len(info.workers)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a bar a trial, a row a worker."""
    many = len(info.rows) > style.MANY
    rows, begins = np.array(info.rows), np.array(info.begins)
    lengths, statuses = np.array(info.lengths), np.array(info.statuses)
    for status in dict.fromkeys(info.statuses):
        for row in range(len(info.workers)):
            chosen = (statuses == status) & (rows == row)
            ax.broken_barh(
                list(zip(begins[chosen], lengths[chosen], strict=True)), (row - 0.35, 0.7),
                facecolors=_COLORS.get(status, style.PURPLE), rasterized=many,
                edgecolors="none" if many else style.PAPER, linewidth=0.8,
                label=status if row == 0 else None,
            )  # fmt: skip
    style.track(ax, info.numbers, begins + lengths / 2, rows)
    ax.set_yticks(range(len(info.workers)), shortened(info.workers))
    ax.invert_yaxis()
    ax.set_xlabel("minutes that the search ran")
    ax.grid(visible=False, axis="y")
    more = f" ({info.hidden} more not shown)" if info.hidden else ""
    style.note(ax, f"n = {len(info.rows)} trials, {plural(len(info.workers), 'worker')}{more}")
    if len(set(info.statuses)) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=7.5, borderpad=0)
    return ax
