"""What `experiments.Tuner` records of a script: names and fingerprints of model and data."""

import hashlib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import keras_tuner
import numpy as np
import numpy.typing as npt
from keras_tuner.src.engine import objective as objective_module

from experiments.hyperparameters.source import fingerprint_of_text
from experiments.record.errors import UserError
from experiments.record.files import finite
from experiments.record.objective import Objective, parse_objective
from experiments.record.reading import dicts, dig

_OWN = "experiments."  # modules of the suite, whose tuners are no one's own
_MOST_HASHED = 2**31  # bytes of an array: larger ones are known by their shape alone
_DATA_AT_FIRST = ("x", "y", "validation_data")
_DATA = ("X", *_DATA_AT_FIRST, "sample_weight", "groups")
# What a training is asked for besides: its epochs are looked after, the others change nothing.
_NO_MATTER = ("epochs", "verbose", "callbacks")
_Fit = tuple[tuple[Any, ...], Mapping[str, Any]]  # the arguments of `search`


def objective_text(given: Any) -> str:
    """Returns an objective of Keras Tuner as `NAME:DIRECTION`.

    Raises:
        UserError: It is none, or a cost of the network, which a script's tuner does not measure.
    """
    objective = _objective(given)
    if objective.is_cost:
        raise UserError(
            f"objective {objective.name}: experiments.Tuner ranks by what a training reports, "
            "which costs are not; search a model's file with `experiments search FILE.py`, or "
            "with run_search"
        )
    return str(objective)


def _objective(given: Any) -> Objective:
    if isinstance(given, str):
        with suppress(UserError):
            return parse_objective(given)
    try:
        found = objective_module.create_objective(given)
    except ValueError as error:
        raise UserError(f"objective {given!r}: {error}") from None
    return Objective(found.name, found.direction)


def name_of_model(hypermodel: Any, tuner: type) -> str:
    """Returns the name of a model's function or class; the tuner's where there is none."""
    if hypermodel is None:
        return tuner.__name__
    return str(getattr(hypermodel, "__name__", type(hypermodel).__name__))


def source_of_script(tuner: keras_tuner.Tuner) -> dict[str, str]:
    """Returns the fingerprint of the code that builds and trains, where it can be read."""
    model = tuner.hypermodel
    parts: list[Any] = [type(tuner)] if not type(tuner).__module__.startswith(_OWN) else []
    if model is not None:
        own = type(model).__module__.startswith("keras_tuner")
        parts.append(getattr(model, "build", None) if own else type(model))
    found = {}
    for part in parts:
        with suppress(OSError, TypeError):
            text = inspect.getsource(part)
            found[f"{part.__module__}.{part.__qualname__}"] = fingerprint_of_text(text)
    return found


def changed_ranges(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Names the hyperparameters whose range is another one than was recorded.

    Args:
        then: The recorded space, see `describe_space`.
        now: The space of this session.
    """
    was = {(hp["name"], str(hp["conditions"])): hp for hp in then}
    found = [hp for hp in now if was.get((hp["name"], str(hp["conditions"])), hp) != finite(hp)]
    return list(dict.fromkeys(str(hp["name"]) for hp in found))


def _arguments(fit: _Fit, names: Sequence[str] = _DATA) -> list[Any]:
    args, kwargs = fit
    data = [*args, *(kwargs[name] for name in names if name in kwargs)]
    return [one for part in data for one in (part if isinstance(part, list | tuple) else [part])]


def describe_data(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Names the data: the type and the shape of the first argument."""
    first = next(iter(_arguments((args, kwargs))), None)
    if first is None:
        return "no data"
    shape = getattr(first, "shape", None)
    return f"{type(first).__name__}{f' {tuple(shape)}' if shape is not None else ''}"


def fingerprint_of_data(fit: _Fit, tensors: bool = True) -> str | None:
    """Returns the fingerprint of the arrays that are trained on; `None` if there is none.

    Args:
        fit: The arguments of `search`.
        tensors: Whether tensors count, too; once they did not.
    """
    weights = fit[1].get("class_weight")
    own = [np.array([*weights.items()])] if isinstance(weights, Mapping) else []
    return _digest([*_arrays(_arguments(fit), tensors), *own])


def plain_arguments(fit: _Fit) -> dict[str, Any]:
    """Returns what else `search` passes to a training, by name or by place, that is plain."""
    args, kwargs = fit
    given = {str(place): value for place, value in enumerate(args)} | dict(kwargs)
    return {
        name: value
        for name, value in given.items()
        if name not in _NO_MATTER and (value is None or isinstance(value, bool | int | float | str))
    }


def changed_arguments(study: Mapping[str, Any], fit: _Fit) -> list[str]:
    """Names the plain arguments that are others than the last session's; none if unrecorded."""
    sessions = dicts(study.get("sessions"))
    then = next((s["fit"] for s in reversed(sessions) if isinstance(s.get("fit"), dict)), None)
    if then is None:
        return []
    now = finite(plain_arguments(fit))
    return sorted(n for n in then.keys() | now.keys() if then.get(n) != now.get(n))


def last_fingerprint(study: Mapping[str, Any]) -> object:
    """Returns the fingerprint of the arrays that the last session had."""
    found: object = dig(study, "dataset", "fingerprint")
    for session in dicts(study.get("sessions")):
        found = session.get("fingerprint", found)
    return found


def is_same_data(recorded: object, fit: _Fit) -> bool:
    """Whether a fingerprint is of these arrays.

    Once it was of arguments that are arrays alone, then of tables, too, and of all but tensors.
    """
    alone = [a for a in _arguments(fit, _DATA_AT_FIRST) if isinstance(a, np.ndarray)]
    return (  # in this order: each reads all data
        recorded == fingerprint_of_data(fit)
        or recorded == fingerprint_of_data(fit, tensors=False)
        or recorded == _digest(_arrays(alone))
    )


def _arrays(part: Any, tensors: bool = True) -> Iterator[npt.NDArray[Any]]:
    """Yields the arrays in dictionaries, lists, tables (column by column) and tensors."""
    if isinstance(part, Mapping):
        part = list(part.values())
    elif hasattr(part, "columns"):
        part = [part[name].to_numpy() for name in part.columns]
    elif hasattr(part, "to_numpy"):
        part = part.to_numpy()
    elif tensors and callable(getattr(part, "numpy", None)):
        with suppress(Exception):  # of a graph, or on a device: it is as one without values
            part = part.numpy()
    if isinstance(part, list | tuple):
        for one in part:
            yield from _arrays(one, tensors)
    elif isinstance(part, np.ndarray) and part.dtype != object:
        yield part


def _digest(arrays: Iterable[npt.NDArray[Any]]) -> str | None:
    found = list(arrays)
    if not found:
        return None
    digest = hashlib.sha256()
    for array in found:
        digest.update(f"{array.dtype} {array.shape}".encode())
        if array.nbytes <= _MOST_HASHED:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # dates too
    return digest.hexdigest()[:16]
