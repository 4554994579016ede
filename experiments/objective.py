"""The objective: a metric and its direction, never guessed."""

from dataclasses import dataclass

from experiments.errors import UserError

# metric without "val_" -> direction
_KNOWN = {"accuracy": "max", "f1_score": "max", "loss": "min"}


@dataclass(frozen=True)
class Objective:
    """A metric of the training history and whether more of it is better.

    Args:
        name: Name in the history, for example `val_accuracy`.
        direction: `"max"` or `"min"`.
    """

    name: str
    direction: str

    def better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; anything beats `None`."""
        if than is None:
            return True
        return value > than if self.direction == "max" else value < than

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
    if not colon and metric not in _KNOWN:
        raise UserError(
            f"objective {text!r}: its direction is not known; write {name}:max or {name}:min"
        )
    return Objective(name, direction or _KNOWN[metric])


def check_reported(objective: Objective, metrics: tuple[str, ...]) -> None:
    """Checks that models which report `metrics` report the objective.

    Raises:
        UserError: They do not.
    """
    if objective.name.removeprefix("val_") not in metrics:
        reported = ", ".join(f"{prefix}{m}" for m in metrics for prefix in ("val_", ""))
        raise UserError(
            f"objective {objective.name!r}: no model of this space reports it; "
            f"they report {reported}"
        )
