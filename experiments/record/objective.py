"""Objectives: a metric or a cost, and its direction, never guessed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from experiments.record.errors import UserError
from experiments.record.reading import measured

# metric without "val_" -> direction
_KNOWN = {"accuracy": "max", "f1_score": "max", "auc": "max", "loss": "min"}
# Keras' metrics of numbers, less of which is better
_ERRORS = (
    "mae", "mse", "mape", "msle", "mean_absolute_error", "mean_squared_error",
    "root_mean_squared_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
)  # fmt: skip
_DIRECTIONS = _KNOWN | dict.fromkeys(_ERRORS, "min")
LATENCY = "latency_ms"
# what a network costs, less of which is better -> what it is
COSTS = {
    "params": "all parameters, trainable and frozen",
    "flops": "floating-point operations of one image",
    LATENCY: "milliseconds of one image, alone in its batch",
}
_NAMES = (*(f"{prefix}{name}" for name in _KNOWN for prefix in ("val_", "")), *COSTS)


@dataclass(frozen=True)
class Objective:
    """A metric of the training history, or a cost, and whether more of it is better.

    Args:
        name: Name in the history, for example `val_accuracy`; or one of `COSTS`.
        direction: `"max"` or `"min"`.
    """

    name: str
    direction: str

    @property
    def is_cost(self) -> bool:
        """Whether it is a property of the network, the same in every epoch."""
        return self.name in COSTS

    def better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; anything beats `None`."""
        if than is None:
            return True
        return value > than if self.direction == "max" else value < than

    @property
    def unbeatable(self) -> float:
        """The value that no other beats."""
        return math.inf if self.direction == "max" else -math.inf

    def __str__(self) -> str:
        return f"{self.name}:{self.direction}"


def parse_objective(text: str) -> Objective:
    """Parses `val_accuracy` or `val_f1_score:max`.

    Raises:
        UserError: The direction is wrong, or missing where the metric has no known one.
    """
    name, colon, direction = text.partition(":")
    metric = name.removeprefix("val_")
    if not metric:
        raise UserError(f"objective {text!r} names no metric; expected METRIC, METRIC:max or :min")
    if colon and direction not in ("max", "min"):
        raise UserError(
            f"objective {text!r}: the direction should be max or min, got {direction!r}"
        )
    if name in COSTS:
        if direction == "max":
            raise UserError(f"objective {text!r}: less of a cost is better; write {name}:min")
        return Objective(name, "min")
    if not colon and metric not in _DIRECTIONS:
        raise UserError(
            f"objective {text!r}: no metric of that name is known{_meant(name)}; known are "
            f"{', '.join(_NAMES)}; of another one say the direction: {name}:max or {name}:min"
        )
    known = _DIRECTIONS.get(metric, direction)
    if colon and direction != known:
        better = "more" if known == "max" else "less"
        raise UserError(f"objective {text!r}: {better} of {metric} is better; write {name}:{known}")
    return Objective(name, known)


def _meant(name: str) -> str:
    """Suggests the known name that is closest."""
    near = get_close_matches(name, _NAMES, 1)
    return f" (did you mean {near[0]}?)" if near and near[0] != name else ""


def parse_objectives(texts: Sequence[str]) -> tuple[Objective, ...]:
    """Parses several objectives; the first named ranks trials.

    Raises:
        UserError: One of them is no objective, is named twice, or the first is a cost.
    """
    found: dict[str, Objective] = {}
    for text in texts:
        objective = parse_objective(text)
        if objective.name in found:
            raise UserError(
                f"objective {objective.name} is named twice, as {found[objective.name]} and "
                f"{objective}: name each once"
            )
        found[objective.name] = objective
    if not found:
        raise UserError("objective is an empty list: name at least one, such as val_accuracy")
    first = next(iter(found.values()))
    if first.is_cost:
        raise UserError(
            f"objective {first.name}: the first objective decides the best epoch, so it has to be "
            f"a metric of the training; write --objective val_accuracy --objective {first.name}"
        )
    return tuple(found.values())


def objective_values(
    objectives: Sequence[Objective], record: Mapping[str, Any]
) -> dict[str, float | None]:
    """Returns the value of each objective for a trial.

    Metrics are those of the epoch that was best by the first objective, the mean over executions.

    Args:
        objectives: The first one ranks trials.
        record: The content of `result.json`.

    Returns:
        name -> value; `None` where it is not known.
    """
    return {o.name: _value(o, record) for o in objectives}


def _value(objective: Objective, record: Mapping[str, Any]) -> float | None:
    if objective.name == "params":
        return _sum(record.get("trainable_parameters"), record.get("frozen_parameters"))
    if objective.is_cost:
        return _sum(record.get(objective.name))
    found = [
        measured(execution["history"][objective.name][execution["best_epoch"]])
        for execution in record["executions"]
        if execution["history"].get(objective.name)
    ]
    return math.fsum(found) / len(found) if found else None


def _sum(*numbers: float | str | None) -> float | None:
    known = [measured(number) for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def objectives_of(oracle: Any) -> list[Objective]:
    """Returns the objectives of an oracle; the first ranks trials."""
    named = getattr(oracle.objective, "objectives", [oracle.objective])
    return [Objective(o.name, o.direction) for o in named]


def check_reported(objective: Objective, metrics: tuple[str, ...], mend: str = "") -> None:
    """Checks that models which report `metrics` report the objective.

    Args:
        objective: What is to be reported.
        metrics: What models report, without "val_".
        mend: What else a user can do, for the message.

    Raises:
        UserError: They do not.
    """
    if not objective.is_cost and objective.name.removeprefix("val_") not in metrics:
        reported = ", ".join(f"{prefix}{m}" for m in metrics for prefix in ("val_", ""))
        raise UserError(
            f"objective {objective.name!r}: no model of this space reports it"
            f"{_meant(objective.name)}; "
            f"they report {reported}; after the first, costs can be named: {', '.join(COSTS)}"
            f"{mend}"
        )


def described(values: Mapping[str, float | None], objectives: Sequence[Objective]) -> str:
    """Returns values of objectives as text: `val_accuracy 0.9810, params 12,330`."""
    return ", ".join(f"{o.name} {shown_value(values.get(o.name), o)}" for o in objectives)


def shown_value(value: float | None, objective: Objective) -> str:
    """Returns a value as a reader writes it: counts whole, latencies with two decimals."""
    from experiments.record.formatting import score

    if value is None or not math.isfinite(value):
        return "unknown"
    if objective.name == LATENCY:
        return f"{value:.2f}"
    return f"{value:,.0f}" if objective.is_cost else score(value)
