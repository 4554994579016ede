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
        curve: Epoch, from 0 -> objective; empty where it is not known.
        is_short: Whether it had fewer epochs than others of its search.
    """

    values: dict[str, Any]
    score: float
    further: tuple[float, ...] = ()
    curve: Mapping[int, float] = field(default_factory=dict)
    is_short: bool = False

    def value_at(self, epochs: int, direction: str) -> float | None:
        """Returns the best objective until `epochs`; `None` if that is not known.

        A trial that was trained whole counts with all it had where it had fewer, and where its
        epochs are not known. Before its first report it counts with that.
        """
        until = [value for epoch, value in self.curve.items() if epoch < epochs]
        if self.is_short and (not until or max(self.curve) + 1 < epochs):
            return None
        if len(until) == len(self.curve) and not self.is_short:
            return self.score
        until = until or [self.curve[min(self.curve)]]
        return (max if direction == "max" else min)(until)


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
