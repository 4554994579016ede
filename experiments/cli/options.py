"""The options of a search on the command line, and their conversion to `SearchConfig` fields."""

import math
import os
import re
from collections.abc import Callable
from typing import Any

import click

from experiments.config import OPTIONS, load_toml
from experiments.option import Kind, Option
from experiments.record.errors import UserError

# Values for options that are not given, where they differ from the defaults of `SearchConfig`.
DEFAULTS = {n: o.on_command_line for n, o in OPTIONS.items() if o.on_command_line is not None}
_REPEATED = (Kind.TABLE, Kind.TEXTS, Kind.MORE_TEXTS, Kind.POINTS)
_MOVED = {"metavar": "folder:PATH", "help": "where the study's data are, if they have moved"}
# Data and studies may be elsewhere when a study is resumed: option -> what help says of it then.
PLACES: dict[str, dict[str, Any]] = {"dataset": _MOVED | {"shell_complete": None}, "runs_dir": {}}
_TYPES: dict[Kind, Any] = {Kind.WHOLE: int, Kind.NUMBER: float, Kind.FOLDER: click.Path()}


class FiniteRange(click.FloatRange):
    """A range of numbers; NaN, which compares as neither too small nor too large, is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Returns the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


runs_dir_option = click.option(
    "--runs-dir",
    default="runs",
    type=click.Path(),
    show_default=True,
    help="folder of studies",
    callback=lambda ctx, param, value: os.path.expanduser(value),
)


def complete_studies(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names of studies that begin with `incomplete`."""
    from experiments.record.layout import studies_in

    found = studies_in(ctx.params.get("runs_dir") or "runs")
    return [name for name in found if name.startswith(incomplete)]


study_argument = click.argument("study", shell_complete=complete_studies)


def study_command(function: Callable[..., Any]) -> click.Command:
    """Makes a command of a function that takes `study` and `runs_dir`."""
    return click.command()(study_argument(runs_dir_option(function)))


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a command with the options that `open_study` takes: where a study's data are."""
    for flag, about in (
        ("--dataset", _MOVED),
        ("--cache-dir", {"type": click.Path(), "help": "folder of prepared arrays"}),
        ("--data-dir", {"type": click.Path(), "help": "folder of tensorflow-datasets"}),
    ):
        command = click.option(flag, **about)(command)
    return command


space_option = click.option(
    "--space",
    metavar="FILE.py[:NAME]",
    help="where the study's own model is, if not at its recorded place; its code is run",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a command with the options about the file of a user's own model."""
    command = click.option(
        "--accept-changed-source",
        is_flag=True,
        help="take files that have changed, of a model, its base or weights: its networks may be "
        "others",
    )(command)
    return space_option(command)


def search_options(command: Callable[..., Any], resumes: bool = False) -> Callable[..., Any]:
    """Decorates a command with the options of a search.

    Args:
        command: The command.
        resumes: Whether it has a recorded search, whose options are the defaults: then help shows
            only those that it may change.
    """
    options = [
        *(_click_option(name, known, resumes) for name, known in OPTIONS.items()),
        click.option("--config", "config_file", type=click.Path(), help="TOML file of options"),
        click.option("--quiet", is_flag=True, help="print nothing but errors"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _click_option(name: str, known: Option, resumes: bool) -> Callable[..., Any]:
    is_switch = known.kind == Kind.SWITCH
    default = "" if resumes else known.shown
    about: dict[str, Any] = {
        "type": _TYPES.get(known.kind),
        "multiple": known.kind in _REPEATED,
        "metavar": known.metavar,
        "shell_complete": lambda c, p, text: [n for n in known.choices if n.startswith(text)],
        "help": known.help + (f"  [default: {default}]" if default else ""),
        "hidden": resumes and not known.resume and name not in PLACES,
    }
    about |= PLACES.get(name, {}) if resumes else {}
    about |= {"default": None} if is_switch else {}
    flag = f"{known.flag}/--no-{known.flag[2:]}" if is_switch else known.flag
    return click.option(flag, name, **about)


def parse_options(config_file: str | None, **options: Any) -> dict[str, Any]:
    """Returns fields of `SearchConfig`; options take precedence over the file."""
    chosen = load_toml(config_file) if config_file else {}
    for name, value in options.items():
        if value is not None and value != ():
            known = OPTIONS.get(name)
            chosen[name] = _merged(known, chosen.get(name), value) if known else value
    return chosen


def _merged(known: Option, of_file: Any, given: Any) -> Any:
    """Merges an option's value with the file's; the config rejects values of a wrong kind."""
    if known.kind == Kind.POINTS:
        given = [_pairs(known.flag, _parts(text)) for text in given]
    if known.kind in (Kind.POINTS, Kind.MORE_TEXTS):
        before = [] if of_file is None else of_file
        return [*before, *given] if isinstance(before, list) else before
    if known.kind == Kind.TABLE:
        before = {} if of_file is None else of_file
        return before | _pairs(known.flag, given) if isinstance(before, dict) else before
    return list(given) if known.kind == Kind.TEXTS else given


def _parts(text: str) -> tuple[str, ...]:
    """Splits `NAME=VALUE,NAME=VALUE`; a part without a name belongs to the value before it."""
    parts: list[str] = []
    for part in text.split(","):
        if parts and not re.match(r"\s*[^\s=,]+=", part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return tuple(parts)


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"{option} {text!r}: expected NAME=VALUE")
        if name in pairs:
            raise UserError(f"{option} {name} is given twice: {pairs[name]} and {value}")
        pairs[name] = value
    return pairs
