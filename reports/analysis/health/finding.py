"""A finding of a health check, and the level of a check's test."""

from dataclasses import dataclass, field
from typing import Any

from experiments.record.notes import DOUBT, GOOD, PROBLEM

__all__ = ["DOUBT", "GOOD", "LEVEL", "PROBLEM", "Finding"]

LEVEL = 0.04  # of a check's test: on noise a check reports in at most 5 %, measured


@dataclass(frozen=True)
class Finding:
    """One thing seen in a study.

    Args:
        level: `problem` (mend it before you trust the result), `doubt`, or `good`.
        title: What was seen, with its numbers.
        advice: What to do.
        change: Options of the next search that follow the advice, by name.
        fix: Hyperparameters that the next search should hold.
        ranges: Ranges that the next search should have.
    """

    level: str
    title: str
    advice: str = ""
    change: dict[str, Any] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
