"""What `study.json` and `result.json` hold: keys, their kinds, and the format that reads them."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.reading import as_number, clean

FORMAT = 1  # of a study folder; raised when an older version would misread a newer study
_MOST = 1_000_000_000  # epochs, trials
# Columns of the table of trials that no hyperparameter may take, besides its metrics.
TRIAL_COLUMNS = (
    "trial_id", "number", "status", "score", "scores", "cause", "message", "traceback", "started",
    "ended", "seconds", "epochs", "worker", "attempts", "trainable_parameters",
    "frozen_parameters", "flops", "latency_ms", "feature_seconds", "origin", "initial_epoch",
    "planned_epochs", "total_epochs", "step_seconds", "kept_parts",
)  # fmt: skip
CONTINUED = "continued_as"  # of an exported trial: the one that went on with its training
APART = " (hyperparameter)"  # follows the name of one that a column has


@dataclass(frozen=True)
class Kind:
    """What a value may be.

    Args:
        name: As messages have it.
        holds: Whether a value is of the kind.
    """

    name: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _is_list(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(holds, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_pair(value: Any) -> bool:
    return _is_list(value, _is_number) and len(value) == 2


def _whole(least: int) -> Kind:
    def holds(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST

    return Kind(f"a whole number from {least}", holds)


def _is_measured(value: Any) -> bool:
    return value in ("nan", "inf", "-inf") or isinstance(value, float) or _is_number(value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str) or _is_measured(value)


def _or_null(kind: Kind) -> Kind:
    return Kind(f"{kind.name} or null", lambda value: value is None or kind.holds(value))


ANYTHING = Kind("anything", lambda value: True)
OBJECT = Kind("an object", _is_object)
SCALARS = Kind(
    "an object of numbers, texts and booleans",
    lambda value: _is_object(value) and all(map(_is_scalar, value.values())),
)
OBJECTS = Kind("a list of objects", lambda value: _is_list(value, _is_object))
LIST = Kind("a list", lambda value: isinstance(value, list))
TEXT = Kind("a text", lambda value: isinstance(value, str))
NUMBER = Kind("a number", _is_number)
NUMBERS = Kind("a list of numbers", lambda value: _is_list(value, _is_number))
PAIRS = Kind("a list of pairs of numbers", lambda value: _is_list(value, _is_pair))
COUNT = _whole(0)
INTEGER = Kind("a whole number", lambda value: isinstance(value, int))
# JSON has neither NaN nor infinities: they are written as text.
MEASURED = Kind("a number", _is_measured)
_VALUES = _or_null(MEASURED)  # earlier versions wrote null for NaN
HISTORY = Kind(
    "an object of lists of numbers",
    lambda value: _is_object(value) and all(_is_list(v, _VALUES.holds) for v in value.values()),
)
STATUS = Kind("completed, pruned or failed", lambda v: v in ("completed", "pruned", "failed"))
TRIAL_ID = Kind("digits", lambda value: isinstance(value, str) and value.isdecimal())


@dataclass(frozen=True)
class Key:
    """A key of a record.

    Args:
        kind: What its value may be.
        needed: Whether a record without it can't be resumed. What is not needed may be missing,
            in records of earlier versions too.
        always: Whether every record that is written now has it.
        of: Keys of each object in it.
        since: The format that brought it; it is not needed in records of earlier ones.
    """

    kind: Kind
    needed: bool = False
    always: bool = True
    of: Mapping[str, "Key"] | None = None
    since: int = 1


HYPERPARAMETER_KEYS = {
    "name": Key(TEXT, needed=True),
    "kind": Key(TEXT, needed=True),
    "conditions": Key(OBJECTS, needed=True),
}  # and what Keras Tuner's configuration of its kind has

EARLIER_KEYS = {
    "values": Key(OBJECT, needed=True),
    "score": Key(NUMBER, needed=True),
    "further": Key(NUMBERS, always=False),  # of several objectives
    "curve": Key(PAIRS, always=False),  # of a trial that was stopped early
    "epochs": Key(PAIRS, always=False),  # likewise, of one that was trained whole
}

SESSION_KEYS = {
    "started": Key(NUMBER),
    "command_line": Key(LIST),
    "first_trial": Key(COUNT),
    "max_trials": Key(INTEGER),
    "max_epochs": Key(_whole(1)),
    "factor": Key(_whole(2)),
    "restored": Key(LIST),
    "threads": Key(_or_null(COUNT)),
    "points": Key(OBJECTS, always=False),  # of a method of Optuna
    "starting_points": Key(OBJECTS, always=False),  # that the space declared, in the first session
    "picked": Key(TEXT, always=False),  # where `auto` picked a method
    "space_source": Key(OBJECT, always=False),  # where the code of the space had changed
    "space_files": Key(OBJECT, always=False),  # where files that settings name had changed
    "fingerprint": Key(_or_null(TEXT), always=False),  # of a script's arrays that had changed
    "widened": Key(OBJECTS, always=False),  # where ranges had become wider
    "search_ended": Key(NUMBER, always=False),
    "ended_by": Key(_or_null(TEXT), always=False),
    "num_trials": Key(INTEGER, always=False),
    "stopped": Key(NUMBER, always=False),  # by an interruption
    "ended": Key(NUMBER, always=False),
}

STUDY_KEYS = {
    "format": Key(ANYTHING),  # `check_format` looks at it
    "name": Key(TEXT),
    "config": Key(OBJECT, needed=True),  # `SearchConfig` looks at it
    "objective": Key(OBJECT, needed=True),
    "objectives": Key(OBJECTS, always=False),  # where there are several
    "space": Key(OBJECTS, needed=True, of=HYPERPARAMETER_KEYS),
    "space_source": Key(OBJECT),
    "space_files": Key(OBJECT, always=False),  # where settings name files: bases, weights
    "architecture": Key(LIST),
    "dataset": Key(OBJECT, needed=True),
    "class_weights": Key(NUMBERS, always=False),  # where classes are weighed
    "environment": Key(OBJECT),
    "started": Key(NUMBER),
    "earlier": Key(OBJECTS, of=EARLIER_KEYS),
    "script": Key(OBJECT, always=False),  # of `experiments.Tuner`: where its model is
    "sessions": Key(OBJECTS, of=SESSION_KEYS),
    "search_ended": Key(NUMBER, always=False),  # once the last session's trials have ended
    "ended": Key(NUMBER, always=False),
}

EXECUTION_KEYS = {
    "seed": Key(INTEGER),
    "history": Key(HISTORY, needed=True),
    "best_epoch": Key(COUNT),
    "score": Key(_or_null(MEASURED)),
    "seconds": Key(OBJECT),
    "epoch_seconds": Key(LIST, needed=True),
}

_COST = Key(_or_null(MEASURED))

RESULT_KEYS = {
    "status": Key(STATUS, needed=True),
    "executions": Key(OBJECTS, needed=True, of=EXECUTION_KEYS),
    **dict.fromkeys(("trainable_parameters", "frozen_parameters", "flops"), _COST),
    **dict.fromkeys(("latency_ms", "latency_low_ms", "latency_high_ms"), _COST),
    "feature_seconds": _COST,
    **dict.fromkeys(("cause", "message", "traceback"), Key(_or_null(TEXT))),
    "initial_epoch": Key(COUNT),
    "features": Key(OBJECT),
    "numerics": Key(OBJECT),
    "trial_id": Key(TRIAL_ID, needed=True),
    "hyperparameters": Key(SCALARS, needed=True),
    "score": Key(_or_null(MEASURED)),
    "started": Key(NUMBER),
    "ended": Key(NUMBER),
    "worker": Key(_or_null(TEXT)),
    "attempts": Key(OBJECTS),
    "seconds": Key(MEASURED),
    "asked": Key(OBJECT),
    "objectives": Key(OBJECT, always=False),  # where there are several
}


_TRAINED = ("status", "executions", "initial_epoch")


def check_format(record: Mapping[str, Any], folder: Path) -> None:
    """Checks that a study was not written by a newer version.

    Args:
        record: The content of `study.json`.
        folder: The study folder.

    Raises:
        UserError: It was; older versions know neither its options nor its files.
    """
    if as_number(record.get("format")) > FORMAT:
        raise UserError(
            f"study {folder.name!r} was written by a newer version of this suite (format "
            f"{clean(record['format'], 20)}, this one knows {FORMAT}): update "
            "keras-tuner-experiments; nothing was changed"
        )


def check_record(record: Any, path: Path) -> None:
    """Checks what a session is resumed from.

    Args:
        record: The content of `study.json`.
        path: Its path.

    Raises:
        UserError: It was written by a newer version, something needed is missing, or something is
            of another kind than any version has written.
    """
    needed = [name for name, key in STUDY_KEYS.items() if key.needed and key.since == 1]
    if not isinstance(record, dict) or any(name not in record for name in needed):
        raise UserError(f"{str(path)!r} is no study record: expected {', '.join(needed)}")
    check_format(record, path.parent)
    for wrong in _wrong(record, STUDY_KEYS, _format_of(record)):
        raise UserError(
            f"{str(path)!r} is damaged: {wrong}; restore it from a copy, or start a new study and "
            "give it this one's trials with --from"
        )


def checked_result(result: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of `result.json`.

    Raises:
        ValueError: Something needed is missing, something is of another kind than any version has
            written, or it does not agree with itself.
    """
    for wrong in _wrong(result, RESULT_KEYS, FORMAT):
        raise ValueError(wrong)
    check_promotion(result["hyperparameters"])
    check_executions(result)
    return result


