"""Keras Tuner's hyperparameters as Optuna's distributions, and back, without loss."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from keras_tuner.engine import hyperparameters as hp_module
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from experiments.hyperparameters.combinations import (
    completed,
    is_active,
    is_same_value,
    nearest,
)


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter as one of Optuna's parameters.

    Args:
        key: Its name: the hyperparameter's, but for one that is declared again under
            other conditions.
        hp: The hyperparameter.
        distribution: What its encoded values are drawn from.
        encode: Value of the hyperparameter -> Optuna's value.
        decode: Optuna's value -> value of the hyperparameter.
    """

    key: str
    hp: hp_module.HyperParameter
    distribution: BaseDistribution
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]

    def encoded(self, value: object) -> Any:
        """Returns `value` as Optuna has it; `None` if it is outside the range."""
        try:
            encoded = self.encode(value)
            inside = self.distribution._contains(self.distribution.to_internal_repr(encoded))
        except (ValueError, TypeError, KeyError, OverflowError):
            return None
        return encoded if inside else None

    def nearest(self, value: Any) -> Any:
        """Returns `value` as Optuna has it, or what is nearest to it in the range.

        Of a kind without order that is the middle.
        """
        encoded = self.encoded(value)
        if encoded is None:
            with suppress(TypeError, ValueError, OverflowError):  # it is of another kind
                encoded = self.encoded(_moved_inside(self.hp, value))
        return self.encoded(self.hp.prob_to_value(0.5)) if encoded is None else encoded


def parameter_of(hp: hp_module.HyperParameter, key: str) -> Parameter | None:
    """Returns the parameter of a hyperparameter; `None` for one that has one value only.

    What has steps, and a choice among ordered numbers, becomes the number of its step, so that
    values are Keras Tuner's own to the last bit. What has none keeps its value and its scale. The
    reversed log scale is the log scale of the mirrored value.
    """
    if isinstance(hp, hp_module.Fixed):
        return None
    if isinstance(hp, hp_module.Boolean):
        return Parameter(key, hp, CategoricalDistribution((False, True)), _truth, bool)
    if isinstance(hp, hp_module.Choice):
        values = tuple(dict.fromkeys(hp.values))
        if hp.ordered:
            return _indexed(hp, key, values)
        parameter = Parameter(key, hp, CategoricalDistribution(values), _same, _same)
        return parameter if len(values) > 1 else None
    if hp.min_value == hp.max_value:
        return None
    if hp.step is not None and not _is_plain(hp):
        kind = int if isinstance(hp, hp_module.Int) else float
        return _indexed(hp, key, tuple(kind(value) for value in hp.values))
    return _ranged(hp, key)


def only_value(hp: hp_module.HyperParameter) -> Any:
    """Returns the value of a hyperparameter that has no parameter."""
    if isinstance(hp, hp_module.Fixed):
        return hp.value
    return hp.prob_to_value(0.5)


def _takes(hp: hp_module.HyperParameter, parameter: Parameter | None, value: object) -> bool:
    if parameter is None:
        return is_same_value(value, only_value(hp))
    return parameter.encoded(value) is not None


def _same(value: object) -> Any:
    return value


def _truth(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(f"{value!r} is no truth value")
    return bool(value)


def _whole(value: Any) -> int:
    if int(value) != float(value):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)


def _is_plain(hp: hp_module.HyperParameter) -> bool:
    return isinstance(hp, hp_module.Int) and hp.sampling == "linear"


def _indexed(hp: hp_module.HyperParameter, key: str, values: tuple[Any, ...]) -> Parameter | None:
    """Returns a parameter of the values' places; neighbours are a step apart."""
    if len(values) == 1:
        return None

    def place(value: Any) -> int:
        if value in values:
            return values.index(value)
        found = [i for i, v in enumerate(values) if is_same_value(v, value)]
        return found[0] if found else -1

    return Parameter(key, hp, IntDistribution(0, len(values) - 1), place, lambda i: values[int(i)])


def _ranged(hp: hp_module.HyperParameter, key: str) -> Parameter:
    low, high, log = hp.min_value, hp.max_value, hp.sampling != "linear"
    mirrored = hp.sampling == "reverse_log"
    if isinstance(hp, hp_module.Int):
        step = 1 if log else int(hp.step)
        last = low + (high - low) // step * step
        distribution: BaseDistribution = IntDistribution(low, last, log=log, step=step)
        turn: Callable[[Any], Any] = (lambda v: low + high - _whole(v)) if mirrored else _whole
    else:
        distribution = FloatDistribution(low, high, log=log)
        turn = _mirror(low, high) if mirrored else float
    return Parameter(key, hp, distribution, turn, turn)


def _possible(hp: hp_module.HyperParameter) -> tuple[Any, ...]:
    """Returns the values a parent can take: none that a condition names, if there is no end."""
    if hp is None or (hasattr(hp, "step") and hp.step is None):
        return (None,)
    return (hp.value,) if isinstance(hp, hp_module.Fixed) else tuple(hp.values)


