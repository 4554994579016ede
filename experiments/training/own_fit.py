"""Trains a trial of a user's own model: `HyperModel.fit`, a custom loop, or any function of values.

What was trained is known from two sides: the callback that is given to `fit`, and what `run_trial`
returns. Both become the executions of a `TrialResult`.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from experiments.record.errors import named_line
from experiments.record.objective import Objective
from experiments.training.fit_attempt import (
    FitAttempt,
    SuspendedError,
)
from experiments.training.replay import NotContinuedError, NotReplayedError
from experiments.training.run import classify, unreported
from experiments.training.task import (
    STOPPING,
    Execution,
    NotANumberError,
    StoppedError,
    TrialResult,
    append,
    is_scalar,
)


class FitResult(TrialResult):
    """The result of a trial whose training is the user's own."""

    # Not recorded: the trial's hyperparameters, those declared while it ran among them.
    found = None


def run_fit(attempt: FitAttempt, run_trial: Callable[[], Any]) -> FitResult:
    """Runs a trial; the result records failures.

    Args:
        attempt: Its recorders.
        run_trial: Runs it; returns what Keras Tuner's `run_trial` may return: a number, a
            dictionary of metrics, a `History`, or a list of them.

    Raises:
        FatalError: The model-building function or its results can't be used by any trial.
    """
    result = FitResult(initial_epoch=attempt.task.initial_epoch)
    attempts_left = attempt.task.retries + 1
    while attempts_left:
        result.cause = result.message = result.traceback = None  # of the attempt before
        result.executions = []
        try:
            result.executions = _trained(attempt, run_trial)
            if _checked(result, attempt).cause != "nan":
                return result
            # With its own seeds it would only repeat.
            attempt.begin_again(seeds=tuple(seed + 1 for seed in attempt.task.seeds))
            attempts_left -= 1
        except SuspendedError:
            result.status = "paused"
            return result
        except NotReplayedError:
            attempt.begin_again()
        except NotContinuedError:
            attempt.begin_again(origin=None, initial_epoch=0)
            result.initial_epoch = 0
        except keras_tuner.errors.FatalError:
            raise
        except (Exception, SystemExit) as error:  # any error of a model fails this trial only
            _fail(result, error)
            is_final = isinstance(error, keras_tuner.errors.FailedTrialError)
            if is_final or result.cause in STOPPING:  # its snapshots stay
                return result
            attempt.begin_again()
            attempts_left -= 1
    return result


def _trained(attempt: FitAttempt, run_trial: Callable[[], Any]) -> list[Execution]:
    began = time.perf_counter()
    try:
        returned = run_trial()
    except StoppedError:
        return [_recorded(attempt, number) for number in range(len(attempt.recorders))]
    results = returned if isinstance(returned, list) else [returned]
    seconds = (time.perf_counter() - began) / max(len(results), 1)
    return list(_executions(attempt, results, seconds))


def _checked(result: FitResult, attempt: FitAttempt) -> FitResult:
    stopped = any(recorder.was_stopped for recorder in attempt.recorders)
    result.status = "pruned" if stopped else "completed"
    scores = [e.score for e in result.executions]
    if None in scores:
        _fail(result, _unscored(result.executions[scores.index(None)], attempt.task.objective.name))
        return result
    for name in attempt.task.further:
        lacking = [e for e in result.executions if name not in e.history]
        if lacking:
            _fail(result, _unscored(lacking[0], name))
            return result
    attempt.keep(result)
    return result


def _unscored(execution: Execution, name: str) -> Exception:
    """Returns why a training has no score: its objective was never finite, or never reported."""
    if name in execution.history:
        return NotANumberError(f"{name} is not finite in any epoch")
    return unreported(name, execution)


def _fail(result: TrialResult, error: BaseException) -> None:
    result.status, result.cause = "failed", classify(error)
    result.message = named_line(error)
    result.traceback = "".join(traceback.format_exception(error))