def check_executions(result: Mapping[str, Any]) -> None:
    """Checks the trainings in the content of `result.json`.

    Raises:
        ValueError: Something needed is missing, something is of another kind than any version has
            written, or it does not agree with itself.
    """
    for wrong in _wrong(result, {name: RESULT_KEYS[name] for name in _TRAINED}, FORMAT):
        raise ValueError(wrong)
    if result["status"] != "failed":
        if not result["executions"]:
            raise ValueError(f"executions are none, but the trial {result['status']}")
        for execution in result["executions"]:
            _check_execution(execution)


STATE_KEYS = {  # of `trial.json`, which Keras Tuner describes
    "trial_id": Key(TRIAL_ID, needed=True),
    "status": Key(TEXT, needed=True),
    "message": Key(_or_null(TEXT), needed=True),
    "best_step": Key(_or_null(INTEGER), needed=True),
    "score": Key(ANYTHING, needed=True),
    "hyperparameters": Key(OBJECT, needed=True),
    "metrics": Key(OBJECT, needed=True),
}
_PROMOTION = {
    "tuner/trial_id": Key(TRIAL_ID),
    **dict.fromkeys(
        (f"tuner/{name}" for name in ("initial_epoch", "epochs", "bracket", "round")), Key(COUNT)
    ),
}
_OBSERVED = Kind("a list of numbers", lambda v: v != [] and _is_list(v, MEASURED.holds))


