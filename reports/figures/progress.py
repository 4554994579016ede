"""Best so far, by trial and by wall time, against what as many random trials would find."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from reports.analysis import drawn_scores
from reports.figures import _style as style
from reports.front import last_arrival
from reports.statistics.expected import Expected, expected_performance
from reports.study import Study
from reports.words import number, plural, words

SECTION, ORDER = "progress", 10
TITLE = "Best so far"
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Info:
    """Scores and running best of completed trials, in order of their end; failures apart.

    Args:
        objective: Name of the score.
        numbers: `(n,)`, trials in order of their end.
        minutes: `(n,)`, since the search began; missing times are NaN.
        scores: `(n,)`.
        best: `(n,)`, best so far.
        failed_numbers: Trials that failed.
        expected: Expected best of 1..n trials drawn at random; `None` where these were not.
        last_arrival: Which trial to end was the last to join the front of several objectives.
    """

    objective: str
    numbers: tuple[int, ...]
    minutes: tuple[float, ...]
    scores: tuple[float, ...]
    best: tuple[float, ...]
    failed_numbers: tuple[int, ...]
    expected: Expected | None
    last_arrival: int | None = None


def info(study: Study) -> Info | str:
    """Collects the running best."""
    done = study.completed.sort_values(["ended", "number"], kind="stable")
    if done.empty:
        return "No trial was completed."
    running = done["score"].cummax() if study.direction == "max" else done["score"].cummin()
    start = study.trials["started"].min()
    return Info(
        objective=study.objective,
        numbers=tuple(int(n) for n in done["number"]),
        minutes=tuple(float(s) / 60 for s in done["ended"] - start),
        scores=tuple(float(s) for s in done["score"]),
        best=tuple(float(s) for s in running),
        failed_numbers=tuple(int(n) for n in study.failed["number"]),
        expected=_expected(study),
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
    text = f"The best of {plural(len(info.scores), 'completed trial')}, {info.best[-1]:.4f}, "
    text += f"was number {first + 1} to end"
    if first == 0:
        return text + "; nothing later beat it."
    gain = abs(info.best[-1] - info.best[first - 1])
    share = (first + 1) / len(info.scores)
    late = share > 0.8 and len(info.scores) >= 5
    return (
        f"{text}, {gain:.4f} better than the best before it: "
        + ("the search was still improving when it ended." if late else
           f"the last {1 - share:.0%} of the trials brought nothing better.")
    )  # fmt: skip


def height(info: Info) -> float:
    """Inches."""
    return 3.2


def draw(info: Info, ax: Axes) -> Axes:
    """Draws scores as points, the best so far as steps, and what random order would give."""
    left, right = style.panels(ax, 1, 2, sharey=True)[0]
    order = np.arange(1, len(info.scores) + 1)
    if info.expected is not None:
        curve, color = info.expected, style.ORANGE
        left.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.18, lw=0)
        label = "expected of as many random trials, 90 %"
        left.plot(curve.trials, curve.mean, color=color, lw=1.5, label=label)
    for panel, x in ((left, order), (right, info.minutes)):
        panel.step(x, info.best, where="post", color=style.BLUE, lw=2, label="best so far")
        style.scatter(panel, info.numbers, x, info.scores, style.GREY, label="a trial's score")
        style.count_note(panel, len(info.scores))
    _zoom(left, info)
    style.whole_numbers(left)
    left.set_xlabel(f"trials ended ({number(len(info.failed_numbers))} failed)")
    right.set_xlabel("minutes since the search began")
    if not np.isfinite(info.minutes).any():
        right.text(0.5, 0.5, "times are not recorded", transform=right.transAxes, ha="center")
    left.set_ylabel(words(info.objective))
    left.legend(loc="best", fontsize=7.5)
    return ax


def _zoom(ax: Any, info: Info) -> None:
    """Leaves the worst tenth of many trials out of sight: the best so far is what counts."""
    if len(info.scores) < 20:
        return
    low, high = np.quantile(info.scores, [0.1, 0.9])
    low, high = min(low, *info.best), max(high, *info.best)
    margin = 0.06 * (high - low or 1.0)
    ax.set_ylim(low - margin, high + margin)
