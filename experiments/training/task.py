"""The task and the result of a trial, as plain data."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from numbers import Number
from pathlib import Path
from typing import Any

from experiments.data.prepare import MissingDataError, PreparedData
from experiments.record.objective import Objective


class Answer(IntEnum):
    """The driver's answer to the report of an epoch; anything but `GO` ends the training."""

    GO = 0
    STOP = 1  # the trial ends after this epoch
    PAUSE = 2  # the trial is suspended and may be resumed later


# Called with (execution, epoch from 0, metrics); returns an `Answer`, 0 to continue.
Report = Callable[[int, int, dict[str, float]], int]


# Called with (what is computed, images done, images in all).
Note = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrialTask:
    """The task of a trial, as plain data.

    Args:
        space: Name of the search space, or what names a user's own model.
        settings: Settings of the space.
        hyperparameters: Config of the `HyperParameters`, with their values.
        data: The prepared dataset.
        objective: Determines the best epoch.
        epochs: Epoch at which the training ends.
        seeds: One training per seed.
        patience: Epochs without improvement before a training stops; never if `None`.
        counts_before: Whether patience counts epochs across a promotion; older trials count from
            the promotion.
        snapshots: Folder of the trial's own snapshots, from which an interrupted attempt resumes;
            none are kept if `None`.
        start_snapshots: Folder of another trial's snapshots to continue from, or `None`.
        keep_snapshots: Whether the state after the last epoch is kept for a later trial.
        checkpoint: Path for the best epoch's weights, or `None`.
        checkpoint_above: Score that a trial must beat for its checkpoint to be written; always
            written if `None`.
        checkpoint_above_stopped: The same if it is stopped early.
        cache_dir: Cache folder for the features of frozen parts; not kept if `None`.
        further: Names of the search's further objectives, metrics and costs.
        class_weight: `balanced` if rare classes weigh more in the loss; `None` if all weigh the
            same.
        source: Text of the file of a user's own model; the file is read if `None`.
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
    checkpoint_above_stopped: float | None = None
    cache_dir: str | None = None
    further: tuple[str, ...] = ()
    counts_before: bool = True
    class_weight: str | None = None
    source: str | None = None

    def keeps(self, score: float, best: float | None, stopped: bool) -> bool:
        """Whether to keep the weights of a training.

        Args:
            score: Its score.
            best: Best score of the trial's trainings before it, if there was one.
            stopped: Whether the trial is stopped early.
        """
        above = self.checkpoint_above_stopped if stopped else self.checkpoint_above
        return (
            self.checkpoint is not None
            and self.objective.better(score, best)
            and self.objective.better(score, above)
        )


@dataclass(frozen=True)
class FitTask:
    """A trial whose training is the user's own.

    Args:
        trial_id: The trial.
        objective: Ranks its epochs.
        epochs: Epoch at which its training ends, as far as it is known.
        initial_epoch: Epoch at which it begins.
        seeds: One training per seed.
        folder: Its folder.
        origin: Folder of the trial whose training it continues, or `None`.
        to_beat: Score that its weights need to be kept; always kept if `None`.
        keeps_state: Whether a later trial may continue its training.
        retries: How often it is tried again after an error.
        trial: Its state, from which a worker process makes the trial.
        counts_before: As in `TrialTask`.
        further: Names of the search's further objectives, metrics that it reports too.
    """

    trial_id: str
    objective: Objective
    epochs: int
    initial_epoch: int
    seeds: tuple[int, ...]
    folder: Path
    origin: Path | None = None
    to_beat: float | None = None
    keeps_state: bool = False
    retries: int = 0
    trial: dict[str, Any] = field(default_factory=dict)
    counts_before: bool = True
    further: tuple[str, ...] = ()

    @property
    def snapshots(self) -> str:
        """As in `TrialTask`."""
        return str(self.folder)

    @property
    def start_snapshots(self) -> str | None:
        """As in `TrialTask`."""
        return None if self.origin is None else str(self.origin)

    @property
    def keep_snapshots(self) -> bool:
        """As in `TrialTask`."""
        return self.keeps_state


@dataclass
class Execution:
    """One training of a trial.

    Args:
        seed: Its seed.
        history: Every metric, one value per epoch; `nan` in epochs that did not measure it.
        best_epoch: Index into `history` of the best epoch by the objective.
        score: The objective at that epoch.
        seconds: Seconds by step: `clear` (freeing the previous training), `build`, `features`
            (opening or computing them), `trace`, `fit`, `evaluate` (validation, a part of `fit`),
            `latency` (if it is an objective) and `save`.
        epoch_seconds: Seconds of each epoch.
    """

    seed: int
    history: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0
    score: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    epoch_seconds: list[float] = field(default_factory=list)


def is_scalar(value: Any) -> bool:
    """Whether a value is one number."""
    return isinstance(value, Number) or (hasattr(value, "shape") and tuple(value.shape) == ())


def append(history: dict[str, list[float]], metrics: Mapping[str, float], num_epochs: int) -> None:
    """Adds the metrics of an epoch; what is not measured in every epoch is `nan` in the others."""
    for name in dict.fromkeys([*history, *metrics]):
        values = history.setdefault(name, [])
        values += [math.nan] * (num_epochs - 1 - len(values))
        values.append(metrics.get(name, math.nan))


@dataclass
class TrialResult:
    """The result of a trial.

    Args:
        status: `completed`, `failed`, `pruned` (told to stop) or `paused` (to be resumed).
        executions: One per seed, as far as they were trained.
        trainable_parameters: Number of trainable weights in the last phase.
        frozen_parameters: Number of all other weights.
        flops: Floating-point operations of one image, see `costs.flops`.
        latency_ms: Median milliseconds of one image, alone in its batch, if it is an objective;
            measured by `costs.latency` in the process that ran the trial.
        latency_low_ms: 10th percentile of the latency.
        latency_high_ms: 90th percentile of the latency.
        feature_seconds: Seconds that 1,000 images took through the frozen parts, one view of each,
            when their features were computed; `None` where they were not kept.
        cause: On failure: `nan`, `build`, `out_of_memory`, `disk_full`, `data_missing`,
            `worker_lost` or `error`.
        message: On failure: the error in one line.
        traceback: On failure: the traceback.
        initial_epoch: Epoch that the histories begin at.
        features: `cached`: whether it was trained on kept features; then `parts` names the frozen
            parts, else `why` says the reason.
        numerics: What determines its numbers besides seeds, see `numerics.numerics`.
    """

    status: str = "completed"
    executions: list[Execution] = field(default_factory=list)
    trainable_parameters: int | None = None
    frozen_parameters: int | None = None
    flops: int | None = None
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    latency_high_ms: float | None = None
    feature_seconds: float | None = None
    cause: str | None = None
    message: str | None = None
    traceback: str | None = None
    initial_epoch: int = 0
    features: dict[str, Any] = field(default_factory=dict)
    numerics: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The mean score over executions; `None` for a trial without one."""
        scores = [e.score for e in self.executions if e.score is not None]
        if self.status == "failed" or not scores:
            return None
        return sum(scores) / len(scores)

    def as_dict(self) -> dict[str, Any]:
        """Returns plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> "TrialResult":
        """Reads a record; unknown fields are ignored."""
        known = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        executions = [Execution(**execution) for execution in record["executions"]]
        return cls(**(known | {"executions": executions}))


class NotANumberError(ArithmeticError):
    """The loss or the objective is not finite."""


class StoppedError(BaseException):
    """A training went on that was told to end; no `except Exception` of a model stops it."""


class BuildError(RuntimeError):
    """The hyperparameters describe no model that can be built."""


class DiskFullError(OSError):
    """There is no room for the record; the search can be resumed once there is."""


# Causes that are not a property of the trial end the search, which can be resumed: cause -> error.
STOPPING: dict[str | None, type[OSError]] = {
    "disk_full": DiskFullError,
    "data_missing": MissingDataError,
}


@contextmanager
def timed(execution: Execution, phase: str) -> Iterator[None]:
    """Adds the seconds spent to `execution.seconds[phase]`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - started
        execution.seconds[phase] = execution.seconds.get(phase, 0.0) + spent
