"""Trains one model of a trial: whole, or only what its frozen part leaves, on kept features."""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras
import keras_tuner
import numpy as np

from experiments import loop
from experiments.callbacks import EpochClock, EpochRecorder
from experiments.features import Entry, FeatureStore, NoSpaceError
from experiments.feed import Feed, Rows, rows_of
from experiments.trial import BuildError, Execution, Note, TrialTask
from search_spaces import space_class
from search_spaces.base import ImageSpace
from search_spaces.frozen import ORIGINAL, Cut

_VALIDATION_BATCH = 64
_VECTOR_STEPS = 256  # batches of feature vectors are so quick that calls would cost more
_COLLECT_EVERY = 8  # a full garbage collection takes as long as a small model's epoch
_trainings = count(1)

Report = Callable[[int, dict[str, float]], bool]


class Network:
    """The network of a task, ready to be trained.

    Args:
        task: What to build.

    Raises:
        BuildError: The hyperparameters describe no model that can be built.
    """

    def __init__(self, task: TrialTask) -> None:
        self.task = task
        self.space = space_class(task.space)(
            task.data.shape, len(task.data.class_names), **task.settings
        )
        self.space.report(task.objective.name.removeprefix("val_"))
        # A copy: Keras Tuner deserializes conditions in place.
        self.hp = keras_tuner.HyperParameters.from_config(copy.deepcopy(task.hyperparameters))
        try:
            self.split = self.space.split(self.hp)
            self.views = (ORIGINAL,) if self.split is None else self.split.views
            # A split network is joined when it is needed, which may be never.
            self._whole = self.space.build(self.hp) if self.split is None else None
            if task.start_weights is not None:
                without_optimizer(self.whole).load_weights(task.start_weights)
        except Exception as error:
            raise BuildError(f"{type(error).__name__}: {error}") from error

    @property
    def whole(self) -> keras.Model:
        """The network from raw images to probabilities; shares what was trained so far."""
        if self._whole is None:
            assert self.split is not None
            self._whole = self.split.join()
        return self._whole

    def trained_whole(self) -> keras.Model:
        """Returns the whole network to be trained; the feed makes the views, not its layers."""
        return self.whole if self.split is None else self.split.join(augment=False)


@dataclass(frozen=True)
class Source:
    """Where one phase takes its inputs from: rows of training data by view, and of validation."""

    train: list[Rows]
    validation: Rows
    cut: Cut | None = None


def train(
    task: TrialTask, execution: Execution, report: Report, note: Note | None = None
) -> tuple[keras.Model, dict[str, Any]]:
    """Trains one model and fills `execution`.

    Args:
        task: What to train.
        execution: Filled as training goes.
        report: Told of every epoch; answers whether to stop.
        note: Told of the progress of computing features.

    Returns:
        The whole network with its best epoch's weights, and whether features were kept and why not.
    """
    with timed(execution, "clear"):
        keras.backend.clear_session(free_memory=next(_trainings) % _COLLECT_EVERY == 0)
    keras.utils.set_random_seed(execution.seed)
    with timed(execution, "build"):
        network = Network(task)
    with timed(execution, "features"):
        sources, features = open_sources(network, note)
    recorder = EpochRecorder(task.objective, execution, report)
    if _has_its_own_fit(network.space):
        _fit_its_own_way(network, sources[0], recorder)
    else:
        _fit_phases(network, sources, recorder)
    recorder.restore_best()
    with timed(execution, "build"):
        return network.whole, features


