"""Settings of a space (`--set`): text becomes what the space declares them to be."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from experiments.config import SearchConfig
from experiments.hyperparameters.space import class_of
from experiments.record.errors import UserError
from experiments.space_reference import shown_space

_MOST_PIXELS = 4096
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


def parse_settings(config: SearchConfig, source: str | None = None) -> dict[str, Any]:
    """Parses the settings of a search's space, by their annotations or else their defaults.

    What is declared as none of `bool`, `int` and `float` stays as it is given.

    Args:
        config: The search.
        source: The text of the file of a user's own model, if it is not to be read.

    Raises:
        UserError: There is no such setting, or its value does not fit.
    """
    cls = class_of(config.space, source)
    try:
        declared = cls.setting_parameters()
    except ValueError as error:
        raise UserError(f"space {shown_space(config.space)}: {error}") from None
    for name in config.settings:
        if name not in cls.settings:
            raise UserError(
                f"--set {name}: space {config.space} has no such setting; "
                f"there are {', '.join(cls.settings)}"
            )
    return {name: _parsed(name, value, declared[name]) for name, value in config.settings.items()}


def check_settings(config: SearchConfig, settings: Mapping[str, Any], source: str | None) -> None:
    """Checks the settings of a new search; what older studies were given stays.

    Raises:
        UserError: One would be without effect.
    """
    try:
        class_of(config.space, source).check_settings(settings)
    except ValueError as error:
        raise UserError(f"space {shown_space(config.space)}: {error}") from None


def _parsed(name: str, value: object, declared: inspect.Parameter) -> Any:
    text, kind = str(value).strip(), _kind(declared)
    if name == "image_size":
        size = _number(int, text)
        parsed = size if size is not None and 1 <= size <= _MOST_PIXELS else None
        expected = f"a whole number from 1 to {_MOST_PIXELS}"
    elif kind == "bool":
        parsed, expected = _TRUTH.get(text.lower()), "true or false"
    elif kind == "int":
        parsed, expected = _number(int, text), "a whole number"
    elif kind == "float":
        parsed, expected = _number(float, text), "a number"
    else:
        return value
    if parsed is None:
        raise UserError(f"--set {name}={value}: {expected} is expected")
    return parsed


def _kind(declared: inspect.Parameter) -> str:
    """Returns the name of the type that a parameter is annotated with, or else its default's."""
    if declared.annotation is declared.empty:
        return type(declared.default).__name__
    if isinstance(declared.annotation, str):  # where annotations are not evaluated
        return declared.annotation
    return str(getattr(declared.annotation, "__name__", ""))


def _number(kind: type[int] | type[float], text: str) -> Any:
    try:
        number = kind(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
