"""Hyperparameter values as numbers a model can be fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reports.words import is_missing, text


@dataclass(frozen=True)
class Axis:
    """One hyperparameter as a column of numbers.

    Inactive values take the default: a setting that is not used can't have had an effect of its
    own, and what it stands for elsewhere is the default (as in SMAC and its fANOVA).

    Args:
        name: The hyperparameter.
        values: `(num_trials,)`: in sampling scale (logarithms where sampled in log scale), or the
            position of a choice.
        low: Lower end of the range in the same scale.
        high: Upper end.
        labels: One a choice; empty for numbers.
        default: The default, in the same scale.
        active: `(num_trials,)`, whether the hyperparameter was used.
    """

    name: str
    values: npt.NDArray[np.float64]
    low: float
    high: float
    labels: tuple[str, ...]
    default: float
    active: npt.NDArray[np.bool_]

    @property
    def unit(self) -> npt.NDArray[np.float64]:
        """`(num_trials,)`: the values scaled to 0..1 of the range."""
        return (self.values - self.low) / ((self.high - self.low) or 1.0)


def axis(hp: dict[str, Any], values: Sequence[Any]) -> Axis:
    """Turns one hyperparameter's values into numbers.

    Args:
        hp: Its description: `name`, `kind`, range, `sampling`, `default`.
        values: One a trial; `None` or NaN where inactive.
    """
    active = np.array([not is_missing(v) for v in values], dtype=bool)
    if hp.get("kind") in ("Int", "Float"):
        return _number_axis(hp, values, active)
    return _choice_axis(hp, values, active)


def _number_axis(hp: dict[str, Any], values: Sequence[Any], active: npt.NDArray[np.bool_]) -> Axis:
    known = [float(v) for v, used in zip(values, active, strict=True) if used]
    low = float(hp.get("min_value", min(known, default=0.0)))
    high = float(hp.get("max_value", max(known, default=1.0)))
    low, high = min([low, *known]), max([high, *known])
    is_log = hp.get("sampling") == "log" and low > 0
    scale = math.log10 if is_log else float
    default = hp.get("default")
    start = float(default) if isinstance(default, int | float) else math.nan
    if not low <= start <= high:
        start = (low * high) ** 0.5 if is_log else (low + high) / 2
    column = [
        scale(float(v)) if used else scale(start) for v, used in zip(values, active, strict=True)
    ]
    return Axis(hp["name"], np.array(column), scale(low), scale(high), (), scale(start), active)


def _choice_axis(hp: dict[str, Any], values: Sequence[Any], active: npt.NDArray[np.bool_]) -> Axis:
    options = [False, True] if hp.get("kind") == "Boolean" else list(hp.get("values", []))
    labels = list(
        dict.fromkeys([*map(text, options), *(text(v) for v in values if not is_missing(v))])
    )
    default = text(hp.get("default"))
    start = float(labels.index(default)) if default in labels else 0.0
    column = [
        float(labels.index(text(v))) if used else start
        for v, used in zip(values, active, strict=True)
    ]
    high = float(max(len(labels) - 1, 1))
    return Axis(hp["name"], np.array(column), 0.0, high, tuple(labels), start, active)
