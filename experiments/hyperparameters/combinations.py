"""Every combination of a space's values, in grid search's order."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine import hyperparameters as hp_module

_CLOSE = 1e-6  # of a step


def combinations(
    space: Sequence[Any], is_covered: Callable[[dict[str, Any]], bool] = lambda values: False
) -> Iterator[dict[str, Any]]:
    """Yields the values of every combination, active hyperparameters only.

    The last hyperparameter changes fastest; of each, the default comes first. A range without
    steps is taken at the values Keras Tuner's grid search takes, ten of a float.

    Args:
        space: Hyperparameters, parents before those that depend on them.
        is_covered: Whether all combinations that begin with these values are to be left out.
    """
    return _extend(tuple((hp, ordered_values(hp)) for hp in space), is_covered, 0, {})


def _extend(
    space: Sequence[tuple[Any, tuple[Any, ...]]],
    is_covered: Callable[[dict[str, Any]], bool],
    index: int,
    values: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    if is_covered(values):
        return
    while index < len(space) and not is_active(space[index][0], values):
        index += 1
    if index == len(space):
        yield values
        return
    hp, choices = space[index]
    for choice in choices:
        yield from _extend(space, is_covered, index + 1, {**values, hp.name: choice})


def is_active(hp: "hp_module.HyperParameter", values: dict[str, Any]) -> bool:
    """Whether all conditions of `hp` are met by `values`."""
    return all(condition.is_active(values) for condition in hp.conditions)


def completed(space: Sequence[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values with the default of each active hyperparameter that has none.

    A trial lacks a hyperparameter that its script asked for later only: it was not in use there.

    Args:
        space: Hyperparameters, parents before those that depend on them.
        values: Those of a trial.
    """
    known = dict(values)
    for hp in space:
        if hp.name not in known and is_active(hp, known):
            known[hp.name] = hp.default
    return known


def ordered_values(hp: "hp_module.HyperParameter") -> tuple[Any, ...]:
    """Returns the values of `hp`, its default first.

    That is the step's own value: 0.1 + 0.2 instead of 0.3, lest both be tried.
    """
    whole = isinstance(getattr(hp, "min_value", None), int)  # a `Float` may have a default of 0
    # Keras Tuner has 16.0 for an `Int` of doubling steps.
    values = tuple(round(v) if whole and isinstance(v, float) else v for v in hp.values)
    if getattr(hp, "step", None) is None:
        return (hp.default, *(value for value in values if value != hp.default))
    default = next((v for v in values if is_same_value(v, hp.default)), hp.default)
    return (default, *(v for v in values if not is_same_value(v, default)))


def is_same_value(one: object, other: object) -> bool:
    """Whether two values are equal, but for what counting steps does to the last bits."""
    are_numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if are_numbers and not (isinstance(one, int) and isinstance(other, int)):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)  # type: ignore[arg-type]
    return bool(one == other)


def nearest(values: Sequence[Any], to: Any) -> Any:
    """Returns the value that is nearest to a number; the first of texts."""
    if isinstance(to, str):
        return values[0]
    return min(values, key=lambda value: abs(value - to))


def in_unit(hp: "hp_module.HyperParameter", value: Any) -> float:
    """Returns where a value lies from 0 to 1; Keras Tuner takes 0.5 in steps of 0.1 for 0.4."""
    if getattr(hp, "step", None) is not None and hp.sampling == "linear":
        value += hp.step * _CLOSE
    return float(hp.value_to_prob(value))


def point_with(
    space: "keras_tuner.HyperParameters", of: "hp_module.HyperParameter", value: object
) -> "keras_tuner.HyperParameters":
    """Returns defaults with one value, and with what makes its hyperparameter active.

    Args:
        space: The space, parents before those that depend on them.
        of: The hyperparameter.
        value: Its value.
    """
    wanted = {of.name: value} | {c.name: c.values[0] for c in reversed(of.conditions)}
    for hp in reversed(space.space):
        if hp.name in wanted and hp.name != of.name:
            for condition in hp.conditions:
                wanted.setdefault(condition.name, condition.values[0])
    point = space.copy()
    point.values = {}
    for hp in point.space:
        if is_active(hp, point.values):
            point.values[hp.name] = wanted.get(hp.name, hp.default)
    return point
