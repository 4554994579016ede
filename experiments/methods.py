"""Search methods by name: each maps a config and a space to a Keras Tuner oracle."""

from collections.abc import Callable
from typing import Any

import keras_tuner

from experiments.config import SearchConfig
from experiments.trial import derive_seed

_ORACLE_STREAM = 1  # keeps the oracle's seed apart from the trials'


def make_oracle(config: SearchConfig, space: keras_tuner.HyperParameters) -> keras_tuner.Oracle:
    """Makes the oracle of `config.method` over `space`, limited to `config.max_trials`."""
    objective = config.parsed_objective
    arguments = {
        "objective": keras_tuner.Objective(objective.name, objective.direction),
        "hyperparameters": space,
        # Never 0, which Keras Tuner takes for "any".
        "seed": 1 + derive_seed(config.seed, _ORACLE_STREAM) % (2**31 - 2),
        # One failed trial costs itself alone: the search goes on.
        "max_consecutive_failed_trials": 10**9,
    }
    oracle = _METHODS[config.method](config, arguments)
    oracle.verbose = 0
    return oracle


def _random(config: SearchConfig, arguments: dict[str, Any]) -> keras_tuner.Oracle:
    return keras_tuner.oracles.RandomSearchOracle(max_trials=config.max_trials, **arguments)


def _grid(config: SearchConfig, arguments: dict[str, Any]) -> keras_tuner.Oracle:
    return keras_tuner.oracles.GridSearchOracle(max_trials=config.max_trials, **arguments)


def _hyperband(config: SearchConfig, arguments: dict[str, Any]) -> keras_tuner.Oracle:
    oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=max(config.max_epochs, 2), **arguments)
    oracle.max_trials = config.max_trials
    return oracle


def _bayesian(config: SearchConfig, arguments: dict[str, Any]) -> keras_tuner.Oracle:
    return keras_tuner.oracles.BayesianOptimizationOracle(max_trials=config.max_trials, **arguments)


_METHODS: dict[str, Callable[[SearchConfig, dict[str, Any]], keras_tuner.Oracle]] = {
    "random": _random,
    "grid": _grid,
    "hyperband": _hyperband,
    "bayesian": _bayesian,
}
