"""What a search is guided by: the method that suits it, points to begin with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.config import SearchConfig
from experiments.hyperparameters.combinations import combinations, is_active, is_same_value
from experiments.hyperparameters.space import describe, parse_value
from experiments.record.errors import UserError
from experiments.record.formatting import NO_END, plural
from experiments.record.methods import optuna_methods
from experiments.record.reading import dicts

_FEW = 10  # trials that are too few for a model to learn from
_GENERATIONS = 200  # trials from which on there are generations enough to evolve a front
_SHORT = 4  # epochs below which there is nothing to be gained by stopping early


def chosen_method(
    config: SearchConfig,
    space: keras_tuner.HyperParameters,
    begun: SearchConfig | None = None,
    has_phases: bool = False,
    is_whole: bool = True,
) -> tuple[SearchConfig, list[str]]:
    """Returns `config` with a method in place of `auto`, and lines that explain it.

    Args:
        config: The search.
        space: Its hyperparameters.
        begun: The search as it was, if it has begun. Another method takes the place of the
            one it had if both are Optuna's, which continue from any trials.
        has_phases: Whether trials may be trained in several phases, see `ImageSpace.phases`.
        is_whole: Whether all hyperparameters are known: trials may ask for more.
    """
    if config.method != "auto":
        return config, []
    chosen, said = _chosen(config, space, has_phases, is_whole)
    if begun is None:
        return chosen, said
    if not {begun.method, chosen.method} <= {*optuna_methods()} or _shown(begun) == _shown(chosen):
        return begun, []
    return chosen, [f"{said[0]}; trials so far: {_shown(begun)}"]


def _shown(config: SearchConfig) -> str:
    return f"--method {config.method}" + (f" --pruner {config.pruner}" if config.pruner else "")


def _chosen(
    config: SearchConfig, space: keras_tuner.HyperParameters, has_phases: bool, is_whole: bool
) -> tuple[SearchConfig, list[str]]:
    several = len(config.objectives) > 1
    method, why = _for_several(config) if several else _method(config, space, is_whole)
    can_stop = not several and config.max_epochs >= _SHORT and config.executions_per_trial == 1
    pruner = config.pruner
    if pruner is None and method == "tpe" and can_stop and has_phases:
        why += ", and none is stopped early, for what a later phase of training brings shows late"
    elif pruner is None and method == "tpe" and can_stop:
        pruner = "asha"
        most = plural(config.max_epochs, "epoch")
        why += f", and hopeless ones can be stopped before their {most}"
    chosen = replace(config, method=method, pruner=pruner)
    return chosen, [f"auto: {_shown(chosen)}, because {why}"]


def _method(
    config: SearchConfig, space: keras_tuner.HyperParameters, is_whole: bool
) -> tuple[str, str]:
    most = config.max_trials
    if most >= NO_END:
        return "tpe", "the deadline leaves open how many trials there are"
    size = _size(space, most + 1) if is_whole else None
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
    if _GENERATIONS <= most < NO_END:
        return "nsga2", f"{most} trials are enough generations for a front of several objectives"
    trials = f"{most} trials" if most < NO_END else "a deadline"
    return "tpe", f"there are several objectives and {trials}; it models them one by one"


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

    mapped = SpaceMap(space.space)
    points: list[dict[str, Any]] = []
    default: list[Mapping[str, Any]] = [{}] if config.try_default else []
    if config.tries and len(default) + len(config.tries) > config.max_trials:
        begin = " after the space's default (leave it out with --no-try-default)" if default else ""
        raise UserError(
            f"--try: points to begin with: {len(config.tries)}{begin}, but --max-trials is "
            f"{config.max_trials}: give more trials"
        )
    for given in [*default, *config.tries]:
        parsed = _parsed(space, given)
        wanted = mapped.encoded(parsed)
        point = mapped.values(lambda p, w=wanted: w.get(p.key))  # type: ignore[misc]
        for hp in space.space:
            is_given = hp.name in given and is_active(hp, parsed)
            if is_given and not is_same_value(point[hp.name], parsed[hp.name]):
                raise UserError(f"--try {hp.name}={given[hp.name]}: expected {describe(hp)}")
        points.append(point)
    return points


@dataclass(frozen=True)
class GivenPoints:
    """The points that a search begins with.

    Args:
        every: All that the study was given, in order.
        new: Those of them that this session adds.
        starting: The space's starting points, one for every second trial.
        is_first: Whether this is the session that they were taken in.
        moved: What starting points say that is outside its range, `name=value`.
    """

    every: list[dict[str, Any]]
    new: list[dict[str, Any]]
    starting: list[dict[str, Any]] = field(default_factory=list)
    is_first: bool = False
    moved: list[str] = field(default_factory=list)

    @property
    def recorded(self) -> dict[str, Any]:
        """What a session records of them."""
        first = {"starting_points": self.starting} if self.is_first else {}
        return {"points": self.new, **first}

    def described(self) -> list[str]:
        """Returns a line on the starting points, in the session that takes them."""
        if not self.starting or not self.is_first:
            return []
        count = plural(len(self.starting), "starting point")
        said = f"{count} of the space, in every second trial (leave out: --no-starting-points)"
        out = (
            f"; outside its range, so at its default: {', '.join(self.moved)}" if self.moved else ""
        )
        return [said + out]


def given_points(
    study: Mapping[str, Any],
    config: SearchConfig,
    space: keras_tuner.HyperParameters,
    declared: Sequence[Mapping[str, Any]] = (),
) -> GivenPoints:
    """Returns the points to begin with.

    Earlier ones are what they were then: a default may have moved with a range since. Those that a
    script's range no longer has are left out.

    Args:
        study: The content of `study.json`.
        config: The search.
        space: Its hyperparameters.
        declared: What the space declares as good points, see `ImageSpace.starting_points`.
    """
    from experiments.hyperparameters.optuna_space import SpaceMap

    sessions = [s for s in dicts(study.get("sessions")) if "points" in s]
    if not sessions:
        points = parse_tries(config, space)
        starting, moved = _starting_points(config, space, declared, points)
        return GivenPoints(points, points, starting, True, moved)
    known = [point for session in sessions for point in dicts(session["points"])]
    starting = [p for session in sessions for p in dicts(session.get("starting_points"))]
    added = config.tries[len(known) - config.try_default :]
    new = parse_tries(replace(config, tries=added, try_default=False), space)
    mapped = SpaceMap(space.space)
    inside = [point for point in known if mapped.names.isdisjoint(mapped.dropped(point))]
    return GivenPoints([*inside, *new], new, starting)


def _starting_points(
    config: SearchConfig,
    space: keras_tuner.HyperParameters,
    declared: Sequence[Mapping[str, Any]],
    points: Sequence[Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Returns the declared points that are not among `points`, and what of them is out of range.

    A value that was fixed or is outside its range gives way to the space's own.
    """
    from experiments.hyperparameters.optuna_space import SpaceMap

    if not config.starting_points or config.sources:
        return [], []
    mapped = SpaceMap(space.space)
    own = {hp.name: hp.default for hp in space.space}
    fixed = {hp.name: hp.value for hp in space.space if isinstance(hp, hp_module.Fixed)}
    found: list[dict[str, Any]] = []
    moved: list[str] = []
    for point in declared:
        if unknown := [name for name in point if name not in own]:
            raise UserError(
                f"starting point {dict(point)}: no such hyperparameter {unknown[0]!r}; there are "
                f"{', '.join(own)}"
            )
        moved += [f"{n}={point[n]}" for n in mapped.dropped(point) if n not in fixed]
        wanted = mapped.encoded(own | dict(point) | fixed)
        values = mapped.values(lambda p, w=wanted: w.get(p.key))  # type: ignore[misc]
        if values not in [*points, *found]:
            found.append(values)
    return found, list(dict.fromkeys(moved))


def _parsed(space: keras_tuner.HyperParameters, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a point: given ones, and defaults for the rest.

    Of what is declared more than once, the first that is active and takes the value counts.
    """
    names = [hp.name for hp in space.space]
    for name in given:
        if name not in names:
            raise UserError(f"--try {name}: no such hyperparameter; there are {', '.join(names)}")
    point: dict[str, Any] = {}
    refused: dict[str, UserError] = {}
    for hp in space.space:
        if hp.name in point or not is_active(hp, point):
            continue
        if hp.name not in given:
            point[hp.name] = hp.default
            continue
        try:
            point[hp.name] = parse_value(hp, given[hp.name], "--try")
        except UserError as error:
            refused.setdefault(hp.name, error)
    for name, value in given.items():
        if name not in point:
            raise refused.get(name) or UserError(
                f"--try {name}={value}: it is not active with the other values of "
                "this point; give those that make it active too"
            )
    return point
