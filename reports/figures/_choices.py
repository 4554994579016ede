"""Networks grouped by a choice of architecture."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from experiments.record.formatting import apart
from reports.analysis.networks import SHORT, networks, population
from reports.figures import _style as style
from reports.study.study import Study

_MOST_VALUES = 8


@dataclass(frozen=True)
class Group:
    """Networks with one value of a choice.

    Args:
        value: The value.
        scores: Of those that have one, at equal fidelity, best first.
        numbers: Their trials.
        drawn: Which of them were drawn independently of results.
        tried: Networks that were tried, including those that failed or still run.
        stopped: Networks that were stopped early.
        fewer: Networks that were to have fewer epochs than others.
    """

    value: str
    scores: tuple[float, ...]
    numbers: tuple[int, ...]
    drawn: tuple[bool, ...]
    tried: int
    stopped: int
    fewer: int = 0

    @property
    def drawn_scores(self) -> tuple[float, ...]:
        """Scores of the networks that were drawn independently of results."""
        return tuple(s for s, was in zip(self.scores, self.drawn, strict=True) if was)


def choices(study: Study) -> list[str]:
    """Names of the choices that were varied: the record's, or all with few values."""
    named = study.record.get("architecture")
    if isinstance(named, list):
        return [name for name in study.searched if name in named]
    return [n for n in study.searched if not style.is_numeric(study.hyperparameters[n])]


def grouped(study: Study, name: str) -> tuple[Group, ...]:
    """Groups networks by the values of `name`; empty if there are too many values or one."""
    every, scored = networks(study), population(study).frame
    shown = apart(every[name])
    values = sorted({shown(v) for v in every[name].dropna()}, key=_natural)
    if not 2 <= len(values) <= _MOST_VALUES:
        return ()
    return tuple(_groups(name, shown, values, every, scored))


def _groups(
    name: str,
    shown: Callable[[object], str],
    values: list[str],
    every: pd.DataFrame,
    scored: pd.DataFrame,
) -> Iterator[Group]:
    tried, known = every[name].map(shown), scored[name].map(shown)
    for value in values:
        rows, own = scored[known == value], every[tried == value]
        yield Group(
            value,
            tuple(float(s) for s in rows["score"]),
            tuple(int(n) for n in rows["number"]),
            tuple(bool(d) for d in rows["drawn"]),
            len(own),
            *(int((own["status"] == status).sum()) for status in SHORT),
        )


def _natural(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
