"""Score by choice of architecture."""

import math
from dataclasses import dataclass
from shlex import quote
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import are, listed, plural, score, shortened, words
from experiments.record.methods import METHODS
from reports.analysis.draws import proposed
from reports.analysis.networks import population
from reports.analysis.shared import axes_in, draws_of
from reports.analysis.task import can_compare
from reports.analysis.verdict import study_argument
from reports.figures import _style as style
from reports.figures._choices import Group, choices, grouped
from reports.figures._wide import scale_scores
from reports.statistics.effects import LEVEL, Effect, effects, tested_words
from reports.statistics.estimates import bounded, mean
from reports.statistics.wide import far_worse, is_wide
from reports.study.study import Study

SECTION, ORDER = "architectures", 20
TITLE = "Score by choice of architecture"
_COLUMNS = 3
_LETTERS = 36  # of all labels side by side


@dataclass(frozen=True)
class Info:
    """Scores by value of every architecture choice.

    Args:
        objective: Name of the score.
        direction: `"max"` or `"min"`.
        choices: `(name, groups)`.
        scores: Of all networks that are compared.
        tests: One a choice, on networks that were drawn independently of results.
        method: The method that proposed the others.
        num_drawn: Networks that were drawn independently of results.
        num_compared: All networks that are compared.
        after: Epoch of the scores as text; empty for final scores.
        problem: Why scores can't be compared; empty where they can.
        how_to_test: Advice where there is no test.
    """

    objective: str
    direction: str
    choices: tuple[tuple[str, tuple[Group, ...]], ...]
    scores: npt.NDArray[np.float64]
    tests: tuple[Effect, ...]
    method: str
    num_drawn: int
    num_compared: int
    after: str
    problem: str
    how_to_test: str


def info(study: Study) -> Info | str:
    """Groups networks by each choice of architecture that was varied, and tests each."""
    found = [(name, grouped(study, name)) for name in choices(study)]
    found = [(name, groups) for name, groups in found if groups]
    if not found:
        return "No choice of architecture was varied."
    compared = population(study)
    if compared.problem:
        return f"{compared.problem} {_all_short(tuple(found))}".strip()
    tests = _tests(study, [name for name, _ in found])
    nearest = min((t for t in tests if math.isfinite(t.p)), key=_nearness, default=None)
    return Info(
        objective=study.objective,
        direction=study.direction,
        choices=tuple(found),
        scores=compared.scores,
        tests=tuple(tests),
        method=draws_of(study).method,
        num_drawn=len(compared.drawn),
        num_compared=len(compared.frame),
        after=compared.after,
        problem=compared.problem,
        how_to_test=_how_to_test(study, nearest.name if nearest else found[0][0]),
    )


def _nearness(test: Effect) -> tuple[float, float]:
    return test.corrected, test.p


def _tests(study: Study, names: list[str]) -> list[Effect]:
    drawn = population(study).drawn
    axes = axes_in(study, drawn, names, as_choices=True)
    return effects(axes, drawn["score"].to_numpy(dtype=float), study.seed)


def _how_to_test(study: Study, name: str) -> str:
    if not can_compare(study):
        return "a search that draws at random"
    return f"experiments compare {study_argument(study)} --by {quote(name)} --seeds 5"


def finding(info: Info) -> str:
    """Names the choice that separates most, tested and corrected for the number of choices."""
    parts = [_tested(info), _not_drawn(info), _all_short(info.choices)]
    return " ".join(part for part in parts if part)


def _tested(info: Info) -> str:
    known = [t for t in info.tests if math.isfinite(t.p)]
    if not known:
        return f"No test: too few networks were drawn independently of results ({info.num_drawn})."
    best = min(known, key=_nearness)
    count = plural(len(known), "choice")
    drawn = tested_words(info.num_drawn)
    how = f"Kruskal-Wallis by permutation of {drawn}, corrected for {count}"
    said = _ends(info, best.name)
    if best.corrected > LEVEL:
        return (
            f"No choice is shown to separate the scores{info.after} ({how}); the nearest is "
            f"{words(best.name)}, p = {best.corrected:.2g}: on average {said}."
        )
    return (
        f"{words(best.name)} separates the scores{info.after} most ({how}, "
        f"p = {best.corrected:.2g}): on average {said}."
    )


def _ends(info: Info, name: str) -> str:
    """Returns the means of the best and the worst value, over the tested networks, as text."""
    groups = [g for n, own in info.choices for g in own if n == name and g.drawn_scores]
    limit = _worst_near(info)
    near = {g.value: _near(g.drawn_scores, limit, info.direction) for g in groups}
    ranked = sorted(
        groups, key=lambda g: float(np.mean(near[g.value])), reverse=info.direction == "max"
    )
    said = [
        f"{score(float(np.mean(near[g.value])))} with {g.value} (n = {len(g.drawn_scores)})"
        for g in (ranked[0], ranked[-1])
    ]
    beyond = sum(len(g.drawn_scores) - len(near[g.value]) for g in groups)
    without = f"; {beyond:,} far worse {are(beyond)} left out of means" if beyond else ""
    return " against ".join(said) + without


