"""Decides what follows an attempt, by the cause of its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MOST_LOSSES = 3


class Fate(StrEnum):
    """What to do with a trial whose attempt did not finish."""

    AGAIN = "again"  # another one, from its last epoch, wherever there is room
    ALONE = "alone"  # another one, in a process of its own, with nothing beside it
    PAUSED = "paused"  # another one, in a later session
    ENDED = "ended"  # no further one: it has a result


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial, as it is recorded.

    Args:
        number: From 1.
        started: Seconds since 1970.
        ended: Seconds since 1970; `None` while it runs.
        seconds: How long it took, by a clock that is never set back; `None` if its process was
            killed with the search.
        worker: What ran it.
        outcome: `completed`, `failed`, `pruned`, `lost`, `out_of_memory`, `paused` or
            `interrupted`.
        message: What happened, in one line.
        alone: Whether it had a process of its own.
    """

    number: int
    started: float
    ended: float | None = None
    seconds: float | None = None
    worker: str | None = None
    outcome: str | None = None
    message: str | None = None
    alone: bool = False

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "Attempt":
        """Reads a record; unknown keys are ignored."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__ if name in record})


def after_attempt(attempts: Sequence[Attempt], isolates: bool) -> Fate:
    """Decides what follows the last attempt: only workers and memory may be there another time.

    Args:
        attempts: All attempts at a trial, of earlier sessions too.
        isolates: Whether the executor can run it alone.
    """
    outcomes = [attempt.outcome for attempt in attempts]
    if outcomes[-1] == "paused":
        return Fate.PAUSED
    if outcomes[-1] == "lost" and outcomes.count("lost") < MOST_LOSSES:
        return Fate.AGAIN
    if outcomes[-1] == "out_of_memory" and isolates and not any(a.alone for a in attempts):
        return Fate.ALONE
    return Fate.ENDED
