"""Keras callbacks of a trial."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras

from experiments.record.objective import Objective
from experiments.training.feed import Feed
from experiments.training.replay import drawn
from experiments.training.snapshot import Snapshot, SnapshotStore
from experiments.training.task import (
    Answer,
    Execution,
    NotANumberError,
    StoppedError,
    is_scalar,
)


class EpochRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Records and reports every metric of every epoch, and keeps the best epoch's weights.

    Args:
        objective: Determines the best epoch.
        snapshots: Holds the record, which grows with each epoch, and writes it to the disk.
        report: Called with the epoch and its metrics; returns whether to continue. Epochs are
            counted as they are trained, as in the record: a phase that ends early leaves no gap.
        patience: Number of epochs without improvement that ends a phase; never if `None`.
        counts_before: Whether patience counts the epochs before a promotion.

    Raises:
        NotANumberError: The loss or the objective of an epoch is not finite.
        StoppedError: Another epoch begins after the training was told to end.
    """

    def __init__(
        self,
        objective: Objective,
        snapshots: SnapshotStore,
        report: Callable[[int, dict[str, float]], int],
        patience: int | None = None,
        counts_before: bool = True,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.snapshots = snapshots
        self.report = report
        self.patience = patience
        self.counts_before = counts_before
        self.initial_epoch = 0
        self.phase = 0
        self.phase_start = 0
        self.phase_epoch: int | None = None
        self.phase_end: int | None = None
        self._before: tuple[float, ...] = ()  # objective of the phase's earlier epochs
        self.answer: int = Answer.GO
        self._weights: list[Any] = []  # of the phase's network
        self._best: dict[int, tuple[Any, Any]] = {}  # id of a variable -> it and its best value
        self._started = 0.0
        self._evaluating = 0.0
        self.epochs = 0

    @property
    def execution(self) -> Execution:
        """The record of the training."""
        return self.snapshots.execution

    @property
    def stopped(self) -> bool:
        """Whether the whole training was told to end."""
        return self.answer != Answer.GO

    def begin(self, taken_up: Snapshot | None) -> None:
        """Records what the training resumes from; reports the epochs of an own earlier attempt."""
        if taken_up is not None:
            own = taken_up is self.snapshots.own
            self.initial_epoch = taken_up.initial_epoch if own else taken_up.epochs
            self.epochs = taken_up.epochs
            if own:
                self._replay(taken_up)

    def _joined(self, origin: Snapshot) -> tuple[float, ...]:
        """Returns the objective of all epochs of the phase that a promoted training continues."""
        scores = origin.execution.history.get(self.objective.name, [])
        earlier = origin.before if origin.phase_start == 0 else ()
        return (*earlier, *scores[origin.phase_start :])

    def _replay(self, taken_up: Snapshot) -> None:
        """Reports the epochs of the resumed attempt again, because the driver has lost them.

        The attempt was told to continue after every epoch but the last, whose answer may be lost.
        If it was told to continue after that too, it is not compared again with trials that have
        come since.
        """
        count = len(taken_up.measured)
        for index in range(count):
            metrics = taken_up.metrics(index)
            if self.objective.name not in metrics:
                continue
            answer = self.report(self.initial_epoch + index, metrics)
            if answer == Answer.PAUSE or (index == count - 1 and not taken_up.decided):
                self.answer = answer
                return

    def begin_phase(
        self,
        number: int,
        epoch: int,
        model: keras.Model,
        goes_on: Snapshot | None,
        end: int | None = None,
    ) -> None:
        """Records that a phase begins or resumes.

        Args:
            number: Its number.
            epoch: Epoch that it begins at.
            model: What the phase trains; another of its structure may be trained in its place.
            goes_on: The state that it resumes from.
            end: Epoch that it ends at, where a schedule depends on it.
        """
        self._weights = model.weights
        self.phase, self.phase_start = number, len(self.execution.epoch_seconds)
        self.phase_epoch, self.phase_end = epoch, end
        self._before = ()
        if goes_on is not None and goes_on is self.snapshots.own:
            self.phase_start, self._before = goes_on.phase_start, goes_on.before
        elif goes_on is not None:
            self._before = self._joined(goes_on)

    def adopt(self, taken_up: Snapshot) -> None:
        """Restores the best epoch's weights of an interrupted attempt."""
        if taken_up is self.snapshots.own:
            pairs = zip(self._weights, taken_up.best, strict=True)
            self._best = {id(variable): (variable, value) for variable, value in pairs}

    def is_exhausted(self) -> bool:
        """Whether the phase had as many epochs without improvement as its patience allows.

        This depends on the history alone, so it is the same in a resumed training. A promoted
        trial counts on from its origin's epochs, but always trains at least one epoch of its own.
        """
        best: float | None = None
        waited = 0
        own = self.execution.history.get(self.objective.name, [])
        before = self._before if self.counts_before else ()
        for score in [*before, *own[self.phase_start :]]:
            if math.isnan(score):  # not measured in this epoch
                continue
            better = self.objective.better(score, best)
            best, waited = (score, 0) if better else (best, waited + 1)
        return self.patience is not None and bool(own) and waited >= self.patience

    def on_train_begin(self, logs: Any = None) -> None:
        # A later phase may train more of the network. The current values of these weights belong
        # to the best epoch so far.
        for variable, trained in self._pairs():
            self._best.setdefault(id(variable), (variable, trained.numpy()))

    def on_test_begin(self, logs: Any = None) -> None:
        self._evaluating = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        seconds = self.execution.seconds
        spent = time.perf_counter() - self._evaluating
        seconds["evaluate"] = seconds.get("evaluate", 0.0) + spent

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.stopped:  # a second `fit` of a space's own has forgotten it
            raise StoppedError
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(v) for name, v in (logs or {}).items() if is_scalar(v)}
        self.execution.epoch_seconds.append(time.perf_counter() - self._started)
        self.snapshots.add(metrics)
        trained = self.initial_epoch + len(self.execution.epoch_seconds)
        for name in ("loss", "val_loss", self.objective.name):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise NotANumberError(f"{name} is {metrics[name]} after epoch {trained}")
        self.epochs = epoch + 1
        if self.objective.name in metrics:
            self._judge(trained - 1, metrics)
        ends = self.stopped or self.is_exhausted()
        if self.answer == Answer.GO and self.snapshots.is_due():
            self._keep(decided=True)
        elif self._averages and (self._is_paused or ends or self._is_last):
            self._keep_last()  # once training has ended, Keras has set the averages
        if ends:
            self.model.stop_training = True

    @property
    def _is_paused(self) -> bool:
        return self.answer == Answer.PAUSE

    @property
    def _averages(self) -> bool:
        """Whether the optimizer keeps averages of the weights, and sets them in the end."""
        return bool(getattr(getattr(self.model, "optimizer", None), "use_ema", False))

    @property
    def _is_last(self) -> bool:
        """Whether no epoch comes after this one, as far as is known."""
        return bool(self.epochs >= (self.params or {}).get("epochs", math.inf))

    def _judge(self, epoch: int, metrics: dict[str, float]) -> None:
        """Keeps the weights of an epoch that is the best one; asks how to continue."""
        score = metrics[self.objective.name]
        if self.objective.better(score, self.execution.score):
            self.execution.score = score
            self.execution.best_epoch = len(self.execution.epoch_seconds) - 1
            self._best |= {id(v): (v, trained.numpy()) for v, trained in self._pairs()}
        self.answer = self.report(epoch, metrics)

    def on_train_end(self, logs: Any = None) -> None:
        self._keep_last()

    def _keep_last(self) -> None:
        if self._is_paused or self.snapshots.keeps_last:
            self._keep()

    def has_trained(self, model: keras.Model) -> bool:
        """Whether weights of a model are among those of the best epoch."""
        return any(id(weight) in self._best for weight in model.weights)

    def _keep(self, decided: bool = False) -> None:
        seconds = {"fit": sum(self.execution.epoch_seconds)}  # they are added once `fit` has ended
        optimizer = getattr(self.model, "optimizer", None)  # a `fit` of one's own may need none
        self.snapshots.keep(
            Snapshot(
                execution=replace(self.execution, seconds=self.execution.seconds | seconds),
                initial_epoch=self.initial_epoch,
                epochs=self.epochs,
                phase=self.phase,
                phase_start=self.phase_start,
                phase_epoch=self.phase_epoch,
                phase_end=self.phase_end,
                decided=decided,
                before=self._before,
                drawn=drawn(),
                measured=self.snapshots.measured,
                variables=[variable.numpy() for variable in self.model.variables],
                optimizer=[variable.numpy() for variable in getattr(optimizer, "variables", ())],
                best=[self._best[id(variable)][1] for variable, _ in self._pairs()],
            )
        )

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        """Pairs each of the network's weights with the one that is trained.

        A space that trains in a way of its own says by its callbacks what it trains.
        """
        return zip(self._weights or self.model.weights, self.model.weights, strict=True)

    def restore_best(self) -> None:
        """Sets the network's weights to those of the best epoch."""
        for variable, value in self._best.values():
            variable.assign(value)


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the feed's epoch, which determines the order of images."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._feed.epoch = epoch
