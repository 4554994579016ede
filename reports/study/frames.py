"""Trials and epochs as pandas frames."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.record.durations import trial_seconds
from experiments.record.measured import timed_trials
from experiments.record.reading import as_dict, as_number, clean, dicts, dig, scalar
from experiments.record.schema import TRIAL_COLUMNS
from experiments.record.trial_index import Trial, status_of

if TYPE_CHECKING:
    import pandas as pd

_COSTS = (
    "trainable_parameters", "frozen_parameters", "flops", "latency_ms", "feature_seconds"
)  # fmt: skip
_EPOCH_FIELDS = ("trial_id", "execution", "epoch", "seconds")  # columns that no metric may take


def trials_frame(
    states: list[Trial],
    hyperparameters: dict[str, dict[str, Any]],
    measured: dict[str, dict[str, Any]],
    metrics: Sequence[str] = (),
    by_start: bool = True,
) -> "pd.DataFrame":
    """Returns one row a trial, in order of start; see `Study.trials`.

    Args:
        states: The trials' files.
        hyperparameters: column -> description.
        measured: trial id -> costs that were measured after the search.
        metrics: Objectives after the first that are metrics.
        by_start: Whether to sort by their times; else the given order is kept.
    """
    import pandas as pd  # `status` reads folders without it

    rows = [_trial_row(*trial, hyperparameters) | _metrics(trial, metrics) for trial in states]
    # Latencies from the search and from later are not mixed: all are replaced, or none.
    whole = [row for row in rows if row["status"] == "completed"]
    timed = {row["trial_id"] for row in whole if not math.isnan(row["latency_ms"])}
    costs = ("flops", "latency_ms") if timed <= timed_trials(measured) else ("flops",)
    for row in rows:
        for cost in costs:
            found = as_number(dig(measured, row["trial_id"], cost))
            row[cost] = row[cost] if math.isnan(found) else found
    fields = [name for name in TRIAL_COLUMNS if name != "number"]
    trials = pd.DataFrame(rows, columns=[*fields, *metrics, *hyperparameters])
    if by_start:
        trials = trials.sort_values(["started", "trial_id"], kind="stable").reset_index(drop=True)
    trials.insert(1, "number", range(1, len(trials) + 1))
    return trials


def _trial_row(
    trial_id: str,
    state: dict[str, Any],
    result: dict[str, Any],
    hyperparameters: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    values = as_dict(dig(state, "hyperparameters", "values"))
    started, ended = as_number(result.get("started")), as_number(result.get("ended"))
    executions = dicts(result.get("executions"))
    message = result.get("message") or state.get("message")
    return {
        "trial_id": trial_id,
        "status": status_of((trial_id, state, result)),
        "score": as_number(result.get("score", state.get("score"))),
        "scores": tuple(as_number(e.get("score")) for e in executions),
        "cause": _optional(result.get("cause"), 40),
        "message": _optional(message, 2000),
        "traceback": _optional(result.get("traceback"), 20_000),
        "started": started,
        "ended": ended,
        "seconds": trial_seconds(result),
        "epochs": _epochs(executions) if "executions" in result else math.nan,
        "worker": _optional(result.get("worker"), 40),
        "attempts": _attempts(result.get("attempts")),
        **_fidelity(values, result, executions),
        "step_seconds": _step_seconds(executions),
        "kept_parts": _kept_parts(result.get("features")),
        **{name: as_number(result.get(name)) for name in _COSTS},
    } | {
        column: value_of(hp, values.get(hp["name"]))
        for column, hp in hyperparameters.items()
        if _active(hp, values)
    }


def _epochs(executions: list[dict[str, Any]]) -> float:
    return float(sum(len(_epoch_seconds(execution)) for execution in executions))


def _step_seconds(executions: list[dict[str, Any]]) -> dict[str, float]:
    """Returns seconds by step, of all executions together."""
    found: dict[str, float] = {}
    for execution in executions:
        for step, seconds in as_dict(execution.get("seconds")).items():
            if (spent := as_number(seconds)) >= 0:
                found[clean(step, 40)] = found.get(step, 0.0) + spent
    return found


def _kept_parts(features: object) -> tuple[str, ...]:
    """Returns the frozen parts whose features a trial was trained on."""
    parts = as_dict(features).get("parts")
    return tuple(clean(part, 200) for part in parts) if isinstance(parts, list) else ()


def _fidelity(
    values: dict[str, Any], result: dict[str, Any], executions: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns what a trial continued, and how far; Keras Tuner keeps this among the values."""
    origin = values.get("tuner/trial_id")
    planned = as_number(values.get("tuner/epochs", dig(result, "asked", "epochs")))
    first = as_number(result.get("initial_epoch", values.get("tuner/initial_epoch")))
    first = 0.0 if math.isnan(first) else first
    lengths = [len(_epoch_seconds(e)) for e in executions]
    return {
        "origin": None if origin is None else clean(str(origin), 40),
        "initial_epoch": first,
        "planned_epochs": planned,
        "total_epochs": first + max(lengths, default=0) if "executions" in result else planned,
    }


def _metrics(trial: Trial, names: Sequence[str]) -> dict[str, float]:
    return {name: as_number(dig(trial[2], "objectives", name)) for name in names}


def value_of(hp: dict[str, Any], value: object) -> Any:
    """Returns a hyperparameter's value; missing where a number is expected and there is none."""
    if hp.get("kind") in ("Int", "Float"):
        found = as_number(value)
        return None if math.isnan(found) else found
    return scalar(value)


def _optional(value: object, limit: int) -> str | None:
    return None if value is None else clean(value if isinstance(value, str) else str(value), limit)


def _attempts(value: object) -> float:
    return float(len(value)) if isinstance(value, list) else as_number(value)


def _active(hp: dict[str, Any], values: dict[str, Any]) -> bool:
    return not hp["conditions"] or all(
        values.get(str(c.get("name"))) in c["values"]
        for c in hp["conditions"]
        if isinstance(c.get("values"), list)
    )


def _epoch_seconds(execution: dict[str, Any]) -> list[Any]:
    seconds = execution.get("epoch_seconds")
    return seconds if isinstance(seconds, list) else []


def epochs_frame(states: list[Trial]) -> "pd.DataFrame":
    """Returns one row an epoch of an execution; see `Study.epochs`."""
    import pandas as pd

    parts: dict[str, list[Any]] = {name: [] for name in _EPOCH_FIELDS}
    length = 0
    for trial_id, _, result in states:
        first = as_number(result.get("initial_epoch"))
        first = 1 if math.isnan(first) else int(first) + 1
        for index, execution in enumerate(dicts(result.get("executions"))):
            seconds = _epoch_seconds(execution)
            count = len(seconds)
            parts["trial_id"] += [trial_id] * count
            parts["execution"] += [index] * count
            parts["epoch"] += range(first, first + count)
            parts["seconds"] += map(as_number, seconds)
            filled = {*_EPOCH_FIELDS}
            for metric, values in as_dict(execution.get("history")).items():
                if isinstance(values, list):
                    name = clean(metric, 60)
                    while name in filled:
                        name += " (metric)"
                    filled.add(name)
                    column = parts.setdefault(name, [])
                    column += [math.nan] * (length - len(column))
                    column += [as_number(v) for v in values[:count]]
            length += count
    for column in parts.values():
        column += [math.nan] * (length - len(column))
    return pd.DataFrame(parts)
