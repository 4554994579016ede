"""A wider range for a hyperparameter whose optimum lies at an end of its range."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from experiments.record.formatting import plain
from experiments.record.reading import as_number

_MOST = 10.0  # factor by which an end of a log range moves at most
_WHOLE = 1.0  # of a share, such as a dropout rate


def is_parent(name: str, hyperparameters: Iterable[Mapping[str, Any]]) -> bool:
    """Whether other hyperparameters exist only for some values of `name`."""
    return any(c.get("name") == name for hp in hyperparameters for c in hp.get("conditions", []))


def wider(hp: Mapping[str, Any], end: str) -> str | None:
    """Returns `LO:HI`, wider at one end by half the width in the sampling scale.

    A log range moves by a factor of ten at most, a stepped range by whole steps and at least one. A
    range above 0, or of 0 or more, stays so. A share below 1 stays below 1.

    Args:
        hp: A number: `kind`, `min_value`, `max_value`, `step`, `sampling`.
        end: `"lower"` or `"upper"`.

    Returns:
        The range; `None` if there is nothing beyond that end.
    """
    low, high, step = (
        as_number(hp["min_value"]),
        as_number(hp["max_value"]),
        as_number(hp.get("step")),
    )
    if not low < high:
        return None
    if hp.get("sampling") == "log":
        moved = _log(low, high, step, end, hp.get("kind") == "Int")
    else:
        moved = _linear(low, high, step, end)
    if moved is None:
        return None
    return ":".join(map(plain, (moved, high) if end == "lower" else (low, moved)))


def _log(low: float, high: float, step: float, end: str, whole: bool) -> float | None:
    factor = min(_MOST, math.sqrt(high / low))
    if step > 1:
        factor = step ** max(1, math.floor(math.log(factor, step) + 1e-9))
    moved = low / factor if end == "lower" else high * factor
    if not whole:
        return _rounded(moved)
    if end == "upper":
        return float(round(moved))
    if step > 1:  # whole steps below only while they are whole numbers
        while moved < low and not moved.is_integer():
            moved *= step
    moved = max(1.0, math.floor(moved))
    return moved if moved < low else None


def _linear(low: float, high: float, step: float, end: str) -> float | None:
    width = (high - low) / 2
    if step > 0:
        width = step * max(1, round(width / step))
    if end == "lower":
        return _lowered(low, width, step)
    if low >= 0 and high <= _WHOLE and not float(step).is_integer():
        return _below_one(high, width, step)
    return _rounded(high + width)


def _lowered(low: float, width: float, step: float) -> float | None:
    moved = low - width
    if low < 0:
        return _rounded(moved)
    if step > 0:
        while moved < 0 or (low > 0 and moved <= 0):
            moved += step
        moved = _rounded(moved)
    else:
        moved = _rounded(max(moved, 0.0)) if low == 0 or moved > 0 else _rounded(low / 2)
    return moved if moved < low - 1e-12 else None


def _below_one(high: float, width: float, step: float) -> float | None:
    moved = high + width
    if step > 0:
        while moved >= _WHOLE - 1e-9:
            moved -= step
    else:
        moved = min(moved, (_WHOLE + high) / 2)
    moved = _rounded(moved)
    return moved if moved > high + 1e-12 else None


def _rounded(value: float) -> float:
    """Returns `value` without floating-point error."""
    return float(f"{value:.10g}")
