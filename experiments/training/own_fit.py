"""Trains a trial of a user's own model: `HyperModel.fit`, a custom loop, or any function of values.

What was trained is known from two sides: the callback that is given to `fit`, and what `run_trial`
returns. Both become the executions of a `TrialResult`.
"""

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

import keras
import keras_tuner
import numpy as np

from experiments.record.errors import named_line
from experiments.record.files import atomic
from experiments.record.formatting import listed
from experiments.record.layout import TrialFolder
from experiments.record.objective import Objective
from experiments.training.run import classify, count_weights
from experiments.training.snapshot import Arrays
from experiments.training.task import (
    Answer,
    Execution,
    FitTask,
    NotANumberError,
    Report,
    TrialResult,
)
from experiments.training.weights import save_whole


class FitResult(TrialResult):
    """The result of a trial whose training is the user's own."""

    # Not recorded: the trial's hyperparameters, those declared while it ran among them.
    found = None


class _SuspendedError(BaseException):
    """The search was interrupted after an epoch; no `except Exception` of a model stops it."""


class _StoppedError(BaseException):
    """A training that was stopped early continued."""


class EpochRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports each epoch, keeps the best epoch's weights, and ends a training that is stopped.

    It needs no call but `on_epoch_end`, so it works in custom training loops.

    Args:
        task: The trial.
        execution: Number of the training, from 0.
        report: Receives every epoch that has the objective.
        best: The best score of the trial's trainings before.
    """

    def __init__(self, task: FitTask, execution: int, report: Report, best: float | None) -> None:
        super().__init__()
        self._task, self._execution, self._report = task, execution, report
        self.best_score = best
        self.best: Arrays | None = None  # weights after the best epoch
        self.was_stopped = False
        self.history: dict[str, list[float]] = {}
        self.epoch_seconds: list[float] = []
        self._last = time.perf_counter()

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock of the first epoch."""
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Records the epoch; `epoch` is not used: custom loops count as they like."""
        if self.was_stopped:
            raise _StoppedError
        now = time.perf_counter()
        self.epoch_seconds.append(now - self._last)
        self._last = now
        metrics = {name: float(v) for name, v in (logs or {}).items() if _is_scalar(v)}
        _append(self.history, metrics, len(self.epoch_seconds))
        value = metrics.get(self._task.objective.name)
        if value is None:
            return
        if self._is_kept(value):
            self.best_score, self.best = value, self.model.get_weights()
        number = self._task.initial_epoch + len(self.epoch_seconds) - 1
        answer = self._report(self._execution, number, metrics)
        if answer == Answer.PAUSE:
            raise _SuspendedError
        if answer == Answer.STOP:
            self.was_stopped = self.model.stop_training = True

    def _is_kept(self, value: float) -> bool:
        better, to_beat = self._task.objective.better, self._task.to_beat
        return math.isfinite(value) and better(value, self.best_score) and better(value, to_beat)


@dataclass
class FitAttempt:
    """One attempt at a trial: its recorders, one for each training that was begun.

    Args:
        task: The trial.
        report: Receives every epoch.
    """

    task: FitTask
    report: Report
    recorders: list[EpochRecorder] = field(default_factory=list)

    def recorder(self) -> EpochRecorder:
        """Returns the callback of the next training, and sets its seed."""
        keras.utils.set_random_seed(self.seed(len(self.recorders)) % 2**32)
        best = self.recorders[-1].best_score if self.recorders else None
        recorder = EpochRecorder(self.task, len(self.recorders), self.report, best)
        self.recorders.append(recorder)
        return recorder

    def seed(self, execution: int) -> int:
        """Returns the seed of a training; trainings beyond those planned share the last one."""
        return self.task.seeds[min(execution, len(self.task.seeds) - 1)]

    def continued(self, model: keras.Model) -> keras.Model:
        """Sets a model to where the training that it continues ended."""
        if self.task.origin is None:
            return model
        with np.load(TrialFolder(self.task.origin).snapshot(0)) as state:
            arrays = {name: state[name] for name in state.files}
        count = len(model.get_weights())
        model.set_weights([arrays[f"weights_{n}"] for n in range(count)])
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None and "optimizer_0" in arrays:
            optimizer.build(model.trainable_variables)
            for number, variable in enumerate(optimizer.variables):
                variable.assign(arrays[f"optimizer_{number}"])
        return model

    def keep(self, result: TrialResult) -> None:
        """Writes the best epoch's weights, and the state that a later trial may continue."""
        begun = [r for r in self.recorders if r.model is not None]
        if not begun:
            return
        model, folder = begun[-1].model, TrialFolder(self.task.folder)
        count_weights(model, result)
        if self.task.keeps_state:
            self._write_state(model, folder)
        best = [r.best for r in begun if r.best is not None]
        if best:
            model.set_weights(best[-1])
        elif any(self.task.objective.name in r.history for r in begun):
            return  # another trial's weights are better
        with atomic(folder.checkpoint) as temporary:
            save_whole(model, temporary)

    def _write_state(self, model: keras.Model, folder: TrialFolder) -> None:
        arrays = {f"weights_{n}": value for n, value in enumerate(model.get_weights())}
        optimizer = getattr(model, "optimizer", None)
        variables = [] if optimizer is None else optimizer.variables
        arrays |= {f"optimizer_{n}": np.asarray(v) for n, v in enumerate(variables)}
        with atomic(folder.snapshot(0)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)


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
    for _ in range(attempt.task.retries + 1):
        attempt.recorders.clear()
        began = time.perf_counter()
        try:
            returned = run_trial()
            results = returned if isinstance(returned, list) else [returned]
            seconds = (time.perf_counter() - began) / max(len(results), 1)
            result.executions = list(_executions(attempt, results, seconds))
        except _SuspendedError:
            result.status = "paused"
            return result
        except _StoppedError:
            result.executions = [_recorded(attempt, n) for n in range(len(attempt.recorders))]
        except keras_tuner.errors.FatalError:
            raise
        except (Exception, SystemExit) as error:  # any error of a model fails this trial only
            _fail(result, error)
            if isinstance(error, keras_tuner.errors.FailedTrialError):
                return result
            continue
        return _checked(result, attempt)
    return result


