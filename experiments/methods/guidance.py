"""What a search is guided by: the method that suits it, points to begin with."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.config import SearchConfig
from experiments.hyperparameters.combinations import combinations
from experiments.hyperparameters.space import describe, is_same_value, parse_value
from experiments.record.errors import UserError
from experiments.record.formatting import plural
from experiments.record.methods import optuna_methods
from experiments.record.reading import dicts

_FEW = 10  # trials that are too few for a model to learn from
_GENERATIONS = 200  # trials from which on there are generations enough to evolve a front
_SHORT = 4  # epochs below which there is nothing to be gained by stopping early


def chosen_method(
    config: SearchConfig, space: keras_tuner.HyperParameters, begun: SearchConfig | None = None
) -> tuple[SearchConfig, list[str]]:
    """Returns `config` with a method in place of `auto`, and lines that explain it.

    Args:
        config: The search.
        space: Its hyperparameters.
        begun: The search as it was, if it has begun. Another method takes the place of the
            one it had if both are Optuna's, which continue from any trials.
    """
    if config.method != "auto":
        return config, []
    chosen, said = _chosen(config, space)
    if begun is None:
        return chosen, said
    if not {begun.method, chosen.method} <= {*optuna_methods()} or _shown(begun) == _shown(chosen):
        return begun, []
    return chosen, [f"{said[0]}; trials so far: {_shown(begun)}"]


def _shown(config: SearchConfig) -> str:
    return f"--method {config.method}" + (f" --pruner {config.pruner}" if config.pruner else "")


def _chosen(
    config: SearchConfig, space: keras_tuner.HyperParameters
) -> tuple[SearchConfig, list[str]]:
    several = len(config.objectives) > 1
    method, why = _for_several(config) if several else _method(config, space)
    can_stop = not several and config.max_epochs >= _SHORT and config.executions_per_trial == 1
    pruner = config.pruner
    if pruner is None and method == "tpe" and can_stop:
        pruner = "asha"
        most = plural(config.max_epochs, "epoch")
        why += f", and hopeless ones can be stopped before their {most}"
    chosen = replace(config, method=method, pruner=pruner)
    return chosen, [f"auto: {_shown(chosen)}, because {why}"]


def _method(config: SearchConfig, space: keras_tuner.HyperParameters) -> tuple[str, str]:
    most = config.max_trials
    size = _size(space, most + 1)
    if size is not None and size <= most and not config.needs_optuna:
        return "grid", f"the whole space fits in: {plural(size, 'combination')}"
    if config.sources:
        return "tpe", "there are earlier trials to learn from"
    if most <= _FEW:
        few = plural(most, "trial")
        return "qmc", f"a model can't learn much from {few}; points are spread evenly instead"
    return "tpe", f"{most} trials are enough to learn from"


def _for_several(config: SearchConfig) -> tuple[str, str]:
    most = config.max_trials
    if most >= _GENERATIONS:
        return "nsga2", f"{most} trials are enough generations for a front of several objectives"
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
    from experiments.hyperparameters.optuna_space import SpaceMap

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
        wanted = mapped.encoded(defaults | parsed)
        point = mapped.values(lambda p, w=wanted: w.get(p.key))  # type: ignore[misc]
        for name, value in parsed.items():
            if name not in point:
                raise UserError(
                    f"--try {name}={given[name]}: it is not active with the other values of "
                    "this point; give those that make it active too"
                )
            if not is_same_value(point[name], value):
                raise UserError(f"--try {name}={given[name]}: expected {_range(space, name)}")
        points.append(point)
    return points


def given_points(
    study: Mapping[str, Any], config: SearchConfig, space: keras_tuner.HyperParameters
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns the points to begin with that `study` was given in all, and those that are new.

    Earlier ones are what they were then: a default may have moved with a range since.

    Args:
        study: The content of `study.json`.
        config: The search.
        space: Its hyperparameters.
    """
    sessions = [s for s in dicts(study.get("sessions")) if "points" in s]
    if not sessions:
        points = parse_tries(config, space)
        return points, points
    known = [point for session in sessions for point in dicts(session["points"])]
    added = config.tries[len(known) - config.try_default :]
    new = parse_tries(replace(config, tries=added, try_default=False), space)
    return [*known, *new], new


def _parsed(space: keras_tuner.HyperParameters, name: str, value: object) -> Any:
    found = [hp for hp in space.space if hp.name == name]
    if not found:
        names = ", ".join(hp.name for hp in space.space)
        raise UserError(f"--try {name}: no such hyperparameter; there are {names}")
    return parse_value(found[0], value, "--try")


def _range(space: keras_tuner.HyperParameters, name: str) -> str:
    return describe(next(hp for hp in space.space if hp.name == name))
