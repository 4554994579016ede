"""Which hyperparameters matter."""

import math
from dataclasses import dataclass

from matplotlib.axes import Axes

from experiments.record.formatting import are, listed, part_of, percent, plural, words
from reports.analysis.draws import proposed
from reports.analysis.networks import population
from reports.analysis.shared import compared_axes, draws_of, effects_of, shares_of
from reports.figures import _style as style
from reports.statistics.effects import LEVEL, Effect, tested_words
from reports.statistics.importance import LEAST_FIT, LEAST_TRIALS, Importance
from reports.statistics.wide import is_wide
from reports.study.study import Study

SECTION, ORDER = "hyperparameters", 30
TITLE = "Importance"
_MOST = 15


@dataclass(frozen=True)
class Info:
    """Shares of the variance, and which of them a test supports.

    Args:
        importances: The largest first.
        tests: Hyperparameter -> its test, on networks that were drawn independently of results.
        fit: R² of the model behind the shares, on networks it was not fitted to.
        count: Networks the model was fitted to.
        whole: Networks that there are: of many, a sample is taken.
        num_drawn: Networks that were tested.
        method: The method that proposed the others.
        hidden: Hyperparameters left out.
        after: Epoch of the scores as text; empty for final scores.
        of_ranks: Whether the shares are of ranks, because scores are too far apart.
    """

    importances: tuple[Importance, ...]
    tests: dict[str, Effect]
    fit: float
    count: int
    whole: int
    num_drawn: int
    method: str
    hidden: int
    after: str
    of_ranks: bool = False

    @property
    def is_sample(self) -> bool:
        """Whether all networks were drawn independently of results, or all but given ones."""
        return self.num_drawn > self.whole / 2

    @property
    def real(self) -> list[str]:
        """Hyperparameters that are shown to matter, the largest share first."""
        ranked = [i.name for i in self.importances]
        return [n for n in ranked if n in self.tests and self.tests[n].is_real]


def info(study: Study) -> Info | str:
    """Estimates the share of every varied hyperparameter, and tests each."""
    compared = population(study)
    if compared.problem:
        return compared.problem
    count = len(compared.frame)
    if count < LEAST_TRIALS:
        return (
            f"{plural(count, 'network')} {are(count)} too few to say what matters: "
            f"{LEAST_TRIALS} are the least, 30 are better."
        )
    if not compared_axes(study):
        return "No hyperparameter took more than one value among the completed trials."
    shares = shares_of(study)
    if shares is None:
        return "All scores are the same: nothing can matter."
    found = shares.importances
    return Info(
        importances=found[:_MOST],
        tests={effect.name: effect for effect in effects_of(study)},
        fit=shares.fit,
        count=shares.count,
        whole=count,
        num_drawn=len(compared.drawn),
        method=draws_of(study).method,
        hidden=max(len(found) - _MOST, 0),
        after=compared.after,
        of_ranks=is_wide(compared.scores, study.objective),
    )


def finding(info: Info) -> str:
    """Names those that a test shows to matter, and what the shares are of."""
    return f"{_tested(info)} {_explained(info)}"


def _tested(info: Info) -> str:
    known = [test for test in info.tests.values() if math.isfinite(test.p)]
    drawn = tested_words(info.num_drawn)
    if not known:
        return f"No test: too few networks were drawn independently of results ({info.num_drawn})."
    how = f"permutations of {drawn} drawn independently of results, level {LEVEL:.0%} over all"
    if not info.real:
        return f"No hyperparameter is shown to matter alone ({how})."
    named = listed([words(name) for name in info.real])
    return f"Shown to matter: {named} ({how})."


def _explained(info: Info) -> str:
    if info.fit < LEAST_FIT:
        return (
            f"The shares say little: the model behind them predicts networks that it has not seen "
            f"hardly better than their mean (R² {info.fit:.2f})."
        )
    first = info.importances[0]
    every = "all " if info.count == info.whole else ""
    of_networks = f"{every}{part_of(info.count, info.whole, 'network')}{info.after}"
    text = (
        f"By a model of {of_networks} (R² {info.fit:.2f} on unseen ones), "
        f"{words(first.name)} explains most: {percent(first.mean)} of the "
        f"variance{_of_ranks(info)} over the space alone"
    )
    if not info.is_sample:
        most = proposed("most networks", info.method)
        text += f"; {most}, so the model may rest on few that were drawn at random"
    return f"{text}."


def _of_ranks(info: Info) -> str:
    return " of ranks" if info.of_ranks else ""


def height(info: Info) -> float:
    """Inches."""
    return 0.9 + 0.27 * len(info.importances)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws bars, coloured where a test supports them, with the model's quantiles."""
    shown = info.importances[::-1]
    means = [i.mean for i in shown]
    colors = [style.BLUE if i.name in info.real else style.EDGE for i in shown]
    ax.barh(range(len(shown)), means, color=colors, height=0.65)
    errors = (
        [max(i.mean - i.low, 0) for i in shown],
        [max(i.high - i.mean, 0) for i in shown],
    )
    ax.errorbar(means, range(len(shown)), xerr=errors, fmt="none", ecolor=style.INK, capsize=2.5)
    ax.set_yticks(range(len(shown)), style.labels([i.name for i in shown], 34))
    ax.set_xlim(0, 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel(
        f"share of variance{_of_ranks(info)} over the space, alone, by a model (80 % band); blue: "
        "shown to matter"
    )
    ax.grid(visible=False, axis="y")
    more = f", {info.hidden} more not shown" if info.hidden else ""
    style.count_note(ax, info.count, f"networks{more}")
    return ax
