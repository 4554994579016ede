"""Finds search spaces by the name of their file.

A space is a file of this folder that holds one subclass of `ImageSpace`; the file's name is the
space's name. Nothing else has to be touched to add one. Names are read without importing Keras.
"""

import importlib
import inspect
import pkgutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_spaces.base import ImageSpace

_NOT_SPACES = {"base", "frozen", "registry"}


def names() -> list[str]:
    """Returns the names of all search spaces, sorted."""
    folders = sys.modules[__package__].__path__
    found = {module.name for module in pkgutil.iter_modules(folders)}
    return sorted(name for name in found - _NOT_SPACES if not name.startswith("_"))


def space_class(name: str) -> "type[ImageSpace]":
    """Returns the hypermodel class of the space called `name`.

    Raises:
        ValueError: There is no such space, its file can't be imported, or does not hold exactly
            one.
    """
    if name not in names():
        raise ValueError(f"unknown search space {name!r}: there are {', '.join(names())}")
    from search_spaces.base import ImageSpace

    try:
        module = importlib.import_module(f"search_spaces.{name}")
    except Exception as error:  # whatever a file can raise that somebody writes at
        lines = str(error).strip().splitlines() or [""]
        raise ValueError(
            f"search_spaces/{name}.py can't be imported: {type(error).__name__}: {lines[0][:200]}"
        ) from error
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, ImageSpace) and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ValueError(
            f"search_spaces/{name}.py should hold one ImageSpace subclass, it holds {len(found)}"
        )
    return found[0]
