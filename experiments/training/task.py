"""What a trial is asked to do, and what comes of it: plain data."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from experiments.data.prepare import PreparedData
from experiments.record.objective import Objective


class Answer(IntEnum):
    """What the driver answers to the report of an epoch; anything but `GO` ends the training."""

    GO = 0
    STOP = 1  # the trial ends here, with what it has
    PAUSE = 2  # the trial is left as it is, to be gone on with later


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

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "TrialResult":
        """Reads a record; what it does not know is left out."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        executions = [Execution(**execution) for execution in record["executions"]]
        return cls(**(known | {"executions": executions}))


class NotANumberError(ArithmeticError):
    """The loss or the objective is no number any more."""


class BuildError(RuntimeError):
    """The hyperparameters describe no model that can be built."""


@contextmanager
def timed(execution: Execution, phase: str) -> Iterator[None]:
    """Adds the seconds spent to `execution.seconds[phase]`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - started
        execution.seconds[phase] = execution.seconds.get(phase, 0.0) + spent
