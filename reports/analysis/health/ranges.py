"""Whether scores get better up to an end of a range, so that the optimum may lie beyond it."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import text, words
from experiments.record.notes import DOUBT, GOOD
from reports.analysis.health.finding import LEVEL, Finding
from reports.analysis.networks import population
from reports.analysis.plain_advice import advised
from reports.analysis.shared import compared_axes
from reports.analysis.widening import is_parent, wider
from reports.statistics.space import Axis
from reports.statistics.trend import end_p
from reports.study.study import Study

_ENDS = ("lower", "upper")


def edges(study: Study) -> Iterator[Finding]:
    """Names ends of ranges up to which scores get better.

    The test is a trend of ranks among trials that were proposed at about the same time, corrected
    for all ends of all ranges. A parabola through the ranks must not have turned by nine tenths of
    the way. On noise it names an end in at most 5 % of studies. With five hyperparameters, it finds
    an optimum at an end in at least 80 %: from 20 trials on if the hyperparameter explains 80 % of
    the differences in score, from 40 on if it explains 65 %, from 100 on if it explains half.
    """
    found = population(study)
    axes = [a for a in compared_axes(study) if _has_ends(study, a)]
    order = np.argsort(found.frame["number"].to_numpy())
    gains = found.scores * (1 if study.direction == "max" else -1)
    for name, end, p_value in ends_reached(axes, gains, order):
        yield _edge(study, name, end, p_value, found.after)


def _has_ends(study: Study, axis: Axis) -> bool:
    hp = study.hyperparameters[axis.name]
    return not axis.labels and "min_value" in hp and "max_value" in hp


def ends_reached(
    axes: Sequence[Axis], gains: npt.NDArray[np.float64], order: npt.NDArray[np.int64]
) -> list[tuple[str, str, float]]:
    """Returns `(name, end, corrected p-value)` of the ends up to which scores get better.

    Args:
        axes: Number ranges of the trials.
        gains: `(num_trials,)`, scores, larger is better.
        order: `(num_trials,)`, positions of the trials in order of their start.
    """
    found = []
    for axis in axes:
        used = order[axis.active[order]]
        for end in _ENDS:
            p_value = end_p(axis.unit[used], gains[used], end) * len(_ENDS) * len(axes)
            if p_value <= LEVEL:
                found.append((axis.name, end, p_value))
    return found


def _edge(study: Study, column: str, end: str, p_value: float, after: str) -> Finding:
    """Says what to do about an optimum at an end of a range."""
    hp = study.hyperparameters[column]
    value = text(hp["min_value" if end == "lower" else "max_value"])
    title = (
        f"scores{after} get better up to the {end} end of the range of {words(column)}, {value} "
        f"(p = {p_value:.2g})"
    )
    wide = wider(hp, end)
    if wide is None:
        return Finding(GOOD, f"{title}, beyond which it means nothing")
    if is_parent(hp["name"], study.hyperparameters.values()):
        advice = f"others depend on {column}: widen it in the search space, beyond {value}"
        return Finding(DOUBT, title, advice)
    advice = advised(
        study,
        f"widen it: --range {hp['name']}={wide}",
        f"widen it in the code of the search, to {wide.replace(':', ' to ')}",
    )
    return Finding(DOUBT, title, advice, ranges={hp["name"]: wide})
