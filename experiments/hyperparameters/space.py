"""The space of a search: a hypermodel's hyperparameters, some of them held at a value."""

import copy
import inspect
import math
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.data.prepare import PreparedData
from experiments.hyperparameters.combinations import is_same_value, point_with
from experiments.hyperparameters.model_space import ModelSpace, own_space_class
from experiments.record.errors import UserError
from experiments.space_reference import find_reference, shown_space
from search_spaces import space_class
from search_spaces.base import ImageSpace

_CLOSE = 1e-6  # of a step


def explore(hypermodel: ImageSpace) -> keras_tuner.HyperParameters:
    """Returns every hyperparameter of `hypermodel`, conditional ones too, at its default."""
    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    result = keras_tuner.HyperParameters()
    for declared in hp.space:
        result.merge([reaching_end(declared)])
    return result


def has_phases(hypermodel: ImageSpace, space: keras_tuner.HyperParameters, epochs: int) -> bool:
    """Whether some trials of `epochs` are trained in several phases.

    Args:
        hypermodel: The search space.
        space: Its hyperparameters, as they are searched.
        epochs: Epochs of a trial.
    """
    if type(hypermodel).phases is ImageSpace.phases:
        return False
    points = (
        point_with(space, hp, value)
        for hp in space.space
        for value in getattr(hp, "values", None) or (hp.default,)
    )
    held = {hp.name: hp.value for hp in space.space if isinstance(hp, hp_module.Fixed)}
    return any(
        len(hypermodel.phases(point, epochs)) > 1
        for point in points
        if all(held.get(name, value) == value for name, value in point.values.items())
    )


def reaching_end(hp: hp_module.HyperParameter) -> Any:
    """Returns `hp` with an upper end a hair higher where Keras Tuner's count of steps misses it.

    It counts `(high - low) // step`, which of 0.6, 0 and 0.1 is 5: 0.6 would never be drawn.
    """
    if not isinstance(hp, hp_module.Float) or hp.step is None or hp.sampling != "linear":
        return hp
    low, high, step = hp.min_value, hp.max_value, hp.step
    steps = (high - low) / step
    if abs(steps - round(steps)) > _CLOSE:  # the end is none of its values
        return hp
    while (high - low) // step < round(steps):
        high = math.nextafter(high, math.inf)
    return hp_module.Float(
        hp.name, low, high, step=step, default=hp.default, conditions=hp.conditions
    )


def opened(
    hp: hp_module.HyperParameter, held: Sequence[hp_module.HyperParameter]
) -> hp_module.HyperParameter:
    """Returns a held hyperparameter with the range it may be given; another one as it is.

    Args:
        hp: The hyperparameter as the space declares it.
        held: Those that the space holds, see `ImageSpace.held`.
    """
    found = next((each for each in held if each.name == hp.name), None)
    if found is None or not isinstance(hp, hp_module.Fixed):
        return hp
    made = copy.copy(found)
    made.conditions = hp.conditions
    return made


def fixed(
    space: keras_tuner.HyperParameters,
    fix: Mapping[str, Any],
    held: Sequence[hp_module.HyperParameter] = (),
) -> keras_tuner.HyperParameters:
    """Returns `space` with the hyperparameters of `fix` held at their values.

    Args:
        space: Hyperparameters.
        fix: name -> value.
        held: Hyperparameters that the space holds itself, see `ImageSpace.held`.

    Raises:
        UserError: There is no such hyperparameter, the value is outside its range, or other fixed
            values leave it no use.
    """
    names = [hp.name for hp in space.space]
    for name in fix:
        if name not in names:
            raise UserError(f"--fix {name}: no such hyperparameter; there are {', '.join(names)}")
    values = {hp.name: value for hp, value in _parsed(space, fix, held)}
    _check_used(space, fix, values, "--fix")
    result = keras_tuner.HyperParameters()
    for hp in space.space:
        if hp.name in values:
            hp = hp_module.Fixed(hp.name, values[hp.name], conditions=hp.conditions)
        result.merge([hp])
    return result


def _parsed(
    space: keras_tuner.HyperParameters,
    fix: Mapping[str, Any],
    held: Sequence[hp_module.HyperParameter],
) -> Iterator[tuple[hp_module.HyperParameter, Any]]:
    """Yields what is held with its value, but for declarations that other held values rule out."""
    values: dict[str, Any] = {}
    for hp in space.space:
        if hp.name in fix and _unmet(hp, values) is None:
            values[hp.name] = parse_value(opened(hp, held), fix[hp.name])
            yield hp, values[hp.name]


