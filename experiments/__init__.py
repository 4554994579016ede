"""Runs hyperparameter searches: `run_search(SearchConfig(space="mnist_cnn", ...))`."""

from typing import TYPE_CHECKING, Any

from experiments.config import SearchConfig
from experiments.record.errors import UserError

if TYPE_CHECKING:
    from experiments.search.resuming import resume_search
    from experiments.search.run import run_search

__all__ = ["SearchConfig", "UserError", "resume_search", "run_search"]
_PLACES = {"run_search": "run", "resume_search": "resuming"}


def __getattr__(name: str) -> Any:
    # Imported on use: it loads Keras, which `experiments --help` does not need.
    if name in _PLACES:
        from importlib import import_module

        if name == "run_search":  # the other one does so itself, if work is left
            from experiments.process.inherited import before_imports

            before_imports()
        return getattr(import_module(f"experiments.search.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
