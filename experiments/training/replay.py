"""Goes on with an interrupted training of Keras' own `fit`: replays its epochs, then trains.

A replayed epoch draws its batches and trains nothing, so a shuffled order goes on where it was.
Callbacks see the metrics that were recorded, so that those which count epochs have their state.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR, global_seed_generator

from experiments.record.objective import Objective
from experiments.training.snapshot import Snapshot, assign, same_shapes

_OF_METRICS_ALONE = (
    keras.callbacks.LearningRateScheduler,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TerminateOnNaN,
)


def can_be_replayed(callbacks: Sequence[Any], objective: Objective) -> bool:
    """Whether all callbacks get their state from the metrics of epochs, as far as is known.

    Args:
        callbacks: Those of a training.
        objective: Its best epoch's weights are known while it is replayed, and no other ones.
    """
    return all(_is_known(callback, objective) for callback in callbacks)


def _is_known(callback: Any, objective: Objective) -> bool:
    kind = type(callback)
    if kind is keras.callbacks.EarlyStopping:
        return not callback.restore_best_weights or _restores_best(callback, objective)
    if kind is keras.callbacks.CSVLogger:
        return not callback.append
    if kind is keras.callbacks.TensorBoard:
        profiled = getattr(callback, "_should_trace", True)
        watched = (callback.histogram_freq, callback.embeddings_freq, profiled)
        return not any(watched) and callback.update_freq == "epoch"
    if kind.__module__.startswith("tensorboard.plugins.hparams"):
        return True
    return kind in _OF_METRICS_ALONE


def _restores_best(stopping: keras.callbacks.EarlyStopping, objective: Objective) -> bool:
    """Whether the epoch whose weights are restored is the best one by the objective."""
    is_same = stopping.monitor == objective.name and stopping.mode in ("auto", objective.direction)
    return bool(is_same and stopping.min_delta == 0 and stopping.start_from_epoch == 0)


class NotReplayedError(BaseException):
    """The model is another one than was recorded: the training has to begin again."""


class Replay(keras.callbacks.Callback):  # type: ignore[misc]
    """Replays the epochs of a snapshot. It comes before all other callbacks.

    Args:
        snapshot: The state after the last of them.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._count = len(snapshot.execution.epoch_seconds)
        self._best_epoch = snapshot.execution.best_epoch
        self._done = 0
        self.is_active = False

    @property
    def metrics(self) -> dict[str, float]:
        """What the current epoch reported."""
        return self._snapshot.metrics(self._done)

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return self._done

    @property
    def is_last(self) -> bool:
        """Whether training continues after the current epoch."""
        return self._done + 1 >= self._count

    def on_train_begin(self, logs: Any = None) -> None:
        """Lets `fit` draw batches instead of training on them."""
        if not _fits(self.model, self._snapshot):
            raise NotReplayedError
        self.is_active = True
        self.model.train_function = self.model.test_function = _drawing(self.model)
        self.model.get_metrics_result = dict  # metrics are built with the first step

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Tells the other callbacks what the epoch reported."""
        if not self.is_active:
            return
        logs.clear()
        logs.update(self.metrics)
        if self._done == self._best_epoch and self._snapshot.best:
            assign(self.model.weights, self._snapshot.best)

    def advance(self) -> None:
        """Ends the current epoch; sets the state of the training after the last one."""
        if self.is_last:
            self.end()
        self._done += 1

    def end(self) -> None:
        """Sets the state of the training, and lets `fit` train again."""
        self.is_active = False
        del self.model.get_metrics_result
        restore(self.model, self._snapshot)
        self.model.train_function = self.model.test_function = None
        self.model.make_train_function(force=True)


class NotContinuedError(BaseException):
    """The trial that is continued left no state that fits: the training has to begin afresh."""


def build(model: keras.Model, config: Mapping[str, Any] | None) -> None:
    """Builds a model that is not built yet, as far as Keras can without data.

    Args:
        model: The model.
        config: What its `get_build_config` returned, from a file; `None` if it was not kept.
    """
    if not model.built and config:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it can't be built, which `built` says
            model.build_from_config(_with_shapes(config))
        # Keras says so where it loads a whole model, and not here.
        model.built = bool(model.weights)


def _with_shapes(value: Any) -> Any:
    """Returns what JSON made of a structure of shapes as it was: they were tuples."""
    if isinstance(value, Mapping):
        return {name: _with_shapes(part) for name, part in value.items()}
    if isinstance(value, list):
        kind = tuple if all(n is None or isinstance(n, int) for n in value) else list
        return kind(map(_with_shapes, value))
    return value


def restore(model: keras.Model, snapshot: Snapshot, or_afresh: bool = False) -> None:
    """Sets a model, its optimizer and Keras' generator of seeds to the state of a snapshot.

    Args:
        model: A built model.
        snapshot: The state.
        or_afresh: Whether an optimizer of other variables begins afresh: a `fit` of the user's own
            may have compiled anew.

    Raises:
        UnfitError: It is of another network, and nothing of the model was set: networks of several
            trials may share a part of it.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and snapshot.optimizer:
        optimizer.build(model.trainable_variables)
        if not or_afresh or same_shapes(optimizer.variables, snapshot.optimizer):
            assign(optimizer.variables, snapshot.optimizer)
    assign(model.variables, snapshot.variables)
    if snapshot.drawn is not None:
        global_seed_generator().state.assign(snapshot.drawn)


def drawn() -> list[int] | None:
    """Returns the state of Keras' global generator of seeds; `None` if nothing was drawn from it.

    Random operations draw from it that were given no seed.
    """
    generator = get_global_attribute(GLOBAL_SEED_GENERATOR)
    return None if generator is None else list(map(int, np.asarray(generator.state)))


def _fits(model: keras.Model, snapshot: Snapshot) -> bool:
    """Whether a model trains as Keras does, and has the variables of a snapshot."""
    kind = type(model)
    own = ("fit", "evaluate", "make_train_function", "make_test_function")
    if any(getattr(kind, name) is not getattr(keras.Model, name) for name in own):
        return False
    if _holds_more(model):
        return False
    if not model.built or not same_shapes(model.variables, snapshot.variables):
        return False
    model.optimizer.build(model.trainable_variables)
    return same_shapes(model.optimizer.variables, snapshot.optimizer)


def _holds_more(model: keras.Model) -> bool:
    """Whether training may change what no snapshot holds.

    That is a variable of TensorFlow itself, or a second optimizer of a step of one's own.
    """
    has_own_step = type(model).train_step is not keras.Model.train_step
    held = [one for layer in model._flatten_layers() for one in _within(vars(layer))]
    optimizers = [one for one in held if isinstance(one, keras.optimizers.Optimizer)]
    if has_own_step and any(one is not model.optimizer for one in optimizers):
        return True
    return any(isinstance(one, tf.Variable) for one in held)


def _within(value: Any) -> Iterator[Any]:
    """Yields what a value holds, if it is a list or a dictionary, else the value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, list | tuple | set):
        yield value
        return
    for one in value:
        yield from _within(one)


def _drawing(model: keras.Model) -> Callable[[Any], dict[str, float]]:
    """Returns what draws as many batches as a step of `model` does."""

    def draw(batches: Any) -> dict[str, float]:
        for step in range(model.steps_per_execution):
            try:
                next(batches)
            except StopIteration:
                if step == 0:  # as Keras' own step: the data is exhausted
                    raise
                break
        return {}

    return draw


def is_finite(metrics: dict[str, float]) -> bool:
    """Whether all metrics can be written into a snapshot."""
    return all(map(math.isfinite, metrics.values()))