def check_ranges_used(space: keras_tuner.HyperParameters, ranges: Collection[str]) -> None:
    """Checks that what is held leaves a use to the hyperparameters that are given a range.

    Args:
        space: What is searched.
        ranges: Names of hyperparameters.

    Raises:
        UserError: One is never active.
    """
    held = {hp.name: hp.value for hp in space.space if isinstance(hp, hp_module.Fixed)}
    _check_used(space, ranges, held, "--range")


def _check_used(
    space: keras_tuner.HyperParameters,
    names: Collection[str],
    held: Mapping[str, Any],
    option: str,
) -> None:
    for name in names:
        unmet = [_unmet(hp, held) for hp in space.space if hp.name == name]
        if unmet and all(unmet):  # it may be declared again under other conditions
            condition: Any = unmet[0]
            raise UserError(
                f"{option} {name}: it is used only where {condition.name} is "
                f"{_values(condition.values)}, but {condition.name} is fixed at "
                f"{_text(held[condition.name])}"
            )


def _unmet(hp: hp_module.HyperParameter, held: Mapping[str, Any]) -> Any:
    """Returns the first condition of `hp` that what is held does not meet, or `None`."""
    conditions = (c for c in hp.conditions if c.name in held and held[c.name] not in c.values)
    return next(conditions, None)


