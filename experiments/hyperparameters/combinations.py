"""Every combination of a space's values, in grid search's order."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras_tuner
    from keras_tuner.engine import hyperparameters as hp_module


def combinations(space: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yields the values of every combination, active hyperparameters only.

    The last hyperparameter changes fastest; of each, the default comes first. A range without
    steps is taken at the values Keras Tuner's grid search takes, ten of a float.

    Args:
        space: Hyperparameters, parents before those that depend on them.
    """
    return _extend(tuple((hp, ordered_values(hp)) for hp in space), 0, {})


def _extend(
    space: Sequence[tuple[Any, tuple[Any, ...]]], index: int, values: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    while index < len(space) and not is_active(space[index][0], values):
        index += 1
    if index == len(space):
        yield values
        return
    hp, choices = space[index]
    for choice in choices:
        yield from _extend(space, index + 1, {**values, hp.name: choice})


def is_active(hp: "hp_module.HyperParameter", values: dict[str, Any]) -> bool:
    """Whether all conditions of `hp` are met by `values`."""
    return all(condition.is_active(values) for condition in hp.conditions)


def ordered_values(hp: "hp_module.HyperParameter") -> tuple[Any, ...]:
    """Returns the values of `hp`, its default first."""
    return (hp.default, *(value for value in hp.values if value != hp.default))


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
