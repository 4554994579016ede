"""Names what can be asked of a search as `experiments.Tuner` does: by keyword arguments.

The pieces that a script shares with the command line speak of its options.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from experiments.config import OPTIONS
from experiments.record.errors import UserError

# field of `SearchConfig` -> argument, where the names differ
_RENAMED = {
    "fix": "hyperparameters", "max_failures": "max_consecutive_failed_trials",
    "name": "project_name", "ranges": "hyperparameters", "runs_dir": "directory",
    "sources": "warm_start",
}  # fmt: skip
_ARGUMENTS = {option.flag: _RENAMED.get(name, name) for name, option in OPTIONS.items()}
_VALUES = {option.flag: option.choices for option in OPTIONS.values()}
_COMMAND = re.compile("(`experiments [^`]*`)")
_FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*[a-z])(?:[ =]('[^']*'|[\w.]+))?")


def as_keywords(text: str) -> str:
    """Returns a message with `pruner='asha'` in place of `--pruner asha`, but in commands."""
    parts = _COMMAND.split(text)
    parts[::2] = [_FLAG.sub(_as_keyword, part) for part in parts[::2]]
    return "".join(parts)


def _as_keyword(found: "re.Match[str]") -> str:
    flag, value = found.groups()
    name = _ARGUMENTS.get(flag)
    if name is None:
        return found[0]
    rest = found[0].removeprefix(flag)
    if value is None or value.startswith("'"):
        return name + rest.replace(" ", "=", 1)
    is_value = value in _VALUES[flag] or value.isdecimal()
    return f"{name}={value if value.isdecimal() else repr(value)}" if is_value else name + rest


@contextmanager
def in_keywords() -> Iterator[None]:
    """Lets errors of input name keyword arguments."""
    try:
        yield
    except UserError as error:
        error.args = (as_keywords(str(error)),)
        raise
