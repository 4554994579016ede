"""Notes for the reader of a record, with their severity."""

from dataclasses import dataclass

PROBLEM, DOUBT, GOOD = "problem", "doubt", "good"


@dataclass(frozen=True)
class Note:
    """A note for the reader of a record.

    Args:
        level: `problem` (mend it before you trust the result), `doubt`, or `good`.
        title: What it is.
        advice: What to do.
    """

    level: str
    title: str
    advice: str = ""
