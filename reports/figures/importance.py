"""Which hyperparameters matter."""

from dataclasses import dataclass

from matplotlib.axes import Axes

from reports.analysis import axes_of, importances_of
from reports.figures import _style as style
from reports.statistics.importance import LEAST_TRIALS, Importance
from reports.study import Study
from reports.words import words

SECTION, ORDER = "hyperparameters", 30
TITLE = "Importance"
_MOST = 15


@dataclass(frozen=True)
class Info:
    """Importances, the largest first, of `count` trials; `hidden` are left out."""

    importances: tuple[Importance, ...]
    count: int
    hidden: int


def info(study: Study) -> Info | str:
    """Estimates the importance of every varied hyperparameter."""
    done = study.completed
    if len(done) < LEAST_TRIALS:
        return (
            f"{len(done)} completed trials are too few to say what matters: "
            f"{LEAST_TRIALS} are the least, 30 are better."
        )
    if not axes_of(study):
        return "No hyperparameter took more than one value among the completed trials."
    found = importances_of(study)
    if not found:
        return "All scores are the same: nothing can matter."
    return Info(tuple(found[:_MOST]), len(done), max(len(found) - _MOST, 0))


def finding(info: Info) -> str:
    """Names the most important one, and whether it is set apart from the next."""
    first = info.importances[0]
    text = (
        f"{words(first.name)} explains most: {first.mean:.0%} of the variance of the score alone "
        f"(80 % of bootstrap samples {first.low:.0%} to {first.high:.0%})"
    )
    if len(info.importances) > 1 and first.low <= info.importances[1].high:
        return f"{text}, but {words(info.importances[1].name)} may matter as much."
    return text + "."


def height(info: Info) -> float:
    """Inches."""
    return 0.9 + 0.27 * len(info.importances)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws bars with intervals."""
    shown = info.importances[::-1]
    means = [i.mean for i in shown]
    ax.barh(range(len(shown)), means, color=style.BLUE, height=0.65)
    # The mean may lie outside the quantiles where few samples found all of the effect.
    errors = (
        [max(i.mean - i.low, 0) for i in shown],
        [max(i.high - i.mean, 0) for i in shown],
    )
    ax.errorbar(means, range(len(shown)), xerr=errors, fmt="none", ecolor=style.INK, capsize=2.5)
    ax.set_yticks(range(len(shown)), [style.label(i.name, 34) for i in shown])
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel(
        "share of the score's variance explained alone (fANOVA), 10 to 90 % of bootstraps"
    )
    ax.grid(visible=False, axis="y")
    more = f", {info.hidden} more not shown" if info.hidden else ""
    style.count_note(ax, info.count, f"trials{more}")
    return ax
