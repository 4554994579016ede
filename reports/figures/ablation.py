"""From the default to the best: what each change gained."""

from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes

from experiments.record.formatting import apart, score, shortened, words
from reports.analysis.networks import place_of_best, population
from reports.analysis.shared import compared_axes, surrogate_of
from reports.figures import _style as style
from reports.statistics.ablation import Ablation, ablation
from reports.statistics.surrogate import fit_surrogate
from reports.statistics.wide import is_wide, shares_beaten
from reports.study.study import Study

SECTION, ORDER = "hyperparameters", 34
TITLE = "From the default to the best"


@dataclass(frozen=True)
class Info:
    """The path, with each change as text: `learning rate: 0.001 to 0.004`.

    `after` names the epoch of the predicted scores; empty for final scores.
    """

    objective: str
    direction: str
    path: Ablation
    changes: tuple[str, ...]
    after: str = ""


def info(study: Study) -> Info | str:
    """Predicts the score after each change, by a random forest."""
    axes, surrogate, found = compared_axes(study), surrogate_of(study), population(study)
    if found.problem:
        return found.problem
    direction, predicted = study.direction, study.objective
    if is_wide(found.scores, study.objective):  # else outliers dominate a forest's means
        direction, predicted = "max", "share of trials beaten"
        surrogate = fit_surrogate(axes, shares_beaten(found.scores, study.direction), study.seed)
    if surrogate is None:
        return "Ten networks with different scores are needed."
    place = place_of_best(study)
    path = ablation(axes, surrogate, place, direction)
    if path is None:
        return "The best trial is the space's default."
    best = found.frame.iloc[place]
    changes = []
    for name, label in zip(path.names, style.labels(path.names, 22), strict=True):
        ends = study.hyperparameters[name].get("default"), best[name]
        default, after = map(apart(ends), ends)
        changes.append(f"{label}: {' to '.join(shortened([default, after or 'not used'], 12))}")
    return Info(predicted, direction, path, tuple(changes), found.after)


def _gains(info: Info) -> list[float]:
    sign = 1 if info.direction == "max" else -1
    scores = info.path.scores
    return [sign * (b - a) for a, b in pairwise(scores)]


def finding(info: Info) -> str:
    """Names the change that gained most."""
    gains = _gains(info)
    most = max(range(len(gains)), key=lambda i: gains[i])
    total, predicted = sum(gains), f"{words(info.objective)}{info.after}"
    if total <= 0:
        return (
            f"The random forest sees no gain in {predicted} from the default to the best trial's "
            f"values ({score(info.path.scores[0])} to {score(info.path.scores[-1])}, R² "
            f"{info.path.fit:.2f} on unseen networks): it can't say what brought it."
        )
    part = "most of it" if gains[most] > total / 2 else "the largest part"
    return (
        f"Predicted {predicted}: for the default {score(info.path.scores[0])}, for the best "
        f"trial's values {score(info.path.scores[-1])}; {part} by "
        f"{words(info.path.names[most])} ({score(gains[most], signed=True)} of "
        f"{score(total, signed=True)}). No default was trained for this: a random forest predicts "
        f"it (R² {info.path.fit:.2f} on unseen networks)."
    )


def height(info: Info) -> float:
    """Inches."""
    return 1.0 + 0.26 * len(info.changes)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the predicted score after each change, from top to bottom."""
    scores, gains = info.path.scores, _gains(info)
    rows = range(len(scores))
    for row, gain in enumerate(gains, start=1):
        begin, end = scores[row - 1], scores[row]
        color = style.GREEN if gain >= 0 else style.RED
        ax.barh(row, end - begin, left=begin, color=color, height=0.6)
        ax.plot([begin, begin], [row - 1, row], color=style.EDGE, lw=1, zorder=0)
    ax.plot(scores[0], 0, "o", color=style.BLUE)
    ax.plot(scores[-1], len(scores) - 1, "D", color=style.ORANGE)
    ax.set_yticks(rows, ["default", *info.changes])
    ax.invert_yaxis()
    ax.use_sticky_edges = False  # else bars end where the axis does, and cut off its marks
    ax.margins(x=0.04)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"predicted {words(info.objective)}{info.after}")
    style.count_note(ax, info.path.count, "networks")
    return ax