def _executions(attempt: FitAttempt, results: Sequence[Any], seconds: float) -> Iterator[Execution]:
    """Yields an execution for each result."""
    objective = attempt.task.objective
    for number, (result, spent_on, several) in enumerate(_single(results, seconds)):
        if number < len(attempt.recorders):
            recorded = _recorded(attempt, number)
            if _is_of(recorded, result, several, objective):
                yield _completed(recorded, _history(result, objective))
                continue
        history = {name: list(values) for name, values in _history(result, objective).items()}
        count = len(next(iter(history.values()), []))
        spent = [spent_on / count] * count if count else []
        yield _scored(Execution(attempt.seed(number), history, epoch_seconds=spent), objective)


def _single(
    results: Sequence[Any], seconds: float, several: bool = False
) -> Iterator[tuple[Any, float, bool]]:
    """Yields each result, its seconds, and whether its `HyperModel.fit` trained several times."""
    for result in results:
        if isinstance(result, list):
            yield from _single(result, seconds / max(len(result), 1), len(result) > 1)
        else:
            yield result, seconds, several


def _is_of(recorded: Execution, result: Any, several: bool, objective: Objective) -> bool:
    """Whether the training of a result is what was recorded, and not one of several in it."""
    if isinstance(result, keras.callbacks.History):
        told = _measured(_history(result, objective), objective)
        known = _measured(recorded.history, objective)
        if recorded.score in told:  # it may be the last of several calls of `fit`
            known = known[-len(told) :]
        return bool(recorded.history) and told == known
    if several or recorded.score is None:
        return False
    return math.isclose(_value_of(result, objective), recorded.score, rel_tol=1e-6)


def _measured(history: Mapping[str, Sequence[float]], objective: Objective) -> list[float]:
    """Returns what was measured of the objective: a `History` leaves out what is a gap here."""
    return [value for value in history.get(objective.name, ()) if math.isfinite(value)]


def _completed(recorded: Execution, told: Mapping[str, Sequence[float]]) -> Execution:
    """Adds metrics that callbacks were not told; those of a dictionary are of the best epoch."""
    count = len(recorded.epoch_seconds)
    for name, values in told.items():
        if name not in recorded.history:
            first = recorded.best_epoch if len(values) < count else 0
            known = dict(enumerate(values, first))
            recorded.history[name] = [known.get(epoch, math.nan) for epoch in range(count)]
    return recorded


def _recorded(attempt: FitAttempt, number: int) -> Execution:
    execution = attempt.recorders[number].execution
    execution.seconds["fit"] = sum(execution.epoch_seconds)
    return _scored(execution, attempt.task.objective)


def _scored(execution: Execution, objective: Objective) -> Execution:
    values = np.array(execution.history.get(objective.name, []), dtype=float)
    if np.isfinite(values).any():
        worst = -math.inf if objective.direction == "max" else math.inf
        known = np.where(np.isfinite(values), values, worst)
        best = int(known.argmax() if objective.direction == "max" else known.argmin())
        execution.best_epoch, execution.score = best, float(values[best])
    return execution


def _history(result: Any, objective: Objective) -> dict[str, list[float]]:
    """Returns every metric of a result that no callback recorded, one value per epoch."""
    if isinstance(result, keras.callbacks.History):
        found: dict[str, list[float]] = {}
        for epoch in range(max(map(len, result.history.values()), default=0)):
            metrics = {n: v[epoch] for n, v in result.history.items() if epoch < len(v)}
            append(found, {n: float(v) for n, v in metrics.items() if is_scalar(v)}, epoch + 1)
        return found
    if isinstance(result, Mapping):
        return {str(name): [float(v)] for name, v in result.items() if is_scalar(v)}
    return {objective.name: [float(result)]}


def _value_of(result: Any, objective: Objective) -> float:
    value: Any = result.get(objective.name) if isinstance(result, Mapping) else result
    return float(value) if is_scalar(value) else math.nan
