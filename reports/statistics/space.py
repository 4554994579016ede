"""Hyperparameter values as numbers a model can be fitted to."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import apart, is_missing, text

_FEW_VALUES = 8  # distinct values; a number with no more is drawn from them


@dataclass(frozen=True)
class Axis:
    """One hyperparameter as a column of numbers.

    Inactive values take the default, as in SMAC and its fANOVA: a hyperparameter that is not used
    can't have had an effect of its own.

    Args:
        name: The hyperparameter.
        values: `(num_trials,)`: in sampling scale (logarithms where sampled in log scale), or the
            position of a choice.
        low: Lower end of the range in the same scale.
        high: Upper end.
        labels: One a choice; empty for numbers.
        default: The default, in the same scale.
        active: `(num_trials,)`, whether the hyperparameter was used.
        conditions: Names of hyperparameters, each with the values at which this one is used.
        is_log: Whether the values are logarithms.
        is_whole: Whether there is nothing between whole numbers.
    """

    name: str
    values: npt.NDArray[np.float64]
    low: float
    high: float
    labels: tuple[str, ...]
    default: float
    active: npt.NDArray[np.bool_]
    conditions: tuple[tuple[str, frozenset[str]], ...] = ()
    is_log: bool = False
    is_whole: bool = False

    @property
    def unit(self) -> npt.NDArray[np.float64]:
        """`(num_trials,)`: the values scaled to 0..1 of the range."""
        return (self.values - self.low) / ((self.high - self.low) or 1.0)

    @property
    def levels(self) -> npt.NDArray[np.float64] | None:
        """The few values that it may take, scaled to 0..1; `None` where they are many."""
        if self.labels:
            return np.linspace(0, 1, len(self.labels)) if len(self.labels) > 1 else np.zeros(1)
        found = np.unique(self.unit[self.active])
        return found if 0 < len(found) <= _FEW_VALUES else None

    def nearest(self, unit: float) -> float:
        """Returns the position of a value that there is, the nearest to a position within 0..1."""
        if not self.is_whole:
            return unit
        value = round(self._value_at(unit))
        place = math.log10(value) if self.is_log else value
        return (place - self.low) / ((self.high - self.low) or 1.0)

    def is_used_at(self, other: "Axis", units: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Returns whether its conditions allow it at positions of another axis: `(n,)`."""
        allowed = [values for name, values in self.conditions if name == other.name]
        fits = [all(other.text_of(unit) in values for values in allowed) for unit in units]
        return np.array(fits, dtype=bool)

    def text_of(self, unit: float) -> str:
        """Returns the value at a position within 0..1 as text."""
        value = self._value_at(unit)
        if self.labels:
            return self.labels[min(round(value), len(self.labels) - 1)]
        return text(float(round(value) if self.is_whole else f"{value:.10g}"))

    def _value_at(self, unit: float) -> float:
        value = self.low + unit * (self.high - self.low)
        return float(10**value) if self.is_log else value


def axis(hp: dict[str, Any], values: Sequence[Any]) -> Axis:
    """Turns one hyperparameter's values into numbers.

    Args:
        hp: Its description: `name`, `kind`, range, `sampling`, `default`, `conditions`.
        values: One a trial; `None` or NaN where inactive.
    """
    active = np.array([not is_missing(v) for v in values], dtype=bool)
    is_number = hp.get("kind") in ("Int", "Float")
    made = (_number_axis if is_number else _choice_axis)(hp, values, active)
    return replace(made, conditions=tuple(_conditions(hp)))


def _conditions(hp: dict[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    for condition in hp.get("conditions", []):
        if isinstance(condition.get("values"), list):
            yield str(condition.get("name")), frozenset(map(_as_text, condition["values"]))


def _as_text(value: Any) -> str:
    """Returns a value as text, whichever kind of number stores it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text(float(value) if is_number else value)


def drawn(
    axes: Sequence[Axis], seed: int, log_count: int = 10
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Spreads points evenly over the space, under its conditions: a scrambled Sobol sequence.

    Args:
        axes: The hyperparameters; those that others depend on come first.
        seed: Seed of the scrambling.
        log_count: Logarithm of the number of points, to the base of 2.

    Returns:
        Values scaled to 0..1, and whether each is used: both `(num_points, num_axes)`.
    """
    from scipy.stats import qmc

    units = qmc.Sobol(len(axes), rng=seed).random_base2(log_count)
    active = np.ones(units.shape, dtype=bool)
    place = {axis.name: column for column, axis in enumerate(axes)}
    for column, axis in enumerate(axes):
        if (levels := axis.levels) is not None:
            units[:, column] = levels[(units[:, column] * len(levels)).astype(int)]
    for column, axis in enumerate(axes):  # parents come before what depends on them
        for name, _ in axis.conditions:
            if name in place and place[name] < column:
                parent = place[name]
                fits = axis.is_used_at(axes[parent], units[:, parent])
                active[:, column] &= active[:, parent] & fits
    return units, active


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
    return Axis(
        hp["name"], np.array(column), scale(low), scale(high), (), scale(start), active,
        is_log=is_log, is_whole=hp.get("kind") == "Int",
    )  # fmt: skip


def _choice_axis(hp: dict[str, Any], values: Sequence[Any], active: npt.NDArray[np.bool_]) -> Axis:
    options = [False, True] if hp.get("kind") == "Boolean" else list(hp.get("values", []))
    known = [*options, *(v for v in values if not is_missing(v))]
    shown = apart(known)
    labels = list(dict.fromkeys(map(shown, known)))
    default = shown(hp.get("default"))
    start = float(labels.index(default)) if default in labels else 0.0
    column = [
        float(labels.index(shown(v))) if used else start
        for v, used in zip(values, active, strict=True)
    ]
    high = float(max(len(labels) - 1, 1))
    return Axis(
        hp["name"], np.array(column), 0.0, high, tuple(labels), start, active, is_whole=True
    )
