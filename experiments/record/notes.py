"""What a reader of a record has to know, and how grave it is."""

from dataclasses import dataclass

PROBLEM, DOUBT, GOOD = "problem", "doubt", "good"


@dataclass(frozen=True)
class Note:
    """Something that a reader of a record has to know.

    Args:
        level: `problem` (mend it before you trust the result), `doubt`, or `good`.
        title: What it is.
        advice: What to do.
    """

    level: str
    title: str
    advice: str = ""
