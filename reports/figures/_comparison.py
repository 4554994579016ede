"""Figures of a comparison; each keeps the contract of `reports.figures`."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import between, listed, plural, score, shortened, words
from experiments.record.front import find_front
from reports.analysis.comparison.arms import Arm, without_classes
from reports.analysis.comparison.decide import Comparison
from reports.analysis.costs import Costed, costs_of_arms, phone_sentence
from reports.analysis.networks import population
from reports.figures import _style as style
from reports.figures._costs import COLORS as _COLORS
from reports.figures._costs import costs_height, draw_costs, scale_costs
from reports.figures._wide import scale_scores
from reports.statistics.estimates import Estimate
from reports.statistics.expected import LEAST_DRAWS, Expected, expected_performance, same_budget

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Test accuracy of every training, or of every search, by arm, best first.

    `arms` are positions, for colours; `units` says what the tests are of, and `noun` what they are
    on.
    """

    units: str
    noun: str
    arms: tuple[int, ...]
    names: tuple[str, ...]
    tests: tuple[tuple[float, ...], ...]
    estimates: tuple[Estimate, ...]


def seed_points(comparison: Comparison) -> Points | str:
    """Collects the tested arms, best first."""
    chosen = comparison.ranking
    if not chosen:
        why = without_classes(comparison.arms) or "no arm was tested"
        return f"{why[:1].upper()}{why[1:]}."
    return Points(
        comparison.arms[chosen[0]].units,
        comparison.noun,
        tuple(chosen),
        tuple(comparison.arms[i].name for i in chosen),
        tuple(comparison.arms[i].tests for i in chosen),
        tuple(e for i in chosen if (e := comparison.estimates[i]) is not None),
    )


def seed_points_finding(info: Points) -> str:
    """Gives each arm's mean with its interval."""
    return (
        listed(
            [
                f"{name} {score(e.mean)} ({between(e.low, e.high)}, n = {e.count})"
                for name, e in zip(info.names, info.estimates, strict=True)
            ],
            8,
        )
        + "."
    )


def draw_seed_points(info: Points, ax: Axes) -> Axes:
    """Draws a point a training, and the mean with the interval of another training."""
    for row, (tests, estimate) in enumerate(zip(info.tests, info.estimates, strict=True)):
        color = _COLORS[info.arms[row] % len(_COLORS)]
        ax.plot(tests, [row - 0.14] * len(tests), "o", color=color, alpha=0.65, ms=6)
        half = [[max(estimate.mean - estimate.low, 0)], [max(estimate.high - estimate.mean, 0)]]
        ax.errorbar(estimate.mean, row + 0.16, xerr=half, fmt="D", color=color, capsize=4, ms=6)
    names = shortened(info.names, 30)
    labels = [f"{name}  n = {len(tests)}" for name, tests in zip(names, info.tests, strict=True)]
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    one = "search" if info.units == "searches" else "training"
    ax.set_xlabel(
        f"test accuracy (points: {info.units}; diamond: mean; bar: 95 % interval,\n"
        f"of another {one} on other {info.noun}s)"
    )
    return ax


@dataclass(frozen=True)
class Curves:
    """Expected validation performance of arms, to one budget; `left_out` says why some lack."""

    objective: str
    arms: tuple[int, ...]
    names: tuple[str, ...]
    curves: tuple[Expected, ...]
    direction: str
    after: str = ""
    left_out: tuple[str, ...] = ()


def expected_curves(comparison: Comparison) -> Curves | str:
    """Estimates the curve of every arm with enough networks drawn independently of results."""
    found: dict[int, Expected] = {}
    left_out = []
    epoch = population(comparison.arms[0].study).epoch
    for position, arm in enumerate(comparison.arms):
        compared = [population(part.study) for part in arm.searches or (arm,)]
        scores = np.concatenate([_drawn_scores(part) for part in arm.searches or (arm,)])
        curve = expected_performance(scores, arm.study.direction)
        if any(part.problem or part.epoch != epoch for part in compared):
            left_out.append(f"{arm.name} (networks stopped at other epochs)")
        elif curve is None:
            left_out.append(f"{arm.name} ({len(scores)} drawn independently of results)")
        else:
            found[position] = curve
    if not found:
        return (
            f"What a budget finds can't be said of {LEAST_DRAWS - 1} networks or fewer that were "
            f"drawn independently of results: {listed(left_out, 8)}."
        )
    study = comparison.arms[0].study
    return Curves(
        study.objective,
        tuple(found),
        tuple(comparison.arms[i].name for i in found),
        tuple(same_budget(list(found.values()))),
        study.direction,
        population(study).after,
        tuple(left_out),
    )


def _drawn_scores(arm: Arm) -> _Floats:
    """Returns the scores of an arm's networks of one study that were drawn independently."""
    drawn = population(arm.study).drawn
    own = drawn["trial_ids"].map(set(arm.trials["trial_id"]).issuperset)
    return drawn["score"][own.astype(bool)].to_numpy(dtype=float)


def expected_curves_finding(info: Curves) -> str:
    """Compares the arms at their largest budget."""
    budget = int(info.curves[0].trials[-1])
    said = [
        f"{name} {score(c.mean[-1])} ({between(c.low[-1], c.high[-1])})"
        for name, c in zip(info.names, info.curves, strict=True)
    ]
    lacking = f" Can't be said of: {listed(list(info.left_out), 8)}." if info.left_out else ""
    return (
        f"The best of {plural(budget, 'random trial')}{info.after} is expected to reach: "
        f"{listed(said, 8)} (90 % bands).{lacking}"
    )


