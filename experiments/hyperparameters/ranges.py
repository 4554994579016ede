"""Ranges other than a space's own: `--range`, and which changes of them a resumed study takes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.config import SearchConfig
from experiments.hyperparameters.combinations import nearest, point_with
from experiments.hyperparameters.optuna_space import parameter_of
from experiments.hyperparameters.space import describe, explore, fixed, opened, reaching_end
from experiments.record.errors import UserError, first_line
from experiments.record.files import finite
from experiments.record.formatting import range_text
from search_spaces.base import ImageSpace


@dataclass(frozen=True)
class Widened:
    """A range that was widened when a study was resumed.

    Args:
        name: The hyperparameter.
        was: Its range before, in words.
        now: Its range from then on.
    """

    name: str
    was: str
    now: str


def searched_space(
    hypermodel: ImageSpace,
    config: SearchConfig,
    recorded: Sequence[Mapping[str, Any]] | None = None,
) -> keras_tuner.HyperParameters:
    """Returns what a search varies: the space of `hypermodel` under `--range` and `--fix`.

    Args:
        hypermodel: The space.
        config: The search.
        recorded: The hyperparameters of a study that has begun, see `describe_space`. Those that
            the space was given since are left out; ranges that are narrower since stay as they
            were.

    Raises:
        UserError: One of them does not fit the space.
    """
    for name in config.ranges:
        if name in config.fix:
            raise UserError(
                f"--range {name}={config.ranges[name]}: it is held by --fix {name}="
                f"{config.fix[name]}; leave one of them out"
            )
    space = explore(hypermodel)
    if recorded is not None:
        space = _as_recorded(space, recorded, hypermodel.added - {*config.ranges, *config.fix})
    return fixed(ranged(space, config.ranges, hypermodel.held), config.fix, hypermodel.held)


def _as_recorded(
    space: keras_tuner.HyperParameters,
    recorded: Sequence[Mapping[str, Any]],
    added: frozenset[str],
) -> keras_tuner.HyperParameters:
    was = {(hp["name"], str(hp["conditions"])): hp for hp in recorded}
    names = {hp["name"] for hp in recorded}
    result = keras_tuner.HyperParameters()
    for hp in space.space:
        if hp.name in names or hp.name not in added:
            old = was.get((hp.name, str(_conditions(hp))))
            result.merge([_wider(hp, old) if old is not None else hp])
    return result


def _conditions(hp: hp_module.HyperParameter) -> list[dict[str, Any]]:
    return [{"name": c.name, "values": list(c.values)} for c in hp.conditions]


def _wider(hp: hp_module.HyperParameter, old: Mapping[str, Any]) -> hp_module.HyperParameter:
    """Returns `hp` as it was recorded, if that differs by a wider range alone."""
    now = {"kind": type(hp).__name__} | finite(hp.get_config())
    if old["kind"] == "Fixed" or not _widens(now | {"conditions": old["conditions"]}, old):
        return hp
    made = _made(old)
    made.conditions = hp.conditions
    return made


def ranged(
    space: keras_tuner.HyperParameters,
    ranges: Mapping[str, Any],
    held: Sequence[hp_module.HyperParameter] = (),
) -> keras_tuner.HyperParameters:
    """Returns `space` with other ranges; steps, scales and conditions stay.

    A default outside its new range becomes the value of the range that is nearest to it.

    Args:
        space: Hyperparameters.
        ranges: name -> `LO:HI` of a number; `a,b,c` or a list of a choice.
        held: Hyperparameters that have no range until one is given, see `ImageSpace.held`.

    Raises:
        UserError: There is no such hyperparameter, or its range is none that it can have.
    """
    names = list(dict.fromkeys(hp.name for hp in space.space))
    for name in ranges:
        if name not in names:
            raise UserError(f"--range {name}: no such hyperparameter; there are {', '.join(names)}")
    parents = {condition.name for hp in space.space for condition in hp.conditions}
    result = keras_tuner.HyperParameters()
    for hp in space.space:
        if hp.name in ranges:
            made = _with_range(opened(hp, held), ranges[hp.name])
            if hp.name in parents and not _holds(hp, made):
                _refuse(
                    hp,
                    ranges[hp.name],
                    "other hyperparameters depend on it, so that it can be narrowed here, and "
                    f"widened only in the space itself, which has {describe(hp)}",
                )
            hp = made
        result.merge([hp])
    return result


def _refuse(hp: hp_module.HyperParameter, given: object, why: str) -> NoReturn:
    shown = ",".join(map(str, given)) if isinstance(given, list | tuple) else given
    raise UserError(f"--range {hp.name}={shown}: {why}")


def _with_range(hp: hp_module.HyperParameter, given: object) -> hp_module.HyperParameter:
    if isinstance(hp, hp_module.Choice):
        return _choice(hp, given)
    if isinstance(hp, hp_module.Int | hp_module.Float):
        return _number(hp, given)
    _refuse(hp, given, f"it is {describe(hp)}; hold it with --fix instead")


def _choice(hp: hp_module.HyperParameter, given: object) -> hp_module.HyperParameter:
    parts = given if isinstance(given, list | tuple) else str(given).split(",")
    kind = type(hp.values[0])
    try:
        values = list(dict.fromkeys(kind(str(part).strip()) for part in parts))
    except ValueError:
        values = []
    if len(values) < 2 or "" in values:
        expected = {str: "texts", int: "whole numbers", float: "numbers"}.get(kind, "values")
        _refuse(
            hp, given, f"expected two or more {expected} separated by commas; the space has "
            f"{describe(hp)}; hold one with --fix"
        )  # fmt: skip
    if kind is not str:
        values = sorted(values) if hp.ordered else values
        _check_sign(hp, given, min(hp.values), min(values))
    default = hp.default if hp.default in values else nearest(values, hp.default)
    return hp_module.Choice(
        hp.name, values, ordered=hp.ordered, default=default, conditions=hp.conditions
    )


def _number(hp: hp_module.HyperParameter, given: object) -> hp_module.HyperParameter:
    whole = isinstance(hp, hp_module.Int)
    low, high = _ends(hp, given, int if whole else float)
    _check_sign(hp, given, hp.min_value, low)
    if hp.step is not None:
        _check_step(hp, given, low, high)
    options = {"step": hp.step, "sampling": hp.sampling, "conditions": hp.conditions}
    make = hp_module.Int if whole else hp_module.Float
    made = reaching_end(make(hp.name, low, high, **options))
    if not low <= hp.default <= high or (hp.step is not None and not _takes(made, hp.default)):
        values = (low, high) if hp.step is None else tuple(made.values)
        default = nearest(values, hp.default)
    else:
        default = hp.default
    return reaching_end(make(hp.name, low, high, default=default, **options))


def _ends(hp: hp_module.HyperParameter, given: Any, kind: type) -> tuple[Any, Any]:
    low, _, high = str(given).partition(":")
    try:
        ends = kind(low), kind(high)
        finite = math.isfinite(ends[0]) and math.isfinite(ends[1])
    except (ValueError, OverflowError):
        ends, finite = (0, 0), False
    if finite and ends[0] > ends[1]:
        _check_sign(hp, given, hp.min_value, ends[1])
        _refuse(hp, given, f"its ends are the wrong way round: write {hp.name}={high}:{low}")
    if not (finite and ends[0] < ends[1]):
        words = "whole numbers" if kind is int else "numbers"
        _refuse(
            hp, given, f"expected LO:HI, two {words}, the lower one first; the space has "
            f"{describe(hp)}; hold one value with --fix"
        )  # fmt: skip
    return ends


def _check_sign(hp: hp_module.HyperParameter, given: object, before: float, now: float) -> None:
    """Refuses values at or below 0 where the space has none: sizes, rates, shares."""
    if (before > 0 and now <= 0) or (before >= 0 and now < 0):
        bound = "above 0" if before > 0 else "0 or more"
        _refuse(hp, given, f"expected values {bound}, as in the space: {describe(hp)}")


def _check_step(hp: hp_module.HyperParameter, given: Any, low: Any, high: object) -> None:
    """Refuses an upper end that no number of steps leads to from the lower one."""
    linear = hp.sampling == "linear"
    steps = (high - low) / hp.step if linear else math.log(high / low, hp.step)
    if abs(steps - round(steps)) > 1e-6:
        counts = (math.floor(steps), math.ceil(steps))
        ends = [low + n * hp.step if linear else low * hp.step**n for n in counts]
        fits = [f"{end:g}" for end in ends if end > low]
        way = "in steps of" if linear else "times"
        _refuse(
            hp, given, f"{high:g} is not reached from {low:g} {way} {hp.step:g}; "
            f"{' or '.join(fits)} would be"
        )  # fmt: skip


def _takes(hp: hp_module.HyperParameter, value: object) -> bool:
    parameter = parameter_of(hp, hp.name)
    return parameter is not None and parameter.encoded(value) is not None


def _holds(wide: hp_module.HyperParameter, narrow: hp_module.HyperParameter) -> bool:
    """Whether `wide` takes every value that `narrow` does."""
    if isinstance(narrow, hp_module.Choice) or getattr(narrow, "step", None) is not None:
        values: tuple[Any, ...] = tuple(narrow.values)
    else:
        values = (narrow.min_value, narrow.max_value)
    return all(_takes(wide, value) for value in values)


def check_buildable(
    hypermodel: ImageSpace, space: keras_tuner.HyperParameters, ranges: Mapping[str, Any]
) -> None:
    """Builds the network at the ends of each range, and at each choice, that the space has not.

    Args:
        hypermodel: The space, for its dataset.
        space: What it is searched for, with `ranges`.
        ranges: As given.

    Raises:
        UserError: It can't be built there.
    """
    for declared in explore(hypermodel).space if ranges else ():
        if declared.name not in ranges:
            continue
        own = opened(declared, hypermodel.held)
        wide = _with_range(own, ranges[own.name])
        for value in _new(own, wide):
            try:
                _build(hypermodel, point_with(space, wide, value))
            except (
                Exception,
                SystemExit,
            ) as error:  # whatever a space raises of values it does not know
                _refuse(
                    own, ranges[own.name], f"the space can't build a network with {own.name} "
                    f"{value}: {first_line(error)}"
                )  # fmt: skip


def _build(hypermodel: ImageSpace, hp: keras_tuner.HyperParameters) -> None:
    """Builds the whole network, and what is trained of it on kept features."""
    hypermodel.build(hp)
    split = hypermodel.split(hp)
    for cut in split.cuts(2) if split is not None else ():  # a phase that unfreezes is the second
        cut.trainable()


def _new(own: hp_module.HyperParameter, wide: hp_module.HyperParameter) -> Iterator[Any]:
    is_choice = isinstance(wide, hp_module.Choice)
    for value in wide.values if is_choice else (wide.min_value, wide.max_value):
        if not (value in own.values if is_choice else own.min_value <= value <= own.max_value):
            yield value


def widened(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[Widened]:
    """Returns what is wider in a study's space than it was.

    Args:
        before: The hyperparameters as recorded, see `search.describe_space`.
        after: As they are now.

    Raises:
        UserError: They differ in another way: what was tried might not be in the space any more.
    """
    was = {(hp["name"], str(hp["conditions"])): hp for hp in before}
    now = {(hp["name"], str(hp["conditions"])): hp for hp in after}
    changes = []
    for key in [*was, *(key for key in now if key not in was)]:
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        if old is None or new is None or not _widens(old, new):
            raise UserError(
                "the search space has changed since the study was begun, and not by wider ranges "
                f"alone: hyperparameter {key[0]!r} was {_describe(old)}, now it is "
                f"{_describe(new)}; start a new study"
            )
        change = Widened(key[0], range_text(old), range_text(new))
        if change.was != change.now:  # else its end is within the reach of its steps now
            changes.append(change)
    return changes


_RANGE = ("min_value", "max_value", "values", "default")  # a default is moved into its range


def _widens(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    rest = [{k: v for k, v in hp.items() if k not in _RANGE} for hp in (old, new)]
    opens = old["kind"] == "Fixed" != new["kind"]
    if rest[0] != rest[1] and not opens:
        return False
    try:
        return _takes(_made(new), old["value"]) if opens else _holds(_made(new), _made(old))
    except (TypeError, ValueError, AttributeError):  # a record that was edited
        return False


def _made(hp: Mapping[str, Any]) -> hp_module.HyperParameter:
    options = {k: v for k, v in hp.items() if k not in ("kind", "conditions")}
    return getattr(hp_module, hp["kind"])(**options)


def _describe(hp: Mapping[str, Any] | None) -> str:
    if hp is None:
        return "not there"
    facts = ", ".join(f"{k} {v}" for k, v in hp.items() if k not in ("name", "conditions", "kind"))
    return f"{hp['kind']} ({facts})"
