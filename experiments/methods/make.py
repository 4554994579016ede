"""Search methods by name: each maps a config and a space to a mended Keras Tuner oracle."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from experiments.config import HALVING, OPTUNA_METHODS, SearchConfig
from experiments.methods.guidance import parse_tries
from experiments.methods.oracles.hyperband_brackets import Plan
from experiments.methods.prior_trials import PriorTrial
from experiments.record.errors import UserError
from experiments.record.seeds import derive_seed

_ORACLE_STREAM = 1  # keeps the oracle's seed apart from the trials'

# method -> its own settings (--method-set), with their defaults
METHOD_SETTINGS: dict[str, dict[str, float | int | None]] = {
    "random": {"factor": 3},
    "grid": {"factor": 3},
    "hyperband": {"factor": 3},
    "bayesian": {"num_initial_points": None, "beta": 2.6, "alpha": 1e-4},
    "tpe": {"startup_trials": 10, "candidates": 24, "factor": 3},
    "gp": {"startup_trials": 10, "factor": 3},
    "cmaes": {"population_size": None, "factor": 3},
    "nsga2": {"population_size": 20, "factor": 3},
    "qmc": {"factor": 3},
    "auto": {},
}


def make_oracle(
    config: SearchConfig,
    space: keras_tuner.HyperParameters,
    plans: Sequence[Plan] = (),
    earlier: Sequence[PriorTrial] = (),
    points: Sequence[Mapping[str, Any]] | None = None,
) -> keras_tuner.Oracle:
    """Makes the oracle of `config.method` over `space`, limited to `config.max_trials`.

    Args:
        config: The search.
        space: Its hyperparameters.
        plans: Hyperband's plans, where they have changed in the course of the study.
        earlier: Trials of other searches that inform Optuna's methods.
        points: What Optuna's methods begin with, if it is not what `config` says.
    """
    objectives = [keras_tuner.Objective(o.name, o.direction) for o in config.objectives]
    arguments = {
        "objective": objectives if len(objectives) > 1 else objectives[0],
        "hyperparameters": space,
        # Never 0, which Keras Tuner takes for "any".
        "seed": 1 + derive_seed(config.seed, _ORACLE_STREAM) % (2**31 - 2),
        # The driver counts failures.
        "max_consecutive_failed_trials": 10**9,
        "max_trials": config.max_trials,
    }
    if config.method in OPTUNA_METHODS:
        arguments["earlier"] = [(e.values, (e.score, *e.further), e.curve) for e in earlier]
        arguments["tries"] = parse_tries(config, space) if points is None else points
    oracle = _METHODS[config.method](config, arguments, plans)
    oracle.verbose = 0
    return oracle


def parse_method_settings(config: SearchConfig) -> dict[str, float | int]:
    """Parses the method's own settings.

    Raises:
        UserError: The method has no such setting, or its value does not fit.
    """
    known = METHOD_SETTINGS[config.method]
    parsed: dict[str, float | int] = {}
    for name, value in config.method_settings.items():
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it has none"
            if config.method == "auto":
                there = "name the --method that it is of"
            raise UserError(
                f"--method-set {name}: method {config.method} has no such setting; {there}"
            )
        if name == "factor" and config.method != "hyperband" and config.pruner not in HALVING:
            raise UserError(f"--method-set factor goes with --pruner {' and '.join(HALVING)}")
        of_pruner = name == "factor" and config.method != "hyperband"
        of = f" of --pruner {config.pruner}" if of_pruner else ""
        parsed[name] = _parse(name, value, whole=not isinstance(known[name], float), of=of)
    return parsed


def _parse(name: str, value: Any, whole: bool, of: str = "") -> float | int:
    least = {
        "factor": 2,
        "num_initial_points": 1,
        "startup_trials": 1,
        "candidates": 1,
        "population_size": 2,
    }.get(name, 1e-12)
    try:
        number = int(str(value)) if whole else float(str(value))
    except ValueError:
        number = -1
    if not least <= number < 1e9:
        kind = "whole number" if whole else "number"
        bound = f"{least} or more" if whole else "above 0"
        raise UserError(f"--method-set {name}={value}{of}: expected a {kind}, {bound}")
    return number


def plan_of(config: SearchConfig, first_trial: int = 0) -> Plan:
    """Returns Hyperband's plan under `config`, for trials from `first_trial` on."""
    factor = int(parse_method_settings(config).get("factor", 3))
    return Plan(max(config.max_epochs, 2), factor, first_trial)


def _halving(config: SearchConfig) -> dict[str, Any]:
    factor = int(parse_method_settings(config).get("factor", 3))
    return {"pruner": config.pruner or "none", "max_epochs": config.max_epochs, "factor": factor}


def _random(config: SearchConfig, arguments: dict[str, Any], plans: Any) -> keras_tuner.Oracle:
    from experiments.methods.oracles.random_search import RandomOracle

    return RandomOracle(**arguments, **_halving(config))


def _grid(config: SearchConfig, arguments: dict[str, Any], plans: Any) -> keras_tuner.Oracle:
    from experiments.methods.oracles.grid import GridOracle

    return GridOracle(**arguments, **_halving(config))


def _hyperband(config: SearchConfig, arguments: dict[str, Any], plans: Any) -> keras_tuner.Oracle:
    from experiments.methods.oracles.hyperband import HyperbandOracle

    plan = plan_of(config)
    return HyperbandOracle(
        max_epochs=plan.max_epochs,
        factor=plan.factor,
        hyperband_iterations=None,
        plans=plans or [plan],
        **arguments,
    )


def _bayesian(config: SearchConfig, arguments: dict[str, Any], plans: Any) -> keras_tuner.Oracle:
    from experiments.methods.oracles.bayesian import BayesianOracle

    return BayesianOracle(**arguments, **parse_method_settings(config))


def _optuna(config: SearchConfig, arguments: dict[str, Any], plans: Any) -> keras_tuner.Oracle:
    from experiments.methods.oracles.optuna_oracle import OptunaOracle

    settings: dict[str, Any] = dict(parse_method_settings(config))
    factor = int(settings.pop("factor", 3))
    return OptunaOracle(
        config.method,
        settings=settings,
        pruner=config.pruner or "none",
        max_epochs=config.max_epochs,
        factor=factor,
        **arguments,
    )


_Make = Callable[[SearchConfig, dict[str, Any], Sequence[Plan]], keras_tuner.Oracle]
_METHODS: Mapping[str, _Make] = {
    "random": _random,
    "grid": _grid,
    "hyperband": _hyperband,
    "bayesian": _bayesian,
    **dict.fromkeys(OPTUNA_METHODS, _optuna),
}
