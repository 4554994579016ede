"""Runs hyperparameter searches: `run_search(SearchConfig(space="mnist_cnn", ...))`."""

from typing import TYPE_CHECKING, Any

from experiments.config import SearchConfig
from experiments.errors import UserError

if TYPE_CHECKING:
    from experiments.search import resume_search, run_search

__all__ = ["SearchConfig", "UserError", "resume_search", "run_search"]


def __getattr__(name: str) -> Any:
    # Imported when used: it loads Keras, which `experiments --help` has no need of.
    if name in ("run_search", "resume_search"):
        from experiments.inherited import before_imports

        before_imports()
        from experiments import search

        return getattr(search, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
