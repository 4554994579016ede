"""Bases: the networks that a study puts a head on, by the hyperparameters that name them."""

from collections.abc import Mapping
from typing import Any

from experiments.record.formatting import is_missing, plain

BASE = "base"


def base_label(values: Mapping[Any, Any]) -> str | None:
    """Returns a trial's base with its width where that is searched: `MobileNetV2 0.35`.

    Args:
        values: The trial's hyperparameters.

    Returns:
        `None` for a trial that names no base.
    """
    base = values.get(BASE)
    if not isinstance(base, str):
        return None
    alpha = values.get(f"alpha_{base}")
    return base if is_missing(alpha) else f"{base} {plain(alpha)}"
