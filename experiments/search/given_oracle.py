"""What an oracle of Keras Tuner asks of a search: `Tuner(oracle=HyperbandOracle(...))`."""

import math
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ParamSpec

import keras_tuner
from keras_tuner import oracles

from experiments.record.errors import UserError

_P = ParamSpec("_P")
_METHODS = {
    oracles.RandomSearchOracle: "random",
    oracles.GridSearchOracle: "grid",
    oracles.BayesianOptimizationOracle: "bayesian",
    oracles.HyperbandOracle: "hyperband",
}
_SAME = (
    "hyperparameters", "tune_new_entries", "allow_new_entries", "max_retries_per_trial",
    "max_consecutive_failed_trials",
)  # fmt: skip
# What the search knows; its objective, too: of several, Keras Tuner's own ranks by their sum.
_TRIALS = (
    "objective", "trials", "ongoing_trials", "start_order", "end_order", "hyperparameters"
)  # fmt: skip
_SETTINGS = {"bayesian": ("num_initial_points", "alpha", "beta"), "hyperband": ("factor",)}


def takes_oracle(init: Callable[_P, None]) -> Callable[_P, None]:
    """Lets `__init__` of a tuner take `oracle`, first or by name, as `keras_tuner.Tuner` does."""

    @wraps(init)
    def initialise(*args: Any, **kwargs: Any) -> None:
        given = kwargs.pop("oracle", None)
        if len(args) > 1 and isinstance(args[1], keras_tuner.Oracle):
            given, args = args[1], (args[0], *args[2:])
        asked = {} if given is None else _asked_by(given)
        tuner: Any = args[0]
        # Drawn by it where the script gives none: another one in each session, so no argument.
        tuner._seed_of_oracle = getattr(given, "seed", None)
        tuner._held = [] if given is None else [given]
        sweeps = getattr(given, "hyperband_iterations", math.inf)
        if math.isfinite(sweeps):
            tuner._sweeps = int(sweeps)
        init(*args, **{**asked, **kwargs})

    return initialise


def show_trials(oracle: keras_tuner.Oracle, held: Iterable[keras_tuner.Oracle]) -> None:
    """Lets oracles that a script may hold have the trials of the one that searches."""
    for one in held:
        vars(one).update({name: getattr(oracle, name) for name in _TRIALS})


def _asked_by(oracle: Any) -> dict[str, Any]:
    """Returns the arguments of `Tuner` that make the search an oracle of Keras Tuner makes.

    Raises:
        UserError: It is of another kind.
    """
    method = _METHODS.get(type(oracle))
    if method is None:
        known = ", ".join(kind.__name__ for kind in _METHODS)
        raise UserError(
            f"oracle is a {type(oracle).__name__}; {known} can be taken: name one of them, or "
            "leave oracle out and take method=..."
        )
    settings = {name: getattr(oracle, name) for name in _SETTINGS.get(method, ())}
    asked = {name: getattr(oracle, name) for name in _SAME}
    asked["objective"] = getattr(oracle.objective, "objectives", oracle.objective)
    asked["max_trials"] = oracle.max_trials
    if method == "hyperband":
        from experiments.methods.oracles.hyperband_brackets import Plan

        sweep = Plan(oracle.max_epochs, oracle.factor).num_trials
        asked["max_epochs"] = oracle.max_epochs
        sweeps = oracle.hyperband_iterations
        asked["max_trials"] = int(sweeps) * sweep if math.isfinite(sweeps) else None
    known_settings = {name: value for name, value in settings.items() if value is not None}
    return asked | {"method": method, "method_settings": known_settings}
