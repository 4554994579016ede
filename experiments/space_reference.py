"""What names the space of a search: a space's name, `FILE.py[:NAME]`, or `package.module:NAME`."""

import os
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from experiments.record.errors import UserError
from experiments.record.layout import expanded

GROUP = "keras_tuner_experiments.spaces"  # of entry points
WAYS = "a file FILE.py[:NAME] or an installed package.module:NAME"
_FILE = re.compile(r"(?P<path>.*\.py)(?::(?P<name>[^:]*))?", re.DOTALL)
_MODULE = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*)")


@dataclass(frozen=True)
class SpaceReference:
    """The place of a model that is no space of the package `search_spaces`.

    Args:
        path: Its file; `None` for an installed module.
        module: Its module; `None` for a file.
        name: The function, class or instance; `None` for the only one of the file.
    """

    path: Path | None = None
    module: str | None = None
    name: str | None = None

    @property
    def file(self) -> str:
        """The name of its file, or its module."""
        return self.path.name if self.path is not None else str(self.module)

    @property
    def stem(self) -> str:
        """What a study is named after: letters, digits, `_` and `-`."""
        own = self.path.stem if self.path is not None else str(self.module).rpartition(".")[2]
        return re.sub(r"[^A-Za-z0-9_-]", "_", own).lstrip("_-")[:60] or "model"

    def __str__(self) -> str:
        """The reference as it is given, with the file's name alone."""
        return f"{self.file}:{self.name}" if self.name else self.file

    @property
    def full(self) -> str:
        """The reference with the file's whole path, as it is recorded."""
        place = str(self.path) if self.path is not None else str(self.module)
        return f"{place}:{self.name}" if self.name else place


def find_reference(space: str) -> SpaceReference | None:
    """Returns the reference that `space` is; `None` if it can only be a space's name.

    Nothing is imported and no file is read.

    Raises:
        UserError: What follows the file is no name.
    """
    if found := _FILE.fullmatch(space):
        name = found["name"]
        if name is not None and not name.isidentifier():
            raise UserError(
                f"{space}: {name!r} is no name of a function or class; write "
                f"{Path(found['path']).name}:NAME, or leave the colon out"
            )
        return SpaceReference(path=expanded(found["path"]), name=name)
    if found := _MODULE.fullmatch(space):
        return SpaceReference(module=found["module"], name=found["name"])
    from search_spaces import names

    point = None if space in names() else installed_spaces().get(space)
    if point is not None:
        return SpaceReference(module=point.module, name=point.attr or None)
    return None


@cache
def installed_spaces() -> dict[str, EntryPoint]:
    """Returns the entry points of the group `keras_tuner_experiments.spaces`, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def space_names() -> list[str]:
    """Returns the names of all spaces: those of `search_spaces` and the installed ones."""
    from search_spaces import names

    return [*names(), *sorted(set(installed_spaces()) - set(names()))]


def check_space(space: str) -> None:
    """Checks that `space` names a space, without importing it.

    Raises:
        UserError: It does not.
    """
    from search_spaces import names

    if space in names() or find_reference(space) is not None:
        return
    if os.path.isfile(f"{space}.py") and not Path(space).suffix:
        raise UserError(f"unknown search space {space!r}: did you mean the file {space}.py?")
    if os.path.isfile(space) or "/" in space or Path(space).suffix:
        raise UserError(f"{space!r} is no Python file: name a search space, {WAYS}")
    raise UserError(
        f"unknown search space {space!r}: there are {', '.join(space_names())}; or name {WAYS}"
    )


def check_file(space: str) -> None:
    """Checks that a file which `space` names is there and is Python, before Keras is imported.

    Raises:
        UserError: It is not.
    """
    reference = find_reference(space)
    if reference is not None and reference.path is not None:
        compiled(read_text(reference.path), reference.path)


def read_text(path: Path) -> str:
    """Returns the text of a Python file; it ends with a newline.

    Raises:
        UserError: It can't be read, or is no text.
    """
    import tokenize

    try:
        with tokenize.open(path) as file:
            text = file.read()
    except FileNotFoundError:
        raise UserError(
            f"{path.name}: there is no such file in {str(path.absolute().parent)!r}; name {WAYS}"
        ) from None
    except (SyntaxError, UnicodeError):
        raise UserError(f"{path.name} is no Python file: it is no text; name {WAYS}") from None
    except OSError as error:
        raise UserError(f"{path.name} can't be read ({error.strerror}): name {WAYS}") from None
    return text if text.endswith("\n") else f"{text}\n"


def compiled(text: str, path: Path) -> object:
    """Returns the code of a Python file.

    Raises:
        UserError: It has a syntax error.
    """
    try:
        return compile(text, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}" if line else "its text"
        what = getattr(error, "msg", None) or str(error)
        raise UserError(
            f"{path.name} is not valid Python: {where}: {what}; mend it there"
        ) from None


def whole_space(space: str, place: Path | None = None) -> str:
    """Returns `space` with the whole path of its file.

    Args:
        space: A space's name or reference.
        place: Base of a relative path; the current folder if `None`.
    """
    reference = find_reference(space)
    if reference is None or reference.path is None:
        return space
    path = (place or Path.cwd()) / reference.path
    return replace(reference, path=Path(path).resolve()).full


def shown_space(space: str) -> str:
    """Returns `space` without the folder of its file."""
    reference = find_reference(space)
    return space if reference is None or reference.path is None else str(reference)
