"""Search methods by name: each maps a config and a space to a mended Keras Tuner oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import keras_tuner

from experiments.catalogue import HALVING, METHODS
from experiments.config import SearchConfig
from experiments.methods.guidance import GivenPoints, parse_tries
from experiments.methods.oracles.hyperband_brackets import Plan
from experiments.methods.prior_trials import PriorTrial
from experiments.record.errors import UserError
from experiments.record.layout import StudyFolder
from experiments.record.methods import FACTOR, Setting
from experiments.record.seeds import Stream, derive_seed

_ABOVE_ZERO = 1e-12
_ORACLES = "experiments.methods.oracles"


def make_oracle(
    config: SearchConfig,
    space: keras_tuner.HyperParameters,
    plans: Sequence[Plan] = (),
    earlier: Sequence[PriorTrial] = (),
    points: GivenPoints | None = None,
    further: Mapping[str, Any] | None = None,
) -> keras_tuner.Oracle:
    """Makes the oracle of `config.method` over `space`, limited to `config.max_trials`.

    Args:
        config: The search.
        space: Its hyperparameters.
        plans: Hyperband's plans, where they have changed in the course of the study.
        earlier: Trials of other searches that inform Optuna's methods.
        points: What Optuna's methods begin with, if it is not what `config` says.
        further: Arguments of Keras Tuner's oracle that no configuration has.
    """
    objectives = [keras_tuner.Objective(o.name, o.direction) for o in config.objectives]
    arguments = {
        "objective": objectives if len(objectives) > 1 else objectives[0],
        "hyperparameters": space,
        # Never 0, which Keras Tuner takes for "any".
        "seed": 1 + derive_seed(config.seed, Stream.ORACLE) % (2**31 - 2),
        # The driver counts failures.
        "max_consecutive_failed_trials": 10**9,
        "max_trials": config.max_trials,
    }
    method = METHODS[config.method]
    if method.sampler:
        arguments["earlier"] = earlier
        given = points or GivenPoints(parse_tries(config, space), [])
        arguments["tries"], arguments["starting_points"] = given.every, given.starting
    oracle = resolve_name(f"{_ORACLES}.{method.oracle}")(
        **{**arguments, **_own_arguments(config, plans), **(further or {})}
    )
    oracle.verbose = 0
    return oracle


def parse_method_settings(config: SearchConfig) -> dict[str, float | int]:
    """Parses the method's own settings.

    Raises:
        UserError: The method has no such setting, or its value does not fit.
    """
    known = METHODS[config.method].settings
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
        parsed[name] = _parse(name, known[name], value, of)
    return parsed


def _parse(name: str, setting: Setting, value: Any, of: str) -> float | int:
    whole = not isinstance(setting.default, float)
    try:
        number = int(str(value)) if whole else float(str(value))
    except ValueError:
        number = -1
    if not (_ABOVE_ZERO if setting.least is None else setting.least) <= number < 1e9:
        kind = "whole number" if whole else "number"
        bound = "above 0" if setting.least is None else f"{setting.least} or more"
        raise UserError(f"--method-set {name}={value}{of}: expected a {kind}, {bound}")
    return number


def _factor(config: SearchConfig) -> int:
    factor: Any = parse_method_settings(config).get("factor", FACTOR.default)
    return int(factor)


def plan_of(config: SearchConfig, first_trial: int = 0) -> Plan:
    """Returns Hyperband's plan under `config`, for trials from `first_trial` on."""
    return Plan(max(config.max_epochs, 2), _factor(config), first_trial)


def plans_of(config: SearchConfig, study: Mapping[str, Any], folder: Path) -> list[Plan]:
    """Returns Hyperband's plans in a study, one per session that changed it.

    Args:
        config: The search as it is now.
        study: The content of `study.json`.
        folder: The study folder, in which trials were begun.
    """
    begun = [s for s in study.get("sessions", []) if "max_epochs" in s and "factor" in s]
    stated = [Plan(s["max_epochs"], s["factor"], s.get("first_trial", 0)) for s in begun]
    plans: list[Plan] = []
    for plan in (*stated, plan_of(config, len(StudyFolder(folder).begun()))):
        before = plans[-1] if plans else None
        if not before or (before.max_epochs, before.factor) != (plan.max_epochs, plan.factor):
            # Of sessions of earlier versions nothing is stated: trials of then are of the first.
            plans.append(plan if plans else replace(plan, first_trial=0))
    return plans


def _own_arguments(config: SearchConfig, plans: Sequence[Plan]) -> dict[str, Any]:
    """Returns the arguments of an oracle that not every oracle has."""
    method, factor = METHODS[config.method], _factor(config)
    if config.method == "hyperband":
        plan = plan_of(config)
        own = {"max_epochs": plan.max_epochs, "hyperband_iterations": None}
        return {**own, "factor": factor, "plans": plans or [plan]}
    settings = parse_method_settings(config)
    if not method.pruners:
        return dict(settings)
    settings.pop("factor", None)
    pruner = config.pruner or "none"
    halving = {"pruner": pruner, "max_epochs": config.max_epochs, "factor": factor}
    if method.sampler:
        return {"sampler": config.method, "settings": settings, **halving}
    return {**settings, **halving}