@contextmanager
def timed(execution: Execution, phase: str) -> Iterator[None]:
    """Adds the seconds spent to `execution.seconds[phase]`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - started
        execution.seconds[phase] = execution.seconds.get(phase, 0.0) + spent


def open_sources(network: Network, note: Note | None) -> tuple[list[Source], dict[str, Any]]:
    """Opens what each phase trains on: kept features where there may be some, else images."""
    task = network.task
    why = _why_uncached(network)
    if why is None:
        assert network.split is not None
        assert task.cache_dir is not None
        store = FeatureStore(task.cache_dir, note)
        cuts = network.split.cuts(task.epochs)
        try:
            kept = [_kept(store, task, cut, network.views) for cut in cuts]
            return kept, {"cached": True, "parts": [cut.part.name for cut in cuts]}
        except NoSpaceError as error:
            why = str(error.strerror)
    train, validation = task.data.open("train"), task.data.open("validation")
    views = [rows_of(train.images, view) for view in network.views]
    return [Source(views, rows_of(validation.images))], {"cached": False, "why": why}


def _has_its_own_fit(space: ImageSpace) -> bool:
    return type(space).fit is not ImageSpace.fit


def _why_uncached(network: Network) -> str | None:
    if _has_its_own_fit(network.space):
        return "the space trains in a way of its own"
    if network.split is None:
        return "no part of the network is frozen"
    if network.task.cache_dir is None:
        return "features are not kept in this search"
    return network.split.uncached


def _kept(store: FeatureStore, task: TrialTask, cut: Cut, views: Sequence[str]) -> Source:
    def opened(split: str, view: str) -> Rows:
        return rows_of(store.open(Entry(cut.part, task.data, split, view), cut.output))

    return Source([opened("train", v) for v in views], opened("validation", ORIGINAL), cut)


def _fit_phases(network: Network, sources: list[Source], recorder: EpochRecorder) -> None:
    task, end = network.task, 0
    stopping = _early_stopping(task)
    whole = network.trained_whole() if sources[0].cut is None else None
    for number, phase in enumerate(network.space.phases(network.hp, task.epochs)):
        source = sources[min(number, len(sources) - 1)]
        begin, end = max(task.initial_epoch, end), end + phase.epochs
        with timed(recorder.execution, "build"):
            if source.cut is not None:
                model = source.cut.trainable()
            else:
                assert whole is not None
                model = whole
                if phase.prepare is not None:
                    phase.prepare(model)
        if begin < end and not recorder.stopped:
            _fit_phase(network, model, source, (begin, end), [recorder, *stopping])


def _early_stopping(task: TrialTask) -> list[Any]:
    if task.patience is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor=task.objective.name, mode=task.objective.direction, patience=task.patience
        )
    ]


def _fit_phase(
    network: Network,
    model: keras.Model,
    source: Source,
    epochs: tuple[int, int],
    callbacks: list[Any],
) -> None:
    recorder: EpochRecorder = callbacks[0]
    train, validation = _feeds(network, source, recorder.execution.seed)
    vectors = source.cut is not None and len(model.input_shape) == 2
    steps = min(_VECTOR_STEPS, train.num_batches) if vectors else network.space.steps_per_execution
    train_batches, validation_batches = train.dataset(), validation.dataset()
    with timed(recorder.execution, "trace"):
        loop.install(model, train_batches, validation_batches, steps)
    with timed(recorder.execution, "fit"):
        network.space.fit_phase(
            network.hp,
            model,
            *epochs,
            (train_batches,),
            {
                "validation_data": validation_batches,
                "callbacks": [EpochClock(train), *callbacks],
                "shuffle": False,  # the feed shuffles
                "verbose": 0,
            },
        )


def _feeds(network: Network, source: Source, seed: int) -> tuple[Feed, Feed]:
    data, size = network.task.data, network.space.batch_size(network.hp)
    train, validation = (np.asarray(data.open(s).labels) for s in ("train", "validation"))
    return (
        Feed(source.train, train, size, seed),
        Feed([source.validation], validation, max(size, _VALIDATION_BATCH)),
    )


def _fit_its_own_way(network: Network, source: Source, recorder: EpochRecorder) -> None:
    """Trains through the `fit` that a space wrote itself, as Keras Tuner would call it."""
    task, model = network.task, network.trained_whole()
    train, validation = _feeds(network, source, recorder.execution.seed)
    with timed(recorder.execution, "fit"):
        network.space.fit(
            network.hp,
            model,
            train.dataset(),
            validation_data=validation.dataset(),
            epochs=task.epochs,
            initial_epoch=task.initial_epoch,
            callbacks=[EpochClock(train), recorder, *_early_stopping(task)],
            shuffle=False,
            verbose=0,
        )


def without_optimizer(model: keras.Model) -> keras.Model:
    """Returns `model` without its optimizer, whose state is neither kept nor looked for."""
    return keras.Model(model.inputs, model.outputs)
