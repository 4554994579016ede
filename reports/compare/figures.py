"""Figures of a comparison; each keeps the contract of `reports.figures`."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from reports.compare.decide import Comparison
from reports.figures import _style as style
from reports.statistics.estimates import Estimate
from reports.statistics.expected import Expected, expected_performance
from reports.statistics.pareto import front
from reports.words import between, compact, listed, score, short, words

_COLORS = (*style.PALETTE, style.RED, style.GREY)


@dataclass(frozen=True)
class Points:
    """Test accuracy of every training, by arm, best first; `arms` are positions, for colours."""

    arms: tuple[int, ...]
    names: tuple[str, ...]
    tests: tuple[tuple[float, ...], ...]
    estimates: tuple[Estimate, ...]


def seed_points(comparison: Comparison) -> Points | str:
    """Collects the tested arms, best first."""
    chosen = comparison.ranking
    if not chosen:
        return "No arm was tested."
    return Points(
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
    labels = [f"{short(n, 30)}  n = {len(t)}" for n, t in zip(info.names, info.tests, strict=True)]
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(
        "test accuracy (points: trainings; diamond: mean; bar: 95 % interval,\n"
        "of another training on other images)"
    )
    return ax


@dataclass(frozen=True)
class Curves:
    """Expected validation performance of each arm."""

    objective: str
    arms: tuple[int, ...]
    names: tuple[str, ...]
    curves: tuple[Expected, ...]
    direction: str


def expected_curves(comparison: Comparison) -> Curves | str:
    """Estimates the curve of every arm with two completed trials or more."""
    places = tuple(i for i, arm in enumerate(comparison.arms) if len(arm.scores) > 1)
    if not places:
        return "No arm has two completed trials."
    chosen = [comparison.arms[i] for i in places]
    study = chosen[0].study
    return Curves(
        study.objective,
        places,
        tuple(arm.name for arm in chosen),
        tuple(expected_performance(arm.scores, arm.study.seed, study.direction) for arm in chosen),
        study.direction,
    )


def expected_curves_finding(info: Curves) -> str:
    """Compares the arms at their largest common budget."""
    budget = min(int(curve.trials[-1]) for curve in info.curves)
    said = []
    for name, c in zip(info.names, info.curves, strict=True):
        mean, low, high = (float(np.interp(budget, c.trials, y)) for y in (c.mean, c.low, c.high))
        said.append(f"{name} {mean:.4f} ({low:.4f} to {high:.4f})")
    return f"The best of {budget} trials is expected to reach: {listed(said, 8)}."


def draw_expected_curves(info: Curves, ax: Axes) -> Axes:
    """Draws a curve with its band for each arm."""
    for curve, name, position in zip(info.curves, info.names, info.arms, strict=True):
        color = _COLORS[position % len(_COLORS)]
        ax.fill_between(curve.trials, curve.low, curve.high, color=color, alpha=0.15, lw=0)
        label = f"{short(name, 30)} (n = {curve.count})"
        ax.plot(curve.trials, curve.mean, color=color, lw=2, label=label)
    style.whole_numbers(ax)
    ax.set_xlabel("trials")
    ax.set_ylabel(f"expected best\n{words(info.objective)}")
    ax.legend(loc="lower right", fontsize=8)
    style.note(ax, "Dodge et al. 2019; bands: 95 % of bootstraps")
    return ax


@dataclass(frozen=True)
class Fronts:
    """Pareto fronts of score and parameters, by arm: `(name, costs, scores, front)`."""

    objective: str
    arms: tuple[tuple[str, Any, Any, npt.NDArray[np.int64]], ...]
    direction: str


def pareto_fronts(comparison: Comparison) -> Fronts | str:
    """Finds the front of every arm whose parameters are recorded."""
    found = []
    for arm in comparison.arms:
        done = arm.completed
        costs = (done["trainable_parameters"] + done["frozen_parameters"]).to_numpy(dtype=float)
        known = np.isfinite(costs) & (costs > 0)
        if known.any():
            x, y = costs[known], arm.scores[known]
            found.append((arm.name, x, y, front(x, y, arm.study.direction)))
    if not found:
        return "Parameters are not recorded."
    study = comparison.arms[0].study
    return Fronts(study.objective, tuple(found), study.direction)


def pareto_fronts_finding(info: Fronts) -> str:
    """Says which arms hold the front of all."""
    costs = np.concatenate([x for _, x, _, _ in info.arms])
    scores = np.concatenate([y for _, _, y, _ in info.arms])
    owner = np.concatenate([[i] * len(x) for i, (_, x, _, _) in enumerate(info.arms)])
    best = front(costs, scores, info.direction)
    shares = [(int((owner[best] == i).sum()), arm[0]) for i, arm in enumerate(info.arms)]
    said = [f"{count} of {name}" for count, name in shares if count]
    return f"Of the {len(best)} trials that none beats in both score and size, {listed(said, 8)}."


def draw_pareto_fronts(info: Fronts, ax: Axes) -> Axes:
    """Draws trials and fronts, a colour an arm."""
    for (name, x, y, best), color in zip(info.arms, _COLORS, strict=False):
        ax.scatter(x, y, color=color, s=14, alpha=0.35, linewidths=0, rasterized=len(x) > 600)
        label = f"{short(name, 30)} (n = {len(x)})"
        ax.step(x[best], y[best], where="post", color=color, lw=2, marker="o", ms=4, label=label)
    costs = np.concatenate([x for _, x, _, _ in info.arms])
    if costs.max() / costs.min() > 5:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))
    ax.set_xlabel("parameters")
    ax.set_ylabel(words(info.objective))
    ax.legend(loc="lower right", fontsize=8)
    return ax


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
    "pareto_fronts": SimpleNamespace(
        TITLE="Pareto fronts",
        info=pareto_fronts,
        finding=pareto_fronts_finding,
        height=lambda info: 3.4,
        draw=draw_pareto_fronts,
    ),
}
