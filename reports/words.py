"""Names and numbers as a reader writes them."""

import math
from collections.abc import Mapping
from typing import Any

_SHORT_NAMES = {"params": "parameters", "flops": "FLOPs", "latency_ms": "latency in ms"}


def words(name: str) -> str:
    """`val_accuracy` -> `validation accuracy`."""
    if name in _SHORT_NAMES:
        return _SHORT_NAMES[name]
    text = name.removeprefix("val_").replace("_", " ")
    return f"validation {text}" if name.startswith("val_") else text


def is_missing(value: Any) -> bool:
    """Whether a value is missing: it was inactive, or was not recorded."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def text(value: Any) -> str:
    """A hyperparameter's value; empty where it is missing."""
    if is_missing(value):
        return ""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's is no bool
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.3g}"
    return str(value)


def range_text(hp: Mapping[str, Any]) -> str:
    """The range of a hyperparameter: `0.0001 to 0.01`, or its choices."""
    if "min_value" in hp and "max_value" in hp:
        return f"{plain(hp['min_value'])} to {plain(hp['max_value'])}"
    values = hp.get("values")
    return ", ".join(map(plain, values)) if isinstance(values, list | tuple) else "no range"


def plain(value: Any) -> str:
    """A value as an option takes it: `0.1`, `1e-05`, `64`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def short(value: str, limit: int = 22) -> str:
    """Shortens a text for a place where it can't wrap."""
    return value if len(value) <= limit else f"{value[: limit - 1]}…"


def number(value: Any, digits: int = 0) -> str:
    """Formats a number; empty where it is missing, in powers of ten where it is huge."""
    if value is None or not math.isfinite(float(value)):
        return ""
    if abs(value) >= 1e12:
        return f"{float(value):.3g}"
    return f"{float(value):,.{digits}f}"


def compact(value: float) -> str:
    """Formats a large number with a unit: `1.2 M`; `unknown` where it is missing."""
    if not math.isfinite(value):
        return "unknown"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Formats seconds in the unit that fits; `unknown` where they are missing."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def plural(count: float, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"


def between(low: float, high: float, digits: int = 4) -> str:
    """Words for an interval."""
    return f"{low:.{digits}f} to {high:.{digits}f}"


def listed(items: list[str], most: int = 5) -> str:
    """`a, b and c`, shortened where there are many."""
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most} more"]
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
