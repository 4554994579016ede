"""Score against what it costs: parameters, FLOPs, latency, training time."""

from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from experiments.record.formatting import are, compact, duration, listed, plural, score, words
from experiments.record.front import find_front
from reports.analysis.costs import FEATURES, cost_title, trial_costs
from reports.analysis.front_words import exchange
from reports.analysis.study_front import StudyFront, study_front, without_early_rounds
from reports.analysis.task import noun_of
from reports.analysis.verdict import study_argument
from reports.figures import _style as style
from reports.figures._costs import scale_costs
from reports.figures._wide import scale_scores
from reports.study.study import Study

_UNITS = {"latency": "ms", "training time": "s"}
_BETTER = {"min": "less is better", "max": "more is better"}
SECTION, ORDER = "trade-offs", 50
TITLE = "Score against cost"
_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One cost: costs and scores of completed trials, and their front.

    Those of early rounds of Hyperband are left out.

    Args:
        title: The cost and its unit.
        costs: `(n,)`.
        scores: `(n,)`.
        numbers: `(n,)`, trials.
        front: Positions of the Pareto front, cheapest first.
        knee: Position of the knee, if the front bends.
        steps: Where the front's steps rise; `None` for a front of more than two objectives, which
            is no line in this panel.
    """

    title: str
    costs: _Array
    scores: _Array
    numbers: tuple[int, ...]
    front: npt.NDArray[np.int64]
    knee: int | None
    steps: Literal["pre", "post"] | None = "post"


@dataclass(frozen=True)
class Info:
    """One panel a recorded cost; `missing` names the others.

    With several objectives, there is one panel for each objective after the first, all with the
    same front and knee. `exchange` compares the knee with the best trial by the first. `study` is
    what names the study in a command.
    """

    objective: str
    direction: str
    panels: tuple[Panel, ...]
    missing: tuple[str, ...]
    ids: dict[int, str]
    exchange: str | None = None
    study: str = ""


def _costs_of(done: pd.DataFrame, noun: str) -> dict[str, _Array]:
    """Returns the costs of each completed trial's own, in their order; missing ones are NaN."""
    costs = {cost_title(c, noun): v for c, v in trial_costs(done).items() if c != FEATURES}
    return costs | {"training time, seconds": done["seconds"].to_numpy(dtype=float)}


def info(study: Study) -> Info | str:
    """Finds the Pareto front for each recorded cost, or the front of several objectives."""
    found = study_front(study)
    if found is not None:
        return _of_objectives(study, found)
    done = without_early_rounds(study)
    if len(done) < 2:
        return "Two completed trials are needed."
    scores = done["score"].to_numpy(dtype=float)
    numbers = done["number"].to_numpy(dtype=int)
    panels, missing = [], []
    for title, costs in _costs_of(done, noun_of(study)).items():
        known = np.isfinite(costs) & (costs > 0)
        if known.sum() < 2:
            if study.takes_options:  # a script's networks can't be measured without it
                missing.append(title.partition(",")[0])
            continue
        x, y = costs[known], scores[known]
        one = find_front(np.column_stack([y, x]), [study.direction, "min"], [False, True])
        numbered = tuple(int(n) for n in numbers[known])
        panels.append(Panel(title, x, y, numbered, one.members[::-1], one.knee))
    if not panels:
        return "No cost of two trials is recorded: neither parameters, nor FLOPs, nor times."
    ids = {int(n): str(t) for n, t in zip(numbers, done["trial_id"], strict=True)}
    return Info(
        study.objective, study.direction, tuple(panels), tuple(missing), ids,
        study=study_argument(study),
    )  # fmt: skip


def _of_objectives(study: Study, found: StudyFront) -> Info:
    numbers = tuple(int(n) for n in found.trials["number"])
    panels = tuple(_panel(found, column, numbers) for column in range(1, len(found.objectives)))
    ids = {n: str(t) for n, t in zip(numbers, found.trials["trial_id"], strict=True)}
    knee, best = found.front.knee, int(found.front.members[0])
    return Info(
        study.objective, study.direction, panels, (), ids,
        "" if knee is None or knee == best else exchange(found, knee, best),
    )  # fmt: skip


