"""One attempt at a trial whose training is the user's own: a callback records each training."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from experiments.record.files import atomic
from experiments.record.layout import TrialFolder
from experiments.training.replay import (
    NotContinuedError,
    Replay,
    build,
    drawn,
    is_finite,
    restore,
)
from experiments.training.run import count_weights
from experiments.training.snapshot import Arrays, Snapshot, SnapshotStore, UnfitError
from experiments.training.task import (
    Answer,
    Execution,
    FitTask,
    Report,
    StoppedError,
    TrialResult,
    is_scalar,
)
from experiments.training.weights import save_whole


class SuspendedError(BaseException):
    """The search was interrupted after an epoch; no `except Exception` of a model stops it."""


class EpochRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports each epoch, keeps the best epoch's weights, and ends a training that is stopped.

    It needs no call but `on_epoch_end`, so it works in custom training loops. It comes after all
    other callbacks.

    Args:
        task: The trial.
        index: Number of the training, from 0.
        seed: Its seed.
        report: Receives every epoch that has the objective.
        resumes: Whether an interrupted training goes on from its last epoch that was kept; else it
            begins again.
        is_keras: Whether the training is one call of Keras' own `fit`, whose end is known.
    """

    def __init__(
        self,
        task: FitTask,
        index: int,
        seed: int,
        report: Report,
        resumes: bool = False,
        is_keras: bool = False,
    ) -> None:
        super().__init__()
        self._is_keras = is_keras
        self._task, self._index, self._report, self._resumes = task, index, report, resumes
        self._store = SnapshotStore(task, index, seed)
        if not resumes:
            self._store.forget()
        found = self._store.resume_point([(task.initial_epoch, task.epochs)])
        own = found if found is not None and found is self._store.own else None
        self.replay = None if own is None else Replay(own)
        self._own = own
        self.best: Arrays | None = None  # weights after the best epoch
        self._best_model: keras.Model | None = None  # theirs, once there was one in this process
        self.was_stopped = False
        self._is_continued = task.origin is None
        self._last = time.perf_counter()
        if own is not None:
            self.best = own.best or None

    @property
    def execution(self) -> Execution:
        """The record of the training."""
        return self._store.execution

    @property
    def best_model(self) -> keras.Model:
        """The model of the best epoch: one `fit` may train several."""
        return self.model if self._best_model is None else self._best_model

    def continued(self, model: keras.Model) -> None:
        """Sets a model to where the trial that it continues ended.

        Raises:
            NotContinuedError: It left no state, or that of another network.
        """
        origin = self._store.origin
        for known in (self._own, origin):
            if known is not None:
                build(model, known.build)
        if self._is_continued:
            return
        if origin is None:
            raise NotContinuedError
        if model.built:
            try:
                restore(model, origin, or_afresh=True)
            except UnfitError:
                raise NotContinuedError from None
            self._is_continued = True

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the clock of the first epoch."""
        self.continued(self.model)
        if not self._is_continued:
            raise ValueError(
                f"the model can't continue {self._task.origin}: it is built only with its first "
                "batch; let it begin with keras.Input"
            )
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Records the epoch; `epoch` tells where Keras' own `fit` ends, and nothing else."""
        if self.was_stopped:
            raise StoppedError
        if self.replay is not None and self.replay.is_active:
            self._recall(self.replay, self._ends(epoch))
            return
        now = time.perf_counter()
        self.execution.epoch_seconds.append(now - self._last)
        self._last = now
        metrics = {name: float(v) for name, v in (logs or {}).items() if is_scalar(v)}
        self._store.add(metrics)
        value = metrics.get(self._task.objective.name)
        if value is None:
            return
        if math.isfinite(value) and self._task.objective.better(value, self.execution.score):
            self.execution.score, self.best = value, self.model.get_weights()
            self._best_model = self.model
            self.execution.best_epoch = len(self.execution.epoch_seconds) - 1
        answer = self._report(self._index, self._epochs - 1, metrics)
        if self._resumes and is_finite(metrics):
            self._keep_if_due(answer)
        self._obey(answer, self._ends(epoch))

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Keeps the state of a training that others of the same trial follow."""
        if self.replay is not None and self.replay.is_active:
            self.replay.end()
        if self._resumes and self._index + 1 < len(self._task.seeds) and not self.was_stopped:
            self.keep_state()

    @property
    def _epochs(self) -> int:
        """Finished epochs, with those of the trial that it continues."""
        return self._task.initial_epoch + len(self.execution.epoch_seconds)

    def _ends(self, epoch: int) -> bool:
        """Whether nothing of the trial is left to train after an epoch, as far as is known."""
        is_keras = self._is_keras and type(self.model).fit is keras.Model.fit
        if not is_keras or self._index + 1 < len(self._task.seeds):
            return False
        return bool(epoch + 1 >= self.params["epochs"] or self.model.stop_training)

    def _recall(self, replay: Replay, ends: bool) -> None:
        """Reports a replayed epoch, because the driver has lost it.

        The attempt was told to continue after every epoch but the last, whose answer may be lost.
        """
        metrics, epoch, is_last = replay.metrics, replay.epoch, replay.is_last
        replay.advance()
        self._last = time.perf_counter()
        if self._task.objective.name not in metrics:
            return
        answer = self._report(self._index, self._task.initial_epoch + epoch, metrics)
        decides = is_last and self._own is not None and not self._own.decided
        if answer == Answer.PAUSE or decides:
            self._obey(answer, ends)

    def _obey(self, answer: int, ends: bool) -> None:
        if answer == Answer.PAUSE and not ends:
            raise SuspendedError
        if answer == Answer.STOP:
            self.was_stopped = self.model.stop_training = True

    def _keep_if_due(self, answer: int) -> None:
        if answer == Answer.PAUSE or (answer == Answer.GO and self._store.is_due()):
            self._store.keep(self._snapshot(decided=answer == Answer.GO))

    def keep_state(self) -> None:
        """Writes the state of a training that has ended."""
        self._store.keep(self._snapshot(decided=True), ended=True)

    def _snapshot(self, decided: bool) -> Snapshot:
        optimizer = getattr(self.model, "optimizer", None)
        return Snapshot(
            execution=self.execution,
            initial_epoch=self._task.initial_epoch,
            epochs=self._epochs,
            phase=0,
            phase_start=0,
            decided=decided,
            variables=[np.asarray(v) for v in self.model.variables],
            optimizer=[] if optimizer is None else [np.asarray(v) for v in optimizer.variables],
            best=self.best or [],
            build=_build_config(self.model),
            drawn=drawn(),
            measured=self._store.measured,
        )


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

    def recorder(
        self, resumes: Callable[[], bool] = lambda: False, is_keras: bool = False
    ) -> EpochRecorder:
        """Returns the callback of the next training, and sets its seed.

        Args:
            resumes: Says whether the training may go on from its last epoch that was kept.
            is_keras: Whether the training is one call of Keras' own `fit`.
        """
        index = len(self.recorders)
        seed = self.seed(index)
        recorder = EpochRecorder(self.task, index, seed, self.report, resumes(), is_keras)
        self.recorders.append(recorder)
        keras.utils.set_random_seed(seed % 2**32)
        return recorder

    def seed(self, execution: int) -> int:
        """Returns the seed of a training; trainings beyond those planned share the last one."""
        return self.task.seeds[min(execution, len(self.task.seeds) - 1)]

    def continued(self, model: keras.Model) -> keras.Model:
        """Sets a model to where the training that it continues ended."""
        if self.recorders:
            self.recorders[-1].continued(model)
        return model

    def begin_again(self, **changes: Any) -> None:
        """Forgets the trainings of an attempt that failed.

        Args:
            **changes: Fields of the task that are others from now on.
        """
        self.task = replace(self.task, **changes)
        self.recorders.clear()
        for path in TrialFolder(self.task.folder).snapshots():
            path.unlink(missing_ok=True)

    def keep(self, result: TrialResult) -> None:
        """Writes the best epoch's weights, and the state that a later trial may continue."""
        begun = [r for r in self.recorders if r.model is not None]
        if not begun:
            return
        best = self._best()
        model = begun[-1].model if best is None else best.best_model
        count_weights(model, result)
        if self.task.keeps_state:
            for recorder in begun:
                recorder.keep_state()
        if result.score is None or not self.task.objective.better(result.score, self.task.to_beat):
            return  # another trial's weights are better
        if best is not None:
            model.set_weights(best.best)
        with atomic(TrialFolder(self.task.folder).checkpoint) as temporary:
            save_whole(model, temporary)

    def _best(self) -> EpochRecorder | None:
        """Returns the training with the best epoch; `None` if none reported the objective."""
        scored = [r for r in self.recorders if r.execution.score is not None]
        sign = -1 if self.task.objective.direction == "max" else 1
        return min(scored, key=lambda r: sign * (r.execution.score or 0.0), default=None)


def _build_config(model: keras.Model) -> dict[str, Any] | None:
    try:
        return dict(json.loads(json.dumps(model.get_build_config())))
    except (TypeError, ValueError, NotImplementedError):  # a model that says nothing of it
        return None