def draw_expected_curves(info: Curves, ax: Axes) -> Axes:
    """Draws a curve with its band for each arm."""
    names = shortened(info.names, 30)
    for curve, name, position in zip(info.curves, names, info.arms, strict=True):
        color = _COLORS[position % len(_COLORS)]
        ax.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.15, lw=0)
        label = f"{name} (n = {curve.count})"
        ax.plot(curve.trials, curve.mean, color=color, lw=2, label=label)
    style.whole_numbers(ax)
    drawn = np.concatenate([curve.mean for curve in info.curves])
    scale_scores(ax, drawn, info.objective, info.direction)
    ax.set_xlabel("random trials")
    ax.set_ylabel(f"expected best\n{words(info.objective)}{info.after}")
    ax.legend(loc=_legend_place(info.direction), fontsize=8)
    style.note(ax, "Tang et al. 2020; 90 % bands")
    return ax


@dataclass(frozen=True)
class Fronts:
    """Pareto fronts of score and parameters, by arm: `(name, costs, scores, front)`.

    `positions` are those of the arms in the comparison, for colours.
    """

    objective: str
    positions: tuple[int, ...]
    arms: tuple[tuple[str, Any, Any, npt.NDArray[np.int64]], ...]
    direction: str


def pareto_fronts(comparison: Comparison) -> Fronts | str:
    """Finds the front of every arm whose parameters are recorded."""
    found = {}
    for position, arm in enumerate(comparison.arms):
        done = arm.completed
        costs = (done["trainable_parameters"] + done["frozen_parameters"]).to_numpy(dtype=float)
        known = np.isfinite(costs) & (costs > 0)
        if known.any():
            x, y = costs[known], arm.scores[known]
            found[position] = (arm.name, x, y, _front(x, y, arm.study.direction))
    if not found:
        return "Parameters are not recorded."
    study = comparison.arms[0].study
    return Fronts(study.objective, tuple(found), tuple(found.values()), study.direction)


def _front(costs: _Floats, scores: _Floats, direction: str) -> npt.NDArray[np.int64]:
    """Returns the positions that no other beats in score and parameters, smallest first."""
    values = np.column_stack([scores, costs])
    return find_front(values, [direction, "min"], [False, True]).members[::-1]


def pareto_fronts_finding(info: Fronts) -> str:
    """Says which arms have trials on the overall front."""
    costs = np.concatenate([x for _, x, _, _ in info.arms])
    scores = np.concatenate([y for _, _, y, _ in info.arms])
    owner = np.concatenate([[i] * len(x) for i, (_, x, _, _) in enumerate(info.arms)])
    best = _front(costs, scores, info.direction)
    shares = [(int((owner[best] == i).sum()), arm[0]) for i, arm in enumerate(info.arms)]
    said = [f"{count} of {name}" for count, name in shares if count]
    return f"Of the {len(best)} trials that none beats in both score and size, {listed(said, 8)}."


def draw_pareto_fronts(info: Fronts, ax: Axes) -> Axes:
    """Draws trials and fronts, a colour an arm."""
    names = shortened([arm[0] for arm in info.arms], 30)
    for (_, x, y, best), name, position in zip(info.arms, names, info.positions, strict=True):
        color = _COLORS[position % len(_COLORS)]
        ax.scatter(x, y, color=color, s=14, alpha=0.35, linewidths=0, rasterized=len(x) > 600)
        label = f"{name} (n = {len(x)})"
        ax.step(x[best], y[best], where="post", color=color, lw=2, marker="o", ms=4, label=label)
    scale_costs(ax, np.concatenate([x for _, x, _, _ in info.arms]))
    scores = np.concatenate([y for _, _, y, _ in info.arms])
    scale_scores(ax, scores, info.objective, info.direction)
    ax.set_xlabel("parameters")
    ax.set_ylabel(words(info.objective))
    ax.legend(loc=_legend_place(info.direction), fontsize=8)
    return ax


def _legend_place(direction: str) -> Literal["lower right", "best"]:
    """Returns where a legend does not cover the best scores."""
    return "lower right" if direction == "max" else "best"


def arm_costs(comparison: Comparison) -> Costed | str:
    """Collects score and costs of each arm's network; empty where costs are not recorded."""
    return costs_of_arms(comparison) or ""


FIGURES = {
    "seed_points": SimpleNamespace(
        TITLE="Every training on test",
        info=seed_points,
        finding=seed_points_finding,
        height=lambda info: 0.9 + 0.5 * len(info.names),
        draw=draw_seed_points,
    ),
    "expected_curves": SimpleNamespace(
        TITLE="Expected validation performance",
        info=expected_curves,
        finding=expected_curves_finding,
        height=lambda info: 3.4,
        draw=draw_expected_curves,
    ),
    "arm_costs": SimpleNamespace(
        TITLE="Score against cost",
        info=arm_costs,
        finding=phone_sentence,
        height=costs_height,
        draw=draw_costs,
    ),
    "pareto_fronts": SimpleNamespace(
        TITLE="Pareto fronts",
        info=pareto_fronts,
        finding=pareto_fronts_finding,
        height=lambda info: 3.4,
        draw=draw_pareto_fronts,
    ),
}