def _worst_near(info: Info) -> float | None:
    """Returns the worst score that is not far worse than the others; `None` if none is far off."""
    if not is_wide(info.scores, info.objective):
        return None
    far = far_worse(info.scores, info.direction)
    near = info.scores[~far]
    return float(near.max() if info.direction == "min" else near.min()) if far.any() else None


def _near(scores: tuple[float, ...], limit: float | None, direction: str) -> tuple[float, ...]:
    """Returns the scores that are no worse than `limit`; all of them if none is."""
    if limit is None:
        return scores
    kept = (s for s in scores if (s <= limit if direction == "min" else s >= limit))
    return tuple(kept) or scores


def _not_drawn(info: Info) -> str:
    others = info.num_compared - info.num_drawn
    if not others:
        return ""
    learns = info.method not in METHODS or METHODS[info.method].learns
    if info.num_drawn and others < info.num_drawn and not learns:
        return ""  # given initial points
    what = f"the other {others:,} of {plural(info.num_compared, 'network')}"
    said = proposed(what, info.method)
    return (
        f"{said[0].upper()}{said[1:]}, so an inert choice may look as if it mattered: they are "
        f"shown, not tested. What tests a choice: {info.how_to_test}."
    )


def _all_short(choices: tuple[tuple[str, tuple[Group, ...]], ...]) -> str:
    """Names the values whose networks all had fewer epochs than others."""
    found = [
        (words(name), group)
        for name, groups in choices
        for group in groups
        if 0 < group.tried == group.stopped + group.fewer
    ]
    said = [f"{name} {group.value} ({group.tried} of {group.tried})" for name, group in found]
    what = "Fewer epochs" if any(group.fewer for _, group in found) else "Stopped early"
    return f"{what} whenever tried: {listed(said)}." if said else ""


def height(info: Info) -> float:
    """Inches."""
    return 2.7 * math.ceil(len(info.choices) / _COLUMNS)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws every score, and the mean of independent draws with its 95 % interval.

    Means leave out what is far worse than all others, which lies beyond the axis.
    """
    axes = style.grid(ax, len(info.choices), _COLUMNS)
    titles = style.labels([name for name, _ in info.choices])
    for panel, (_, groups), title in zip(axes.flat, info.choices, titles, strict=False):
        _strip(panel, groups, info)
        panel.set_title(title, loc="left")
    for row in axes:
        row[0].set_ylabel(f"{words(info.objective)}{info.after}")
    # Intervals of two or three trials would dwarf the trials themselves.
    scores = [s for _, groups in info.choices for g in groups for s in g.scores] or [0.0]
    margin = 0.15 * (max(scores) - min(scores) or 1.0)
    if not scale_scores(axes[0][0], info.scores, info.objective, info.direction):
        axes[0][0].set_ylim(min(scores) - margin, max(scores) + margin)
    return ax


def _strip(ax: Axes, groups: tuple[Group, ...], info: Info) -> None:
    limit = _worst_near(info)
    for index, group in enumerate(groups):
        count = len(group.scores)
        spread = np.linspace(-0.22, 0.1, count) if count > 1 else np.zeros(count)
        drawn, scores = np.array(group.drawn, dtype=bool), np.array(group.scores)
        numbers = np.array(group.numbers, dtype=int)
        for which, color in ((drawn, style.BLUE), (~drawn, style.GREY)):
            if which.any():
                style.scatter(
                    ax, numbers[which].tolist(), (index + spread)[which], scores[which], color
                )
        if drawn.any():
            _mean(
                ax, index + 0.28, _near(group.drawn_scores, limit, info.direction), info.objective
            )
    _name(ax, groups)
    ax.set_xlim(-0.5, len(groups) - 0.5)
    ax.grid(visible=False, axis="x")


def _mean(ax: Axes, x: float, scores: tuple[float, ...], metric: str) -> None:
    estimate = bounded(mean(scores), metric)
    half = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
    bars = half if estimate.has_interval else None
    ax.errorbar(x, estimate.mean, yerr=bars, fmt="D", color=style.ORANGE, ms=5, capsize=3)


def _name(ax: Axes, groups: tuple[Group, ...]) -> None:
    """Names the values below their points, at a slant where there is no room to tell them apart."""
    whole = [group.value for group in groups]
    values = shortened(whole, max(4, _LETTERS // len(groups)))
    counts = [
        f"n = {len(group.scores)}"
        + (f"\nstopped {group.stopped}" if group.stopped else "")
        + (f"\nfewer epochs {group.fewer}" if group.fewer else "")
        for group in groups
    ]
    look: dict[str, Any] = {"fontsize": 7.0 if len(groups) > 3 else 8.5}
    if len(set(values)) < len(set(whole)):
        values, counts = shortened(whole, 20), [count.replace("\n", ", ") for count in counts]
        look |= {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    labels = [f"{value}\n{count}" for value, count in zip(values, counts, strict=True)]
    ax.set_xticks(range(len(groups)), labels, **look)
