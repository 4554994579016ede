"""Runs hyperparameter searches: `run_search(SearchConfig(space="mnist_cnn", ...))`.

`Tuner` takes a model, data and calls of Keras Tuner's users; so do `RandomSearch`, `GridSearch`,
`BayesianOptimization`, `Hyperband` and `SklearnTuner`. `HyperModel`, `HyperParameters`,
`Objective`, `oracles`, `errors`, `applications`, `synchronized` and `__version__` are Keras Tuner's
own, so that `import experiments as keras_tuner` is the only line to change.
"""

import sys
from typing import TYPE_CHECKING, Any

from experiments.config import SearchConfig
from experiments.record.errors import InterruptedSearchError, UserError

if TYPE_CHECKING:
    from keras_tuner import HyperModel, HyperParameters, Objective

    from experiments.search.drop_in import (
        BayesianOptimization,
        GridSearch,
        Hyperband,
        RandomSearch,
        Tuner,
    )
    from experiments.search.resuming import resume_search
    from experiments.search.run import run_search
    from experiments.search.search_result import SearchResult
    from experiments.search.sklearn_tuner import SklearnTuner

__all__ = [
    "BayesianOptimization", "GridSearch", "HyperModel", "HyperParameters", "Hyperband",
    "InterruptedSearchError", "Objective", "RandomSearch", "SearchConfig", "SearchResult",
    "SklearnTuner", "Tuner", "UserError", "resume_search", "run_search",
]  # fmt: skip
_DROP_IN = ("Tuner", "RandomSearch", "GridSearch", "BayesianOptimization", "Hyperband")
_PLACES = {
    "run_search": "experiments.search.run",
    "resume_search": "experiments.search.resuming",
    "SearchResult": "experiments.search.search_result",
    **dict.fromkeys(_DROP_IN, "experiments.search.drop_in"),
    "SklearnTuner": "experiments.search.sklearn_tuner",
    **dict.fromkeys(("HyperModel", "HyperParameters", "Objective"), "keras_tuner"),
    **dict.fromkeys(("Oracle", "applications", "engine", "errors", "oracles"), "keras_tuner"),
    **dict.fromkeys(("synchronized", "__version__"), "keras_tuner"),
}
_LIGHT = ("resume_search", "SearchResult")  # Keras is loaded later, if work is left


def __getattr__(name: str) -> Any:
    # Imported on use: it loads Keras, which `experiments --help` does not need.
    if name in _PLACES:
        from importlib import import_module

        if name not in _LIGHT:
            from experiments.process.inherited import before_imports

            before_imports()
        return getattr(import_module(_PLACES[name]), name)
    if name == "tuners":  # where Keras Tuner has its tuners too
        return sys.modules[__name__]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
