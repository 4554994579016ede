"""What a user's own model declares besides its hyperparameters."""

from collections.abc import Mapping
from typing import Any

from experiments.hyperparameters.model_file import said
from experiments.record.errors import UserError


def declared_points(model: object) -> list[Mapping[str, Any]]:
    """Returns the `starting_points` of a model: a list of mappings, or a function that returns one.

    Args:
        model: A function that builds a model, or a `HyperModel`.

    Raises:
        UserError: They are no such list, or the function fails.
    """
    declared: Any = getattr(model, "starting_points", ())
    try:
        points = declared() if callable(declared) else declared
    except (Exception, SystemExit) as error:
        raise UserError(f"starting_points() fails: {said(error)}; mend it there") from error
    if not isinstance(points, list | tuple) or not all(isinstance(p, Mapping) for p in points):
        raise UserError(
            "starting_points should be a list of mappings from hyperparameters to values, such as "
            f"[{{'units': 64}}]; got {points!r}"
        )
    return list(points)
