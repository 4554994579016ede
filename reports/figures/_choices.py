"""Completed trials grouped by a choice of architecture."""

from typing import Any

from reports.figures import _style as style
from reports.study import Study
from reports.words import text

_MOST_VALUES = 8
Group = tuple[str, tuple[float, ...], tuple[int, ...]]  # value, scores, trial numbers


def choices(study: Study) -> list[str]:
    """Names of the choices that were varied: the record's, or all of few values."""
    named = study.record.get("architecture")
    if isinstance(named, list):
        return [name for name in study.searched if name in named]
    return [n for n in study.searched if not style.is_numeric(study.hyperparameters[n])]


def grouped(study: Study, name: str) -> tuple[Group, ...]:
    """Groups completed trials by the values of `name`; empty if there are too many or one."""
    done = study.completed[study.completed[name].notna()]
    groups: dict[str, list[Any]] = {}
    for value, score, number in zip(done[name], done["score"], done["number"], strict=True):
        groups.setdefault(text(value), []).append((float(score), int(number)))
    if not 2 <= len(groups) <= _MOST_VALUES:
        return ()
    return tuple(
        (value, tuple(s for s, _ in groups[value]), tuple(n for _, n in groups[value]))
        for value in sorted(groups, key=_natural)
    )


def _natural(value: str) -> tuple[int, float, str]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
