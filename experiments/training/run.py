"""Runs one trial: plain data in, plain data out, and a report of every epoch.

`run_trial` does not depend on its caller, so one implementation serves every executor.
"""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from experiments.data.prepare import MissingDataError, PreparedData
from experiments.record.errors import named_line
from experiments.record.files import atomic, is_disk_full
from experiments.record.formatting import listed
from experiments.record.objective import COSTS, LATENCY
from experiments.training.task import (
    Answer,
    BuildError,
    Execution,
    NotANumberError,
    Note,
    Report,
    TrialResult,
    TrialTask,
)
from experiments.training.weights import save_weights

if TYPE_CHECKING:
    import keras


def run_trial(task: TrialTask, report: Report, note: Note | None = None) -> TrialResult:
    """Trains the model of `task` once per seed; the result records failures.

    Args:
        task: What to train.
        report: Receives every epoch; returns whether to continue.
        note: Receives the progress of computing features: what, images done, images in all.
    """
    result = TrialResult()
    try:
        _run_executions(task, result, report, note)
    except (Exception, SystemExit) as error:  # any error of a model fails this trial only
        result.status, result.cause = "failed", classify(error)
        result.message = named_line(error)
        result.traceback = traceback.format_exc()
    return result


def _run_executions(
    task: TrialTask, result: TrialResult, report: Report, note: Note | None
) -> None:
    from experiments.process.numerics import numerics
    from experiments.training.snapshot import SnapshotStore
    from experiments.training.task import timed
    from experiments.training.train import train

    result.numerics = numerics()
    best: float | None = None
    for index, seed in enumerate(task.seeds):
        snapshots = SnapshotStore(task, index, seed)
        trained = train(
            task,
            snapshots,
            lambda e, m, i=index: report(i, e, m),  # type: ignore[misc]
            note,
            result.executions,
        )
        model, execution = trained.model, trained.execution
        result.features, result.initial_epoch = trained.features, trained.initial_epoch
        result.feature_seconds = trained.feature_seconds
        count_parameters(model, result)
        _check_further(task.further, execution, result)
        if trained.answer == Answer.PAUSE:
            result.status = "paused"
            return
        if trained.answer == Answer.STOP:
            result.status = "pruned"
        if LATENCY in task.further and index == len(task.seeds) - 1:
            with timed(execution, "latency"):
                measure_latency(model, task.data, result)
        if execution.score is None:
            raise unreported(task.objective.name, execution)
        if task.keeps(execution.score, best, stopped=trained.answer == Answer.STOP):
            best = execution.score
            with timed(execution, "save"), atomic(Path(str(task.checkpoint))) as temporary:
                save_weights(model, temporary)


def _check_further(names: Sequence[str], execution: Execution, result: TrialResult) -> None:
    """Checks that a training has each further objective; any network has parameters and latency.

    Raises:
        ValueError: One of them is missing.
    """
    if "flops" in names and result.flops is None:
        raise ValueError("flops of this network can't be counted")
    for name in names:
        if name not in COSTS and name not in execution.history:
            raise unreported(name, execution)


def unreported(name: str, execution: Execution) -> ValueError:
    """Returns the error of a training that did not report a metric."""
    there = listed(sorted(execution.history)) or "none"
    return ValueError(
        f"{name} was not reported: compile the model with that metric; there are {there}"
    )


def classify(error: BaseException) -> str:
    """Names the cause of a failure."""
    if isinstance(error, NotANumberError):
        return "nan"
    if isinstance(error, BuildError) and error.__cause__ is not None:
        deeper = classify(error.__cause__)
        return deeper if deeper == "out_of_memory" else "build"
    if is_disk_full(error):
        return "disk_full"
    if isinstance(error, MissingDataError):
        return "data_missing"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out_of_memory"
    return "build" if isinstance(error, BuildError) else "error"


def count_parameters(model: "keras.Model", result: TrialResult) -> None:
    """Records the number of trained and frozen weights, and the operations of one image."""
    from experiments.training.costs import flops

    count_weights(model, result)
    result.flops = flops(model)


def count_weights(model: "keras.Model", result: TrialResult) -> None:
    """Records the number of trained and frozen weights."""
    result.trainable_parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    result.frozen_parameters = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)


def measure_latency(model: "keras.Model", data: PreparedData, result: TrialResult) -> None:
    """Records the latency of one image, measured in this process."""
    from experiments.training.costs import latency

    measured = latency(model, np.asarray(data.open("validation").images[0]))
    result.latency_ms = measured.median
    result.latency_low_ms, result.latency_high_ms = measured.low, measured.high
