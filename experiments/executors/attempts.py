"""What becomes of a trial by the cause of its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from experiments.data.prepare import MissingDataError

MOST_LOSSES = 3


class Fate(StrEnum):
    """What to do with a trial whose attempt did not finish."""

    AGAIN = "again"  # from its last epoch, wherever there is room
    ALONE = "alone"  # in a process of its own, with nothing beside it
    FAILED = "failed"


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
        """Reads a record; what it does not know is left out."""
        return cls(**{name: record[name] for name in cls.__dataclass_fields__ if name in record})


def after_loss(attempts: Sequence[Attempt], out_of_memory: bool, isolates: bool) -> Fate:
    """Decides on a trial whose process is gone.

    Args:
        attempts: All of its attempts, the lost one too.
        out_of_memory: Whether it was killed for its memory.
        isolates: Whether the executor can run it alone.
    """
    if out_of_memory:
        return after_failure(attempts, "out_of_memory", isolates)
    losses = sum(attempt.outcome == "lost" for attempt in attempts)
    return Fate.AGAIN if losses < MOST_LOSSES else Fate.FAILED


def after_failure(attempts: Sequence[Attempt], cause: str | None, isolates: bool) -> Fate:
    """Decides on a trial that failed: only memory may be there another time."""
    if cause == "out_of_memory" and isolates and not any(a.alone for a in attempts):
        return Fate.ALONE
    return Fate.FAILED


class DiskFullError(OSError):
    """There is no room for the record; the search can be resumed once there is."""


# What is no property of a trial ends the search, which can be resumed: cause -> error.
STOPPING: dict[str | None, type[OSError]] = {
    "disk_full": DiskFullError,
    "data_missing": MissingDataError,
}
