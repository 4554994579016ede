"""Leaves out of an import what a search does not use, until something asks for it.

Keras and Keras Tuner import scikit-learn, SciPy and matplotlib at once, for wrappers, plots and
tuners that a search may never touch. That is a third of the time until a process is ready, and
some 60 MB of its memory.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED_BY_SEARCHES = (
    "keras.src.visualization",
    "keras.visualization",
    "keras.wrappers",
    "scipy",
    "scipy.optimize",
    "sklearn",
    "sklearn.exceptions",
    "sklearn.gaussian_process",
    "sklearn.model_selection",
    "sklearn.pipeline",
)


class _Deferred(ModuleType):
    """Stands for a module, which is imported when one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or sys.modules.get(self.__name__) is self:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module = importlib.import_module(self.__name__)
        if not hasattr(module, name):
            importlib.import_module(f"{self.__name__}.{name}")
        return getattr(module, name)


@contextmanager
def deferred(names: Sequence[str] = UNUSED_BY_SEARCHES) -> Iterator[None]:
    """Imports inside the block get a stand-in for each of `names` that is not imported yet.

    After the block every import is the ordinary one, and the stand-ins lead to it.

    Args:
        names: Modules; a package before its parts.
    """
    stand_ins = {name: _Deferred(name) for name in names if name not in sys.modules}
    for name, module in stand_ins.items():
        package, _, part = name.rpartition(".")
        if package in stand_ins:
            setattr(stand_ins[package], part, module)
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