def check_ended_state(state: Mapping[str, Any]) -> None:
    """Checks what is used of the `trial.json` of a trial that has ended.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of the wrong kind.
        ValueError: It is nothing that Keras Tuner takes.
    """
    for wrong in _wrong(state, STATE_KEYS, FORMAT):
        raise ValueError(wrong)
    if state["status"] == "COMPLETED" and not NUMBER.holds(state["score"]):
        raise ValueError("a trial that was completed has no score")
    check_hyperparameters(state["hyperparameters"])
    for metric in state["metrics"]["metrics"].values():
        if metric["direction"] not in ("min", "max"):
            raise ValueError(f"a metric's direction is {metric['direction']!r}")
        for observation in metric["observations"]:
            if not isinstance(observation["step"], int) or not _OBSERVED.holds(
                observation["value"]
            ):
                raise ValueError("a metric's observation has no step, or no values")


def check_hyperparameters(config: Mapping[str, Any]) -> None:
    """Checks the hyperparameters of a `trial.json`: what the space names, and the values.

    Raises:
        KeyError: Something is missing.
        TypeError: Something is of the wrong kind.
        ValueError: A name is no text, or a value is of another kind than any space has.
    """
    for hp in config["space"]:
        if not TEXT.holds(hp["config"]["name"]) or not OBJECTS.holds(hp["config"]["conditions"]):
            raise ValueError("a hyperparameter's name is no text, or its conditions no objects")
    if not SCALARS.holds(config["values"]):
        raise ValueError(f"hyperparameters: values should be {SCALARS.name}")
    check_promotion(config["values"])


def check_promotion(values: Mapping[str, Any]) -> None:
    """Checks what a trial's values say of the trial that it continues.

    Raises:
        ValueError: It is of another kind than any method has written.
    """
    for wrong in _wrong(values, _PROMOTION, FORMAT):
        raise ValueError(wrong)


def _check_execution(execution: Mapping[str, Any]) -> None:
    """Checks that a training which did not fail has epochs, and the same number in all it says.

    Raises:
        ValueError: It has not.
    """
    num_epochs = len(execution["epoch_seconds"])
    if {len(values) for values in execution["history"].values()} != {num_epochs}:
        raise ValueError("an execution's metrics are of different lengths")
    if execution.get("best_epoch", 0) >= num_epochs:
        raise ValueError(f"the best epoch of an execution is none of its {num_epochs} epochs")


def _format_of(record: Mapping[str, Any]) -> int:
    stated = as_number(record.get("format"))
    return int(stated) if stated > 1 else 1  # what states none is as old as can be


def _wrong(
    record: Mapping[str, Any], keys: Mapping[str, Key], stated: int, place: str = ""
) -> Iterator[str]:
    """Yields what is missing in a record of format `stated`, or is of another kind."""
    for name, key in keys.items():
        found = record.get(name)
        if name not in record:
            if key.needed and key.since <= stated:
                yield f"{place}{name} is missing"
        elif not key.kind.holds(found):
            yield f"{place}{name} should be {key.kind.name}, got {clean(found, 80)}"
        else:
            for item in record[name] if key.of else ():
                yield from _wrong(item, key.of or {}, stated, f"{name}: ")
