"""What a search is guided by: the method that suits it, points to begin with."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.config import SearchConfig
from experiments.errors import UserError
from experiments.oracles.combinations import combinations
from experiments.space import describe, parse_value

_FEW = 10  # trials that are too few for a model to learn from
_GENERATIONS = 200  # trials from which on there are generations enough to evolve a front
_SHORT = 4  # epochs below which there is nothing to be gained by stopping early


def chosen_method(
    config: SearchConfig, space: keras_tuner.HyperParameters
) -> tuple[SearchConfig, list[str]]:
    """Returns `config` with a method in place of `auto`, and what is to be said of it.

    Args:
        config: The search.
        space: Its hyperparameters.
    """
    if config.method != "auto":
        return config, []
    several = len(config.objectives) > 1
    method, why = _for_several(config) if several else _method(config, space)
    can_stop = not several and config.max_epochs >= _SHORT and config.executions_per_trial == 1
    pruner, tries = config.pruner, config.tries
    if method == "grid":  # it tries all there is, whole
        pruner, tries = None, ()
    elif pruner is None and method == "tpe" and can_stop:
        pruner = "asha"
        why += f", and hopeless ones can be stopped before their {config.max_epochs} epochs"
    shown = f"--method {method}" + (f" --pruner {pruner}" if pruner else "")
    chosen = replace(config, method=method, pruner=pruner, tries=tries)
    return chosen, [f"auto: {shown}, because {why}"]


def _method(config: SearchConfig, space: keras_tuner.HyperParameters) -> tuple[str, str]:
    most = config.max_trials
    size = _size(space, most + 1)
    if size is not None and size <= most:
        return "grid", f"the space has {size} combinations and there are {most} trials"
    if most <= _FEW:
        return "qmc", f"{most} trials are too few to learn from, so they are spread evenly"
    return "tpe", f"{most} trials are enough to learn from"


def _for_several(config: SearchConfig) -> tuple[str, str]:
    most = config.max_trials
    if most >= _GENERATIONS:
        return "nsga2", f"{most} trials are enough to breed a front of several objectives from"
    return "tpe", f"there are several objectives and {most} trials; it models them one by one"


def _size(space: keras_tuner.HyperParameters, enough: int) -> int | None:
    """Returns the number of combinations, counted up to `enough`; `None` if there is no end."""
    for hp in space.space:
        if isinstance(hp, hp_module.Float | hp_module.Int) and hp.step is None:
            return None
    return sum(1 for _ in islice(combinations(space.space), enough))


def parse_tries(config: SearchConfig, space: keras_tuner.HyperParameters) -> list[dict[str, Any]]:
    """Returns the points to begin with, each with its values for all active hyperparameters.

    Raises:
        UserError: One of them is not in the space, or there are more of them than trials.
    """
    from experiments.oracles.distributions import SpaceMap

    mapped, defaults = SpaceMap(space.space), {hp.name: hp.default for hp in space.space}
    points: list[dict[str, Any]] = []
    default: list[Mapping[str, Any]] = [{}] if config.try_default else []
    if config.tries and len(default) + len(config.tries) > config.max_trials:
        begin = " after the space's default (leave it out with --no-try-default)" if default else ""
        raise UserError(
            f"--try: points to begin with: {len(config.tries)}{begin}, but --max-trials is "
            f"{config.max_trials}: give more trials"
        )
    for given in [*default, *config.tries]:
        parsed = {name: _parsed(space, name, value) for name, value in given.items()}
        wanted = mapped.parameters(defaults | parsed)
        point = mapped.values(lambda axis, w=wanted: w.get(axis.key))  # type: ignore[misc]
        for name, value in parsed.items():
            if name not in point:
                raise UserError(
                    f"--try {name}={given[name]}: it is not active with the other values of "
                    "this point; give those that make it active too"
                )
            if point[name] != value:
                raise UserError(f"--try {name}={given[name]}: expected {_range(space, name)}")
        points.append(point)
    return points


def _parsed(space: keras_tuner.HyperParameters, name: str, value: Any) -> Any:
    found = [hp for hp in space.space if hp.name == name]
    if not found:
        names = ", ".join(hp.name for hp in space.space)
        raise UserError(f"--try {name}: no such hyperparameter; there are {names}")
    return parse_value(found[0], value, "--try")


def _range(space: keras_tuner.HyperParameters, name: str) -> str:
    return describe(next(hp for hp in space.space if hp.name == name))
