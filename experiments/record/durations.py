"""How long trials took: measured durations, never differences of wall-clock times.

The wall clock may be set back, and an interrupted trial waits until its search is resumed. So each
attempt is measured by a monotonic clock, and the seconds are added up.
"""

import math
import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from experiments.record.errors import UserError
from experiments.record.reading import as_number, dicts


def trial_seconds(result: Mapping[str, Any]) -> float:
    """Returns the seconds of all attempts of a trial; NaN where none are recorded.

    Records from before `seconds` hold only when attempts began and ended. An attempt whose process
    was killed has no seconds; the seconds of its kept epochs are counted.

    Args:
        result: The content of `result.json`.
    """
    stated = as_number(result.get("seconds"))
    if stated >= 0:
        return stated
    attempts = [attempt_seconds(attempt) for attempt in dicts(result.get("attempts"))]
    known = [seconds for seconds in attempts if seconds >= 0]
    if not known:
        whole = as_number(result.get("ended")) - as_number(result.get("started"))
        known = [whole] if whole >= 0 else []
    epochs = epoch_seconds(result)
    return max(sum(known), epochs) if known or epochs else math.nan


def attempt_seconds(attempt: Mapping[str, Any]) -> float:
    """Returns the seconds of an attempt; NaN where they are not known."""
    stated = as_number(attempt.get("seconds"))
    if stated >= 0:
        return stated
    seconds = as_number(attempt.get("ended")) - as_number(attempt.get("started"))
    return seconds if seconds >= 0 else math.nan


def epoch_seconds(result: Mapping[str, Any]) -> float:
    """Returns the seconds of all recorded epochs of all executions."""
    return sum(s for s in _epochs(result) if s >= 0)


def num_epochs(result: Mapping[str, Any]) -> int:
    """Returns the number of all recorded epochs of all executions."""
    return len(_epochs(result))


def _epochs(result: Mapping[str, Any]) -> list[float]:
    found = [execution.get("epoch_seconds") for execution in dicts(result.get("executions"))]
    return [as_number(s) for seconds in found if isinstance(seconds, list) for s in seconds]


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def clock() -> float:
    """Returns the seconds of a monotonic clock that also counts the machine's sleep.

    `CLOCK_BOOTTIME` of Linux; macOS' `CLOCK_MONOTONIC` and Windows' monotonic clock do so as well.
    """
    which = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
    return time.monotonic() if which is None else time.clock_gettime(which)


def parse_deadline(text: str, now: datetime | None = None) -> float:
    """Parses `30m`, `1h30m`, `45s`, or a time of the day such as `18:00`.

    Returns:
        Seconds from now.

    Raises:
        UserError: It is neither.
    """
    now = now or datetime.now()
    clock = _CLOCK.fullmatch(text.strip())
    if clock:
        end = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return (end - now if end > now else end + timedelta(days=1) - now).total_seconds()
    duration = _DURATION.fullmatch(text.strip())
    parts = [float(part or 0) for part in duration.groups()] if duration else [0.0]
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        raise UserError(
            f"--deadline {text!r}: expected a duration such as 30m, 1h30m or 45s, "
            "or a time of the day such as 18:00"
        )
    return seconds


REPORT_SECONDS = 15.0  # what testing and reporting are expected to take
