"""Keras callbacks of a trial."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from experiments.feed import Feed
from experiments.objective import Objective
from experiments.trial import Execution, NotANumberError


class EpochRecorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Records every metric of every epoch, reports it, and keeps the best epoch's weights.

    Args:
        objective: What decides the best epoch.
        execution: Filled as training goes.
        report: Called with the epoch and its metrics; answers whether to stop.

    Raises:
        NotANumberError: The loss or the objective of an epoch is not finite.
    """

    def __init__(
        self,
        objective: Objective,
        execution: Execution,
        report: Callable[[int, dict[str, float]], bool],
    ) -> None:
        super().__init__()
        self.objective = objective
        self.execution = execution
        self.report = report
        self._best: dict[int, tuple[Any, Any]] = {}  # id of a variable -> it and its best value
        self._started = 0.0
        self._evaluating = 0.0
        self.stopped = False

    def on_train_begin(self, logs: Any = None) -> None:
        # A later phase may train more of the network: its weights as they are now belong to the
        # best epoch so far.
        for variable in self.model.weights:
            self._best.setdefault(id(variable), (variable, variable.numpy()))

    def on_test_begin(self, logs: Any = None) -> None:
        self._evaluating = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        seconds = self.execution.seconds
        spent = time.perf_counter() - self._evaluating
        seconds["evaluate"] = seconds.get("evaluate", 0.0) + spent

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        for name, value in metrics.items():
            self.execution.history.setdefault(name, []).append(value)
        self.execution.epoch_seconds.append(time.perf_counter() - self._started)
        for name in ("loss", "val_loss", self.objective.name):
            if not math.isfinite(metrics.get(name, math.nan)):
                raise NotANumberError(f"{name} is {metrics.get(name)} after epoch {epoch + 1}")
        score = metrics[self.objective.name]
        if self.objective.better(score, self.execution.score):
            self.execution.score = score
            self.execution.best_epoch = len(self.execution.epoch_seconds) - 1
            self._best |= {id(v): (v, v.numpy()) for v in self.model.weights}
        if self.report(epoch, metrics):
            self.stopped = self.model.stop_training = True

    def restore_best(self) -> None:
        """Puts the best epoch's weights back into the network."""
        for variable, value in self._best.values():
            variable.assign(value)


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells a feed which epoch it is, so that the order of images is that epoch's."""

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._feed.epoch = epoch
