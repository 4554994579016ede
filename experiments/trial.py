"""One trial: plain data in, plain data out, and a report of every epoch on the way.

`run_trial` knows nothing of who called it, so one implementation serves every executor.
"""

import copy
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.data import PreparedData
from experiments.files import atomic
from experiments.objective import Objective

# Called with (execution, epoch from 0, metrics); answers whether to stop the trial.
Report = Callable[[int, int, dict[str, float]], bool]


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
        initial_epoch: Epochs done before, by the trial whose weights are in `start_weights`.
        start_weights: Weights to go on from, or `None`.
        checkpoint: Where the best epoch's weights go, or `None`.
    """

    space: str
    settings: dict[str, Any]
    hyperparameters: dict[str, Any]
    data: PreparedData
    objective: Objective
    epochs: int
    seeds: tuple[int, ...]
    patience: int | None = None
    initial_epoch: int = 0
    start_weights: str | None = None
    checkpoint: str | None = None


@dataclass
class Execution:
    """One training of a trial.

    Args:
        seed: Its seed.
        history: Every metric, one value an epoch.
        best_epoch: Index into `history` of the best epoch by the objective.
        score: The objective at that epoch.
        seconds: Seconds by phase: `build`, `fit`.
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
        status: `completed` or `failed`.
        executions: One a seed, as far as they went.
        trainable_parameters: Number of weights that training changes at its end.
        frozen_parameters: Number of all other weights.
        cause: On failure: `nan`, `build`, `out_of_memory` or `error`.
        message: On failure: what happened in one line.
        traceback: On failure: where.
        initial_epoch: Epoch that the histories begin at.
    """

    status: str = "completed"
    executions: list[Execution] = field(default_factory=list)
    trainable_parameters: int | None = None
    frozen_parameters: int | None = None
    cause: str | None = None
    message: str | None = None
    traceback: str | None = None
    initial_epoch: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Returns plain data that JSON can hold."""
        return asdict(self)


class NotANumberError(ArithmeticError):
    """The loss or the objective is no number any more."""


class BuildError(RuntimeError):
    """The hyperparameters describe no model that can be built."""


def derive_seed(*parts: int) -> int:
    """Derives a seed of 31 bits from the study's seed, the trial's number and the like."""
    return int(np.random.SeedSequence(list(parts)).generate_state(1)[0] >> 1)


def run_trial(task: TrialTask, report: Report) -> TrialResult:
    """Trains the model of `task` once a seed; failures come back in the result."""
    result = TrialResult(initial_epoch=task.initial_epoch)
    best: float | None = None
    try:
        for index, seed in enumerate(task.seeds):
            execution = Execution(seed)
            result.executions.append(execution)
            model = train(task, execution, lambda e, m, i=index: report(i, e, m))  # type: ignore[misc]
            count_parameters(model, result)
            assert execution.score is not None
            if task.checkpoint and task.objective.better(execution.score, best):
                best = execution.score
                with atomic(Path(task.checkpoint)) as temporary:
                    save_weights(model, temporary)
    except Exception as error:  # whatever a model can raise costs this trial alone
        result.status, result.cause = "failed", classify(error)
        lines = str(error).strip().splitlines()
        result.message = f"{type(error).__name__}: {lines[0][:300] if lines else ''}"
        result.traceback = traceback.format_exc()
    return result


def classify(error: BaseException) -> str:
    """Names the cause of a failure."""
    if isinstance(error, NotANumberError):
        return "nan"
    if isinstance(error, BuildError) and error.__cause__ is not None:
        deeper = classify(error.__cause__)
        return deeper if deeper == "out_of_memory" else "build"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out_of_memory"
    return "build" if isinstance(error, BuildError) else "error"


def save_weights(model: Any, path: Path) -> None:
    """Writes weights over the temporary file at `path`, which Keras wants to name `.weights.h5`."""
    written = path.with_suffix(".weights.h5")
    _weights_of(model).save_weights(written, overwrite=True)
    written.replace(path)


def _weights_of(model: Any) -> Any:
    """Returns `model` without its optimizer, whose state is neither kept nor looked for."""
    import keras

    return keras.Model(model.inputs, model.outputs)


def build_model(task: TrialTask) -> tuple[Any, Any, Any]:
    """Builds the space, the hyperparameters and the model of `task`."""
    import keras
    import keras_tuner

    from search_spaces import space_class

    keras.backend.clear_session()
    space = space_class(task.space)(task.data.shape, len(task.data.class_names), **task.settings)
    space.report(task.objective.name.removeprefix("val_"))
    # A copy: Keras Tuner deserializes conditions in place.
    hp = keras_tuner.HyperParameters.from_config(copy.deepcopy(task.hyperparameters))
    try:
        model = space.build(hp)
    except Exception as error:
        raise BuildError(f"{type(error).__name__}: {error}") from error
    if task.start_weights is not None:
        _weights_of(model).load_weights(task.start_weights)
    return space, hp, model


def train(
    task: TrialTask, execution: Execution, report: Callable[[int, dict[str, float]], bool]
) -> Any:
    """Trains one model, leaves its best epoch's weights in it and fills `execution`."""
    import keras

    from experiments.callbacks import EpochRecorder
    from experiments.feed import dataset_of

    keras.utils.set_random_seed(execution.seed)
    started = time.perf_counter()
    space, hp, model = build_model(task)
    execution.seconds["build"] = time.perf_counter() - started
    recorder = EpochRecorder(task.objective, execution, report)
    callbacks: list[Any] = [recorder]
    if task.patience is not None:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=task.objective.name,
                mode=task.objective.direction,
                patience=task.patience,
            )
        )
    started = time.perf_counter()
    size = space.batch_size(hp)
    space.fit(
        hp,
        model,
        dataset_of(task.data.open("train"), size, shuffle_seed=execution.seed),
        validation_data=dataset_of(task.data.open("validation"), max(size, 64)),
        epochs=task.epochs,
        initial_epoch=task.initial_epoch,
        callbacks=callbacks,
        shuffle=False,  # the dataset shuffles itself
        verbose=0,
    )
    recorder.restore_best()
    execution.seconds["fit"] = time.perf_counter() - started
    return model


def count_parameters(model: Any, result: TrialResult) -> None:
    """Notes how many weights train and how many are frozen."""
    result.trainable_parameters = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    result.frozen_parameters = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
