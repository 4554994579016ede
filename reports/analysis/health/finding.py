"""What a check of a study's health finds, and the level at which it may say so by chance."""

from dataclasses import dataclass, field
from typing import Any

from experiments.record.notes import DOUBT, GOOD, PROBLEM

__all__ = ["DOUBT", "GOOD", "LEVEL", "PROBLEM", "Finding"]

LEVEL = 0.04  # of a check's test: on noise a check speaks in at most 5 %, measured


@dataclass(frozen=True)
class Finding:
    """One thing seen in a study.

    Args:
        level: `problem` (mend it before you trust the result), `doubt`, or `good`.
        title: What was seen, with its numbers.
        advice: What to do.
        change: Options of the next search that do it, by name.
        fix: Hyperparameters that the next search should hold.
        ranges: Ranges that the next search should have.
    """

    level: str
    title: str
    advice: str = ""
    change: dict[str, Any] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
