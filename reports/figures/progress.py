"""Best so far, by trial and by wall time, against the expected best of random trials."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import format_number, part_of, plural, score, words
from reports.analysis.sessions import seconds_searched
from reports.analysis.shared import drawn_scores
from reports.analysis.study_front import last_arrival
from reports.figures import _style as style
from reports.figures._wide import scale_scores
from reports.statistics.expected import Expected, expected_performance
from reports.study.study import Study

SECTION, ORDER = "progress", 10
TITLE = "Best so far"
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Info:
    """Scores and running best of completed trials, in order of their end; failures apart.

    Args:
        objective: Name of the score.
        direction: `"max"` or `"min"`.
        numbers: `(n,)`, trials in order of their end.
        minutes: `(n,)`, that the search had run by then; missing times are NaN.
        scores: `(n,)`.
        best: `(n,)`, best so far of trials that had no fewer epochs than others; NaN before the
            first.
        failed_numbers: Trials that failed.
        fewer: `(n,)`, whether the trial had fewer epochs, so that its score does not count.
        expected: Expected best of 1..n trials drawn at random; `None` where these were not.
        by_end: Whether trials are in order of their end; else of their start.
        last_arrival: Position, in order of end, of the last trial that joined the front of several
            objectives.
    """

    objective: str
    direction: str
    numbers: tuple[int, ...]
    minutes: tuple[float, ...]
    scores: tuple[float, ...]
    best: tuple[float, ...]
    failed_numbers: tuple[int, ...]
    fewer: tuple[bool, ...]
    expected: Expected | None
    by_end: bool = True
    last_arrival: int | None = None


def info(study: Study) -> Info | str:
    """Collects the running best."""
    done = study.by_end
    if done.empty:
        return "No trial was completed."
    if not study.is_ordered:
        return "The order of its trials is not recorded: whether it got better can't be said."
    ends = seconds_searched(study, done["ended"].to_numpy(dtype=float))
    fewer = done["trial_id"].isin(list(study.handicaps))
    counted = done["score"].mask(fewer)
    running = (counted.cummax() if study.direction == "max" else counted.cummin()).ffill()
    return Info(
        objective=study.objective,
        direction=study.direction,
        numbers=tuple(int(n) for n in done["number"]),
        minutes=tuple(float(s) / 60 for s in ends),
        scores=tuple(float(s) for s in done["score"]),
        best=tuple(float(s) for s in running),
        failed_numbers=tuple(int(n) for n in study.failed["number"]),
        fewer=tuple(bool(f) for f in fewer),
        expected=_expected(study),
        by_end=bool(study.end_order) or not done["ended"].isna().all(),
        last_arrival=last_arrival(study),
    )


def _expected(study: Study) -> Expected | None:
    drawn = drawn_scores(study)
    return None if drawn is None else expected_performance(drawn, study.direction)


def finding(info: Info) -> str:
    """Says when the best was found, and by how much it last improved."""
    text = _best_finding(info)
    if info.last_arrival is None:
        return text
    last = f"the front last gained the trial that was number {info.last_arrival} to end."
    return f"{text} That is by {words(info.objective)} alone; {last}"


def _best_finding(info: Info) -> str:
    first = info.best.index(info.best[-1])
    whole = info.fewer.count(False)
    text = f"The best of {part_of(whole, len(info.scores), 'completed trial')}"
    text += " (the others had fewer epochs)" if any(info.fewer) else ""
    text += f", {score(info.best[-1])}, "
    text += f"was number {first + 1} to {'end' if info.by_end else 'start'}"
    if first == 0 or math.isnan(info.best[first - 1]):
        return text + "; nothing later beat it."
    gain = abs(info.best[-1] - info.best[first - 1])
    after = info.fewer[first + 1 :].count(False)
    # A late best is no sign of more to come: among equal trials, any may be the best.
    later = f"{plural(after, 'trial')} after it brought nothing better"
    return (
        f"{text}, {score(gain)} better than the best before it; "
        f"{later if after else 'none came after it'}."
    )


def height(info: Info) -> float:
    """Inches."""
    return 3.2


def draw(info: Info, ax: Axes) -> Axes:
    """Draws scores as points, the best so far as steps, and what random order would give."""
    timed = bool(np.isfinite(info.minutes).any())
    left, *rest = style.panels(ax, 1, 1 + timed, sharey=True)[0]
    order = np.arange(1, len(info.scores) + 1)
    if info.expected is not None:
        curve, color = info.expected, style.ORANGE
        left.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.18, lw=0)
        label = "expected of as many random trials, 90 %"
        left.plot(curve.trials, curve.mean, color=color, lw=1.5, label=label)
    for panel, x in zip((left, *rest), (order, info.minutes), strict=False):
        panel.step(x, info.best, where="post", color=style.BLUE, lw=2, label="best so far")
        _scores(panel, info, np.asarray(x, dtype=float))
        style.count_note(panel, len(info.scores))
    if not scale_scores(left, info.scores, info.objective, info.direction):
        _zoom(left, info)
    style.whole_numbers(left)
    left.set_xlabel(
        f"trials {'ended' if info.by_end else 'started'} "
        f"({format_number(len(info.failed_numbers))} failed)"
    )
    for right in rest:
        right.set_xlabel("minutes that the search ran")
    left.set_ylabel(words(info.objective))
    left.legend(loc="best", fontsize=7.5)
    return ax


def _scores(ax: Axes, info: Info, x: _Array) -> None:
    """Draws trials as points, and those that do not count as crosses."""
    numbers, scores, fewer = np.array(info.numbers), np.array(info.scores), np.array(info.fewer)
    whole, less = np.flatnonzero(~fewer), np.flatnonzero(fewer)
    style.scatter(
        ax, numbers[whole].tolist(), x[whole], scores[whole], style.GREY, label="a trial's score"
    )
    if len(less):
        style.scatter(
            ax, numbers[less].tolist(), x[less], scores[less], style.GREY, marker="x",
            linewidths=1, label="of fewer epochs",
        )  # fmt: skip


def _zoom(ax: Axes, info: Info) -> None:
    """Leaves the worst tenth of many trials out of sight: the best so far is what counts."""
    if len(info.scores) < 20:
        return
    top = max(info.scores) if info.direction == "max" else min(info.scores)
    low, high = np.quantile(info.scores, [0.1, 0.9])
    shown = [b for b in (*info.best, top) if not math.isnan(b)]
    low, high = min(low, *shown), max(high, *shown)
    margin = 0.06 * (high - low or 1.0)
    ax.set_ylim(low - margin, high + margin)