def _panel(found: StudyFront, column: int, numbers: tuple[int, ...]) -> Panel:
    objective = found.objectives[column]
    costs, members = found.values[:, column], found.front.members
    known = np.isfinite(costs) & np.isfinite(found.values[:, 0])
    place = {int(p): i for i, p in enumerate(np.flatnonzero(known))}
    ordered = members[np.argsort(costs[members], kind="stable")]
    rising: Literal["pre", "post"] = "post" if objective.direction == "min" else "pre"
    return Panel(
        title=f"{words(objective.name)}, {_BETTER[objective.direction]}",
        costs=costs[known],
        scores=found.values[known, 0],
        numbers=tuple(n for n, k in zip(numbers, known, strict=True) if k),
        front=np.array([place[int(p)] for p in ordered], dtype=np.int64),
        knee=None if found.front.knee is None else place[found.front.knee],
        steps=rising if len(found.objectives) == 2 else None,
    )


def _front_finding(info: Info) -> str:
    panel = info.panels[0]
    if len(panel.front) == 1:
        alone = info.ids[panel.numbers[int(panel.front[0])]]
        return f"No other trial is better than trial {alone} in any objective: it is the front."
    count = f"{len(panel.front)} of {len(panel.costs)} trials are the front over all objectives"
    if panel.knee is None:
        return f"{count}; it has no knee."
    trial = info.ids[panel.numbers[panel.knee]]
    if not info.exchange:
        return f"{count}; its knee is trial {trial}, the best by {words(info.objective)} too."
    return f"{count}; its knee, trial {trial}, {info.exchange}."


def finding(info: Info) -> str:
    """Says what the knee of the first cost, or of several objectives, costs and loses."""
    if info.exchange is not None:
        return _front_finding(info)
    panel = info.panels[0]
    best = int(np.argmax(panel.scores if info.direction == "max" else -panel.scores))
    name = panel.title.partition(",")[0]
    absent = ""
    if info.missing:
        absent = (
            f" Not recorded of the trials: {listed(list(info.missing))}; "
            f"`experiments measure {info.study}` adds costs."
        )
    if panel.knee is None or panel.knee == best:
        return (
            f"{len(panel.front)} of {plural(len(panel.costs), 'trial')} {are(len(panel.front))} "
            f"beaten by none in both score and {name}; the front has no knee short of the best "
            f"trial.{absent}"
        )
    gap = abs(panel.scores[best] - panel.scores[panel.knee])
    way = "less" if info.direction == "max" else "more"
    return (
        f"The knee is trial {info.ids[panel.numbers[panel.knee]]}: "
        f"{_amount(panel, panel.knee, name)}{' of' if name in _UNITS else ''} {name} against "
        f"{_amount(panel, best, name)} of the best, for {score(gap)} {way} {words(info.objective)}."
        f"{absent}"
    )


def _amount(panel: Panel, at: int, name: str) -> str:
    """Returns a cost as a sentence has it: a time in the unit that fits."""
    cost, unit = float(panel.costs[at]), _UNITS.get(name, "")
    return duration(cost) if unit == "s" else f"{compact(cost)} {unit}".rstrip()


def height(info: Info) -> float:
    """Inches."""
    return 2.9 * ((len(info.panels) + 1) // 2)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws trials, the front as steps and the knee as a diamond."""
    axes = style.grid(ax, len(info.panels), 2)
    for panel, content in zip(axes.flat, info.panels, strict=False):
        _cost(panel, content)
    for row in axes:
        row[0].set_ylabel(words(info.objective))
    pairs = (zip(panel.numbers, panel.scores, strict=True) for panel in info.panels)
    drawn = dict(chain.from_iterable(pairs))  # a trial may lack a cost
    scale_scores(axes[0][0], list(drawn.values()), info.objective, info.direction)
    place = "lower right" if info.exchange is None and info.direction == "max" else "best"
    marks = style.marks(axes.flat)
    axes[0][0].legend(marks.values(), marks.keys(), loc=place, fontsize=7.5)
    return ax


def _cost(ax: Axes, panel: Panel) -> None:
    style.scatter(ax, panel.numbers, panel.costs, panel.scores, style.GREY, label="trial")
    x, y = panel.costs[panel.front], panel.scores[panel.front]
    look: dict[str, Any] = {"color": style.BLUE, "marker": "o", "ms": 4}
    if panel.steps is None:
        ax.plot(x, y, ls="", label="front over all objectives", **look)
    else:
        ax.step(x, y, where=panel.steps, lw=2, label="Pareto front", **look)
    if panel.knee is not None:
        ax.plot(
            panel.costs[panel.knee], panel.scores[panel.knee], "D", color=style.ORANGE, ms=8,
            label="knee", zorder=4,
        )  # fmt: skip
    scale_costs(ax, panel.costs)
    ax.set_xlabel(panel.title)
    style.count_note(ax, len(panel.costs))
