"""Bookkeeping of oracles among a trial's hyperparameters: round, epochs, parent trial."""

from collections.abc import Mapping
from typing import Any

_PREFIX = "tuner/"  # Keras Tuner's; names of a space may hold a "/" too (`hp.name_scope`)


def own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values that belong to the space."""
    return {name: value for name, value in values.items() if not name.startswith(_PREFIX)}
