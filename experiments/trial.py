"""One trial: plain data in, plain data out, and a report of every epoch on the way.

`run_trial` knows nothing of who called it, so one implementation serves every executor.
"""

import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data import MissingDataError, PreparedData
from experiments.executors.base import Answer
from experiments.record.files import atomic, check_room, is_disk_full
from experiments.record.objective import LATENCY, Objective

# Called with (execution, epoch from 0, metrics); answers with an `Answer`, 0 for going on.
Report = Callable[[int, int, dict[str, float]], int]
# Called with (what is computed, images done, images in all).
Note = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrialTask:
    """What a trial is asked to do; plain data only.

    Args:
        space: Name of the search space.
        settings: Settings of the space.
        hyperparameters: Config of the `HyperParameters`, with their values.
        data: The prepared dataset.
        objective: What decides the best epoch.
        epochs: Epochs to reach.
        seeds: One training a seed.
        patience: Epochs without improvement before a training stops; never if `None`.
        counts_before: Whether these epochs are counted across a promotion; older trials counted
            from it.
        snapshots: Folder of the trial's own snapshots, which an interrupted attempt goes on from;
            none are kept if `None`.
        start_snapshots: Folder of another trial's snapshots, to go on from, or `None`.
        keep_snapshots: Whether the state after the last epoch is wanted by a later trial.
        checkpoint: Where the best epoch's weights go, or `None`.
        checkpoint_above: Score that a trial must beat for its checkpoint to be written; written in
            any case if `None`.
        cache_dir: Where features of frozen parts are kept; nowhere if `None`.
        further: Names of the search's further objectives, metrics and costs.
    """

    space: str
    settings: dict[str, Any]
    hyperparameters: dict[str, Any]
    data: PreparedData
    objective: Objective
    epochs: int
    seeds: tuple[int, ...]
    patience: int | None = None
    snapshots: str | None = None
    start_snapshots: str | None = None
    keep_snapshots: bool = False
    checkpoint: str | None = None
    checkpoint_above: float | None = None
    cache_dir: str | None = None
    further: tuple[str, ...] = ()
    counts_before: bool = True

    def keeps(self, score: float, best: float | None) -> bool:
        """Whether a training with `score` is to be kept, after one with `best`."""
        return (
            self.checkpoint is not None
            and self.objective.better(score, best)
            and self.objective.better(score, self.checkpoint_above)
        )


@dataclass
class Execution:
    """One training of a trial.

    Args:
        seed: Its seed.
        history: Every metric, one value an epoch.
        best_epoch: Index into `history` of the best epoch by the objective.
        score: The objective at that epoch.
        seconds: Seconds by phase: `clear` (what the training before left), `build`, `features`
            (opening or computing them), `trace`, `fit`, of which `evaluate` was spent on
            validation, `latency` (where it is an objective) and `save`.
        epoch_seconds: Seconds of each epoch.
    """

    seed: int
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    score: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)


@dataclass
class TrialResult:
    """What happened in a trial.

    Args:
        status: `completed`, `failed`, `pruned` (told to stop) or `paused` (told to make way).
        executions: One a seed, as far as they went.
        trainable_parameters: Number of weights that training changes at its end.
        frozen_parameters: Number of all other weights.
        flops: Floating-point operations of one image, see `costs.flops`.
        latency_ms: Median milliseconds of one image, alone in its batch, where that is an
            objective; measured as `costs.latency` does, by the process that ran the trial.
        latency_low_ms: One call in ten was quicker.
        latency_high_ms: Nine calls in ten were quicker.
        cause: On failure: `nan`, `build`, `out_of_memory`, `disk_full`, `data_missing`,
            `worker_lost` or `error`.
        message: On failure: what happened in one line.
        traceback: On failure: where.
        initial_epoch: Epoch that the histories begin at.
        features: `cached`: whether it was trained on kept features; `parts` they are of, or `why`
            not.
        numerics: What decides its numbers beside seeds, see `numerics.numerics`.
    """

    status: str = "completed"
    executions: list[Execution] = field(default_factory=list)
    trainable_parameters: int | None = None
    frozen_parameters: int | None = None
    flops: int | None = None
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    cause: str | None = None
    message: str | None = None
    traceback: str | None = None
    initial_epoch: int = 0
    features: dict[str, Any] = field(default_factory=dict)
    numerics: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain data that JSON can hold."""
        return asdict(self)


class NotANumberError(ArithmeticError):
    """The loss or the objective is no number any more."""


class BuildError(RuntimeError):
    """The hyperparameters describe no model that can be built."""


def run_trial(task: TrialTask, report: Report, note: Note | None = None) -> TrialResult:
    """Trains the model of `task` once a seed; failures come back in the result.

    Args:
        task: What to train.
        report: Told of every epoch; answers how to go on.
        note: Told of the progress of computing features: what, images done, images in all.
    """
    result = TrialResult()
    try:
        _run_executions(task, result, report, note)
    except (Exception, SystemExit) as error:  # whatever a model can raise costs this trial alone
        result.status, result.cause = "failed", classify(error)
        lines = str(error).strip().splitlines()
        result.message = f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
        result.traceback = traceback.format_exc()
    return result


def _run_executions(
    task: TrialTask, result: TrialResult, report: Report, note: Note | None
) -> None:
    from experiments.numerics import numerics
    from experiments.snapshot import Keeper
    from experiments.training import timed, train

    result.numerics = numerics()
    best: float | None = None
    for index, seed in enumerate(task.seeds):
        keeper = Keeper(task, index, seed)
        trained = train(
            task,
            keeper,
            lambda e, m, i=index: report(i, e, m),  # type: ignore[misc]
            note,
            result.executions,
        )
        model, execution = trained.model, trained.execution
        result.features, result.initial_epoch = trained.features, trained.initial_epoch
        count_parameters(model, result)
        if trained.answer == Answer.PAUSE:
            result.status = "paused"
            return
        if trained.answer == Answer.STOP:
            result.status = "pruned"
        if LATENCY in task.further and index == len(task.seeds) - 1:
            with timed(execution, "latency"):
                measure_latency(model, task.data, result)
        assert execution.score is not None
        if task.keeps(execution.score, best):
            best = execution.score
            with timed(execution, "save"), atomic(Path(str(task.checkpoint))) as temporary:
                save_weights(model, temporary)


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


def save_weights(model: Any, path: Path) -> None:
    """Writes weights over the temporary file at `path`, which Keras wants to name `.weights.h5`."""
    from experiments.training import without_optimizer

    check_room(path.parent, room_for(model))
    written = path.with_suffix(".weights.h5")
    without_optimizer(model).save_weights(written, overwrite=True)
    written.replace(path)


def room_for(model: Any) -> float:
    """Returns the bytes that a file of the model's and its optimizer's variables takes at most."""
    variables = [*model.variables, *(model.optimizer.variables if model.optimizer else ())]
    content = sum(int(np.prod(v.shape)) * 8 for v in variables)
    return 1.2 * content + 4096 * len(variables) + 2**18


def count_parameters(model: Any, result: TrialResult) -> None:
    """Notes how many weights train, how many are frozen, and what an image costs."""
    from experiments.costs import flops

    result.trainable_parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    result.frozen_parameters = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    result.flops = flops(model)


def measure_latency(model: Any, data: PreparedData, result: TrialResult) -> None:
    """Notes how long one image takes, here and now."""
    from experiments.costs import latency

    measured = latency(model, np.asarray(data.open("validation").images[0]))
    result.latency_ms = measured.median
    result.latency_low_ms, result.latency_high_ms = measured.low, measured.high