def _moved_inside(hp: hp_module.HyperParameter, value: Any) -> Any:
    """Returns the value of a range, or of ordered choices, that is nearest to `value`."""
    if isinstance(hp, hp_module.Boolean) or not getattr(hp, "ordered", True):
        return None
    if isinstance(hp, hp_module.Choice) or (hp.step is not None and not _is_plain(hp)):
        return nearest(tuple(hp.values), value)
    inside = min(max(value, hp.min_value), hp.max_value)
    if not isinstance(hp, hp_module.Int):
        return inside
    low, step = hp.min_value, hp.step or 1
    return low + min(round((inside - low) / step), (hp.max_value - low) // step) * step


def _mirror(low: float, high: float) -> Callable[[Any], float]:
    return lambda value: min(max(low + high - float(value), low), high)


class SpaceMap:
    """A space of Keras Tuner as parameters of Optuna.

    Args:
        space: Hyperparameters, parents before those that depend on them.
    """

    def __init__(self, space: Sequence[Any]) -> None:
        self._space = list(space)
        self.names = {hp.name for hp in self._space}
        seen: dict[str, int] = {}  # name -> times it was declared
        self._parameters: list[Parameter | None] = []
        for hp in self._space:
            seen[hp.name] = seen.get(hp.name, 0) + 1
            key = hp.name if seen[hp.name] == 1 else f"{hp.name}#{seen[hp.name]}"
            self._parameters.append(parameter_of(hp, key))
        self.by_key = {
            parameter.key: parameter for parameter in self._parameters if parameter is not None
        }
        self.distributions = {key: parameter.distribution for key, parameter in self.by_key.items()}
        # keys of the parameters whose values have no order
        self.unordered = [
            key
            for key, distribution in self.distributions.items()
            if isinstance(distribution, CategoricalDistribution)
        ]
        groups: dict[Any, dict[str, BaseDistribution]] = {}
        for parameter in self.by_key.values():
            groups.setdefault(self._needs(parameter.hp), {})[parameter.key] = parameter.distribution
        # key -> distributions of the parameters that are active when it is
        self.groups = {key: group for group in groups.values() for key in group}

    def _needs(self, hp: hp_module.HyperParameter) -> frozenset[Any]:
        """Returns the conditions of `hp` that are not met by every value of their parent."""
        parents = {parent.name: parent for parent in self._space}
        return frozenset(
            (condition.name, tuple(condition.values))
            for condition in hp.conditions
            if not set(_possible(parents.get(condition.name))) <= set(condition.values)
        )

    def encoded(self, values: Mapping[str, Any], complete: bool = False) -> dict[str, Any]:
        """Returns a trial's encoded values: those that are active and inside their ranges.

        One that a trial lacks counts at its default: it was not in use there.

        Args:
            values: Its values.
            complete: Whether all trials are to have the same parameters: inactive ones too, each at
                its default, and of what is outside its range what is nearest to it.
        """
        known, found = completed(self._space, values), {}
        for hp, parameter in zip(self._space, self._parameters, strict=True):
            if parameter is None:
                continue
            active = is_active(hp, known)
            if complete:
                encoded = parameter.nearest(known[hp.name] if active else hp.default)
            else:
                encoded = parameter.encoded(known[hp.name]) if active else None
            if encoded is not None:
                found[parameter.key] = encoded
        return found

    def values(self, draw: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Draws every hyperparameter that is active; returns their values.

        Args:
            draw: Returns the encoded value of a parameter; `None` for the default.
        """
        values: dict[str, Any] = {}
        for hp, parameter in zip(self._space, self._parameters, strict=True):
            if not is_active(hp, values):
                continue
            encoded = None if parameter is None else draw(parameter)
            if parameter is None or encoded is None:
                values[hp.name] = only_value(hp) if parameter is None else hp.default
            else:
                values[hp.name] = parameter.decode(encoded)
        return values

    def dropped(self, values: Mapping[str, Any]) -> list[str]:
        """Returns the names in `values` that are unknown here, or have values they can't have here.

        Values that are not active with the others mean nothing, so they may be anything.
        """
        known = completed(self._space, values)
        pairs = zip(self._space, self._parameters, strict=True)
        active = [pair for pair in pairs if pair[0].name in values and is_active(pair[0], known)]
        inside = {hp.name for hp, p in active if _takes(hp, p, values[hp.name])}
        outside = {hp.name for hp, _ in active} - inside
        return [name for name in values if name not in self.names or name in outside]

    def shares(self, values: Mapping[str, Any]) -> bool:
        """Whether one of a trial's values is of a hyperparameter that is varied here."""
        known = completed(self._space, values)
        varied = (parameter.hp for parameter in self.by_key.values())
        return any(hp.name in values and is_active(hp, known) for hp in varied)