def _checked(result: FitResult, attempt: FitAttempt) -> FitResult:
    stopped = any(recorder.was_stopped for recorder in attempt.recorders)
    result.status, result.cause = "pruned" if stopped else "completed", None
    result.message = result.traceback = None
    scores = [e.score for e in result.executions]
    if None in scores:
        _fail(result, _unscored(result.executions[scores.index(None)], attempt.task.objective.name))
        return result
    attempt.keep(result)
    return result


def _unscored(execution: Execution, name: str) -> Exception:
    """Returns why a training has no score: its objective was never finite, or never reported."""
    if name in execution.history:
        return NotANumberError(f"{name} is not finite in any epoch")
    there = listed(sorted(execution.history)) or "none"
    return ValueError(
        f"{name} was not reported: compile the model with that metric; there are {there}"
    )


def _fail(result: TrialResult, error: BaseException) -> None:
    result.status, result.cause = "failed", classify(error)
    result.message = named_line(error)
    result.traceback = traceback.format_exc()


def _executions(attempt: FitAttempt, results: Sequence[Any], seconds: float) -> Iterator[Execution]:
    """Yields an execution for each result."""
    objective = attempt.task.objective
    for number, result in enumerate(results):
        if isinstance(result, list):  # of a `HyperModel.fit` that trains several times
            yield from _executions(attempt, result, seconds / max(len(result), 1))
            continue
        if number < len(attempt.recorders):
            recorded = _recorded(attempt, number)
            told = _value_of(result, objective)
            is_same = recorded.score is not None and math.isclose(
                told, recorded.score, rel_tol=1e-6
            )
            if isinstance(result, keras.callbacks.History) or is_same:
                yield recorded
                continue
        history = {name: list(values) for name, values in _history(result, objective).items()}
        count = len(next(iter(history.values()), []))
        spent = [seconds / count] * count if count else []
        yield _scored(Execution(attempt.seed(number), history, epoch_seconds=spent), objective)


def _recorded(attempt: FitAttempt, number: int) -> Execution:
    recorder = attempt.recorders[number]
    execution = Execution(
        attempt.seed(number), recorder.history, epoch_seconds=recorder.epoch_seconds
    )
    execution.seconds["fit"] = sum(recorder.epoch_seconds)
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
            _append(found, {n: float(v) for n, v in metrics.items() if _is_scalar(v)}, epoch + 1)
        return found
    if isinstance(result, Mapping):
        return {str(name): [float(v)] for name, v in result.items() if _is_scalar(v)}
    return {objective.name: [float(result)]}


def _value_of(result: Any, objective: Objective) -> float:
    value: Any = result.get(objective.name) if isinstance(result, Mapping) else result
    return float(value) if _is_scalar(value) else math.nan


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Number) or (hasattr(value, "shape") and tuple(value.shape) == ())


def _append(history: dict[str, list[float]], metrics: Mapping[str, float], num_epochs: int) -> None:
    """Adds the metrics of an epoch; what is not measured in every epoch is `nan` in the others."""
    for name in {*history, *metrics}:
        values = history.setdefault(name, [])
        values += [math.nan] * (num_epochs - 1 - len(values))
        values.append(metrics.get(name, math.nan))
