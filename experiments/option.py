"""An option of a search, defined once for command line, TOML file, resume and reference."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from types import NoneType
from typing import Any, get_args

from experiments.record.errors import UserError


class Kind(StrEnum):
    """The kind of value that an option takes."""

    TEXT = "a text"
    FOLDER = "a folder"
    WHOLE = "a whole number"
    NUMBER = "a number"
    SWITCH = "true or false"
    TABLE = "a table"  # NAME=VALUE on the command line, repeatable
    TEXTS = "texts"  # repeatable; replaces a file's
    MORE_TEXTS = "more texts"  # repeatable; added to a file's
    POINTS = "points"  # NAME=VALUE,... on the command line, repeatable; added to a file's
    OTHER = "a number or a word"


_KINDS = {str: Kind.TEXT, int: Kind.WHOLE, float: Kind.NUMBER, bool: Kind.SWITCH}
_KINDS |= {dict: Kind.TABLE, tuple: Kind.MORE_TEXTS}


@dataclass(frozen=True)
class Option:
    """One option.

    Args:
        help: Its description.
        kind: The kind of its value.
        flag: Its name on the command line.
        least: Its smallest value, for numbers.
        metavar: Placeholder for its value in help.
        choices: Names that the shell completes.
        shown: Its default as shown in help; empty if help does not show it.
        on_command_line: Its default on the command line, if that differs.
        resume: Allowed changes when a study is resumed; empty if it can't change.
        is_optional: Whether it may be `None`.
    """

    help: str
    kind: Kind
    flag: str = ""
    least: int = 0
    metavar: str | None = None
    choices: Collection[str] = ()
    shown: str = ""
    on_command_line: Any = None
    resume: str = ""
    is_optional: bool = False

    def check(self, name: str, value: Any) -> None:
        """Checks the kind of `value` and its lower bound.

        Raises:
            UserError: The value is invalid.
        """
        fits, wanted = _FITS.get(self.kind, (lambda value, least: True, ""))
        if not (fits(value, self.least) or (value is None and self.is_optional)):
            said = wanted.format(name=name, flag=self.flag, least=self.least)
            raise UserError(f"{said}; got {value!r}")
        if self.kind == Kind.FOLDER and value == "":
            raise UserError(f"{self.flag} is empty: name a folder, or leave the option away")
        if self.kind == Kind.FOLDER and isinstance(value, str) and "\0" in value:
            raise UserError(f"{self.flag}: a folder's name has no null byte; got {value!r}")


def _is_number(value: Any, kinds: Any) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


# kind -> (whether a value is valid, given the smallest number; description of valid values)
_FITS: dict[Kind, tuple[Callable[[Any, int], bool], str]] = {
    Kind.TEXT: (lambda value, least: isinstance(value, str), "{name} should be a text"),
    Kind.FOLDER: (lambda value, least: isinstance(value, str), "{name} should be a text"),
    Kind.TABLE: (lambda value, least: isinstance(value, Mapping), "{name} should be a table"),
    Kind.SWITCH: (lambda value, least: isinstance(value, bool), "{name} should be true or false"),
    Kind.WHOLE: (
        lambda value, least: _is_number(value, int) and value >= least,
        "{flag} should be a whole number, {least} or more",
    ),
    Kind.NUMBER: (
        lambda value, least: _is_number(value, int | float) and least <= value < 1e4,
        "{flag} should be {least} or more",
    ),
}


def option(default: Any, text: str, kind: Kind | None = None, **rest: Any) -> Any:
    """Returns a dataclass field that is an option.

    Args:
        default: Its default.
        text: Its description.
        kind: The kind of its value, if the default does not determine it.
        **rest: See `Option`.
    """
    kind = kind or _KINDS[type(default)]
    metavar = "NAME=VALUE" if kind == Kind.TABLE else None
    shown = _shown(rest.get("on_command_line", default))
    made = Option(text, kind, **({"shown": shown, "metavar": metavar} | rest))
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"option": made})
    return field(default=default, metadata={"option": made})


changeable = partial(option, resume="may change")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else ""
    if isinstance(default, int | float):
        return f"{default:g}"
    return default if isinstance(default, str) else ""


def options_of(cls: Any) -> dict[str, Option]:
    """Returns the options of a dataclass by field name."""
    return {
        each.name: replace(
            each.metadata["option"],
            flag=each.metadata["option"].flag or f"--{each.name.replace('_', '-')}",
            is_optional=NoneType in get_args(each.type),
        )
        for each in fields(cls)
        if "option" in each.metadata
    }