def parse_value(hp: hp_module.HyperParameter, value: object, option: str = "--fix") -> Any:
    """Parses text (or a plain value) as a value of `hp`.

    Args:
        hp: The hyperparameter.
        value: Its value.
        option: What is said to be wrong if it does not fit.

    Raises:
        UserError: The value is outside the hyperparameter's range.
    """
    text = str(value).strip()
    parsed: object = None
    if isinstance(hp, hp_module.Boolean):
        parsed = {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
    elif isinstance(hp, hp_module.Choice):
        matches = [choice for choice in hp.values if _same(choice, text)]
        parsed = matches[0] if matches else None
    elif isinstance(hp, hp_module.Int | hp_module.Float):
        parsed = _parse_number(hp, text)
    elif isinstance(hp, hp_module.Fixed) and _same(hp.value, text):
        parsed = hp.value
    if parsed is None and _same(hp.default, text):  # of one that is held, outside its range
        parsed = hp.default
    if parsed is None:
        raise UserError(f"{option} {hp.name}={value}: expected {describe(hp)}")
    return parsed


def check_on_steps(
    space: keras_tuner.HyperParameters,
    fix: Mapping[str, Any],
    held: Sequence[hp_module.HyperParameter] = (),
) -> None:
    """Checks that values to be held are among those that the search would draw.

    Args:
        space: Hyperparameters.
        fix: name -> value.
        held: Hyperparameters that the space holds itself, see `ImageSpace.held`.

    Raises:
        UserError: One lies between the steps of its range.
    """
    for hp, value in _parsed(space, fix, held):
        is_stepped = getattr(hp, "step", None) is not None
        if is_stepped and not any(is_same_value(value, one) for one in hp.values):
            raise UserError(f"--fix {hp.name}={fix[hp.name]}: expected {describe(hp)}")


def _same(choice: int | float | str | bool, text: str) -> bool:
    if str(choice) == text or (isinstance(choice, bool) and str(choice).lower() == text.lower()):
        return True
    try:
        return not isinstance(choice, str) and float(choice) == float(text)
    except ValueError:
        return False


def _parse_number(hp: hp_module.HyperParameter, text: str) -> float | int | None:
    try:
        number = int(text) if isinstance(hp, hp_module.Int) else float(text)
    except ValueError:
        return None
    return number if hp.min_value <= number <= hp.max_value else None


def describe(hp: hp_module.HyperParameter) -> str:
    """Says a hyperparameter's range in words."""
    if isinstance(hp, hp_module.Boolean):
        return "true or false"
    if isinstance(hp, hp_module.Choice):
        return "one of " + ", ".join(str(value) for value in hp.values)
    if isinstance(hp, hp_module.Fixed):
        return f"{hp.value} (fixed)"
    kind = "whole number" if isinstance(hp, hp_module.Int) else "number"
    scale = ", log scale" if hp.sampling == "log" else ""
    return f"{kind} from {hp.min_value:g} to {hp.max_value:g}{scale}{_step(hp)}"


def _step(hp: hp_module.HyperParameter) -> str:
    if hp.step is None or (isinstance(hp, hp_module.Int) and hp.step == 1):
        return ""
    return f", {'times' if hp.sampling == 'log' else 'steps of'} {hp.step:g}"


def class_of(name: str, source: str | None = None) -> type[ImageSpace]:
    """Returns the hypermodel class of the space called `name`.

    Args:
        name: Its name, or what names a user's own model: `FILE.py[:NAME]` or `module:NAME`.
        source: The text of that file, if it is not to be read.

    Raises:
        UserError: Its file can't be used.
    """
    if (reference := find_reference(name)) is not None:
        return own_space_class(reference, source)
    try:
        return space_class(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def make_space(
    name: str, data: PreparedData, settings: Mapping[str, Any], source: str | None = None
) -> ImageSpace:
    """Makes the hypermodel of the space called `name` for the images of `data`.

    Args:
        name: Its name, or what names a user's own model.
        data: The prepared dataset.
        settings: Settings of the space.
        source: The text of the user's file, if it is not to be read.

    Raises:
        UserError: Its file can't be used, or a fact of the dataset or a setting does not fit.
    """
    try:
        shape: Any = data.shape  # of a row that is no image, for models that take such
        return class_of(name, source)(shape, data.num_outputs, **settings)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"space {shown_space(name)}: {error}") from None


def stand_in(name: str, settings: Mapping[str, Any], source: str | None = None) -> ImageSpace:
    """Makes the hypermodel of a space for two classes of colour images, before there are data.

    Raises:
        UserError: Its file can't be used, or a setting does not fit.
    """
    cls = class_of(name, source)
    own = inspect.getattr_static(cls, "required_shape")
    is_own = own is not vars(ImageSpace)["required_shape"]
    if not (is_own and isinstance(own, classmethod | staticmethod)):
        raise UserError(
            f"space {shown_space(name)}: it does not say what shape its images have: define "
            "required_shape(cls, channels, settings), a class method"
        )
    try:
        shape = cls.required_shape(3, settings)
    except ValueError as error:
        raise UserError(f"space {shown_space(name)}: {error}") from None
    return make_space(name, PreparedData("", "", ("0", "1"), shape, {}, ""), settings, source)


def describe_each(names: Sequence[str]) -> str:
    """Says what can be searched in each space, and what is wrong with a file that can't be used."""
    return "\n\n".join(map(_described, names))


def _described(name: str) -> str:
    try:
        return describe_space(name)
    except Exception as error:  # whatever a file raises that somebody writes at
        return f"{name}: can't be used: {' '.join(str(error).split())[:300]}"


def describe_space(name: str) -> str:
    """Says what can be searched in a space: hyperparameters, ranges, meanings, settings."""
    cls = class_of(name)
    space = explore(cls.example() if issubclass(cls, ModelSpace) else stand_in(name, {}))
    lines = [
        f"{shown_space(name)}: {cls.summary}",
        "",
        "  hyperparameters (--fix NAME=VALUE, --range NAME=LO:HI|a,b,c), with defaults:",
    ]
    for hp in space.space:
        able = opened(hp, cls.held)
        what = describe(hp) if able is hp else f"held; may be {describe(able)}"
        lines += _entry(f"{hp.name} = {_text(hp.default)}: {what}", _meaning(cls, hp))
    lines += ["", "  settings (--set NAME=VALUE), with defaults:"]
    defaults = cls.setting_defaults()
    for key, text in cls.settings.items():
        lines += _entry(key if defaults[key] is None else f"{key} = {defaults[key]}", text)
    return "\n".join(lines)


def _entry(head: str, text: str) -> list[str]:
    return [
        *textwrap.wrap(head, 80, initial_indent="    ", subsequent_indent="      "),
        *textwrap.wrap(text, 80, initial_indent="      ", subsequent_indent="      "),
    ]


def _meaning(cls: type[ImageSpace], hp: hp_module.HyperParameter) -> str:
    family = re.sub(r"_\d+$", "_0", hp.name)
    meaning = cls.meanings.get(hp.name) or cls.meanings.get(family, "")
    conditions = [f"{c.name} is {_values(c.values)}" for c in hp.conditions]
    return meaning + (f"; only where {' and '.join(conditions)}" if conditions else "")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _values(values: Sequence[Any]) -> str:
    return " or ".join(_text(value) for value in values)
