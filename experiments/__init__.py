"""Runs hyperparameter searches: `run_search(SearchConfig(space="mnist_cnn", ...))`."""

from typing import TYPE_CHECKING, Any

from experiments.config import SearchConfig
from experiments.record.errors import UserError

if TYPE_CHECKING:
    from experiments.search.run import run_search

__all__ = ["SearchConfig", "UserError", "run_search"]


def __getattr__(name: str) -> Any:
    # Imported when used: it loads Keras, which `experiments --help` has no need of.
    if name == "run_search":
        from experiments.process.inherited import before_imports

        before_imports()
        from experiments.search.run import run_search

        return run_search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
