"""Trials of other searches, as a search uses them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from experiments.record.errors import UserError
from experiments.record.objective import Objective


@dataclass(frozen=True)
class PriorTrial:
    """A trial of another search.

    Args:
        values: Its hyperparameters, as far as this search has them, or may come to have them.
        score: Its objective.
        further: Its values of the search's further objectives, in their order.
        curve: Epoch, from 0 -> objective, of a trial that had fewer epochs than others of its
            search; empty for one that was trained whole.
    """

    values: dict[str, Any]
    score: float
    further: tuple[float, ...] = ()
    curve: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceTrials:
    """What was read of one source.

    Args:
        trials: Values and score of each trial that was completed or stopped early.
        skipped: Why other trials are of no use -> how many.
    """

    trials: list[PriorTrial]
    skipped: Counter[str]


def check_objective(name: str, found: Objective | None, objective: Objective) -> None:
    """Checks that a source has the objective of the search, where it says which it had.

    Raises:
        UserError: It has another one.
    """
    if found is not None and found != objective:
        raise UserError(
            f"--from {name}: its objective is {found}, that of this search {objective}; "
            "their scores can't be compared"
        )


def missing(values: Mapping[str, Any]) -> str | None:
    """Names a value that is no number."""
    return next((name for name, value in values.items() if not is_number(value)), None)


def is_number(value: object) -> bool:
    """Whether a value is a finite number."""
    try:
        return not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value)
    except OverflowError:
        return False  # a whole number of hundreds of digits
