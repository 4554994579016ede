"""How long trials took, from their records: what was measured, never what clocks of the wall say.

The clock of the wall may be set back, and a trial that was interrupted waits until its search is
resumed. So each attempt's seconds are measured by a clock that only runs forward, and add up.
"""

import math
from collections.abc import Mapping
from typing import Any

from reports.reading import dicts, number


def trial_seconds(result: Mapping[str, Any]) -> float:
    """Returns the seconds that a trial took in all its attempts; NaN where nothing says.

    Records of before `seconds` have when attempts began and ended alone. An attempt whose process
    was killed has no seconds; its epochs that were kept count at least.

    Args:
        result: The content of `result.json`.
    """
    stated = number(result.get("seconds"))
    if stated >= 0:
        return stated
    attempts = [attempt_seconds(attempt) for attempt in dicts(result.get("attempts"))]
    known = [seconds for seconds in attempts if seconds >= 0]
    if not known:
        whole = number(result.get("ended")) - number(result.get("started"))
        known = [whole] if whole >= 0 else []
    epochs = epoch_seconds(result)
    return max(sum(known), epochs) if known or epochs else math.nan


def attempt_seconds(attempt: Mapping[str, Any]) -> float:
    """Returns the seconds of an attempt; NaN where they are not known."""
    stated = number(attempt.get("seconds"))
    if stated >= 0:
        return stated
    seconds = number(attempt.get("ended")) - number(attempt.get("started"))
    return seconds if seconds >= 0 else math.nan


def epoch_seconds(result: Mapping[str, Any]) -> float:
    """Returns the seconds of all recorded epochs of all executions."""
    return sum(s for s in _epochs(result) if s >= 0)


def num_epochs(result: Mapping[str, Any]) -> int:
    """Returns the number of all recorded epochs of all executions."""
    return len(_epochs(result))


def _epochs(result: Mapping[str, Any]) -> list[float]:
    found = [execution.get("epoch_seconds") for execution in dicts(result.get("executions"))]
    return [number(s) for seconds in found if isinstance(seconds, list) for s in seconds]
