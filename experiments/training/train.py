"""Trains one model of a trial: the whole network, or its trained part on kept features."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras
import numpy as np

from experiments.data.balance import balanced_weights
from experiments.hyperparameters.fit_arguments import on_batches
from experiments.training import loop
from experiments.training.feature_entry import Entry
from experiments.training.feature_key import identity
from experiments.training.features import FeatureStore, NotKeptError
from experiments.training.feed import Feed, Rows, rows_of
from experiments.training.graphs import released_afterwards
from experiments.training.network import Network
from experiments.training.own_callables import UntoldError
from experiments.training.recorder import EpochClock, EpochRecorder
from experiments.training.replay import restore
from experiments.training.snapshot import Snapshot, SnapshotStore, UnfitError, assign, same_shapes
from experiments.training.task import Answer, Execution, Note, StoppedError, TrialTask, timed
from experiments.training.traced import TracedStore
from search_spaces.base import ImageSpace
from search_spaces.frozen import ORIGINAL, Cut, LayerSplit

_VALIDATION_BATCH = 64
_MOST_EPOCH_BYTES = 256 * 2**20  # of feature vectors, gathered at once instead of by batch
_COLLECT_EVERY = 8  # a full garbage collection takes as long as a small model's epoch
_trainings = count(1)
_traced = TracedStore()

Report = Callable[[int, dict[str, float]], int]


@dataclass(frozen=True)
class PhaseInputs:
    """The inputs of one phase: rows of training data by view, and of validation data."""

    train: list[Rows]
    validation: Rows
    cut: Cut | None = None


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Args:
        model: The whole network with its best epoch's weights.
        execution: The record.
        features: Whether features were kept, and why not.
        feature_seconds: What 1,000 images cost, in seconds; see `TrialResult`.
        initial_epoch: Epoch that the history begins at.
        answer: `Answer.GO`, or the answer that ended it early.
    """

    model: keras.Model
    execution: Execution
    features: dict[str, Any]
    feature_seconds: float | None
    initial_epoch: int
    answer: int


def train(
    task: TrialTask,
    snapshots: SnapshotStore,
    report: Report,
    note: Note | None = None,
    executions: list[Execution] | None = None,
) -> Trained:
    """Trains one model from the beginning, or resumes it from `snapshots` if they are of it.

    Args:
        task: What to train.
        snapshots: Holds the record and writes it to the disk.
        report: Receives every epoch; returns whether to continue.
        note: Receives the progress of computing features.
        executions: Receives the record at the start, so that a failed training has one too.
    """
    executions = [] if executions is None else executions
    try:
        return _train(task, snapshots, report, note, executions)
    except UnfitError:
        snapshots.refuse()
        executions.pop()
    return _train(task, snapshots, report, note, executions)


@released_afterwards()
def _train(
    task: TrialTask,
    snapshots: SnapshotStore,
    report: Report,
    note: Note | None,
    executions: list[Execution],
) -> Trained:
    cleared = time.perf_counter()
    keras.backend.clear_session(free_memory=next(_trainings) % _COLLECT_EVERY == 0)
    cleared = time.perf_counter() - cleared
    keras.utils.set_random_seed(snapshots.execution.seed)
    started = time.perf_counter()
    network = Network(task)
    built = time.perf_counter() - started
    bounds = [] if _has_its_own_fit(network.space) else _bounds(network)
    taken_up = snapshots.resume_point(bounds)
    seconds = snapshots.execution.seconds
    for step, spent in (("clear", cleared), ("build", built)):
        seconds[step] = seconds.get(step, 0.0) + spent
    executions.append(snapshots.execution)
    with timed(snapshots.execution, "features"):
        inputs, features, cost = open_inputs(network, note)
    recorder = EpochRecorder(task.objective, snapshots, report, task.patience, task.counts_before)
    end, is_done = task.epochs, False
    with suppress(StoppedError):
        if _has_its_own_fit(network.space):
            _fit_its_own_way(network, inputs[0], recorder)
            end = (recorder.params or {}).get("epochs", end)  # of the last of its calls
        else:
            _fit_phases(network, inputs, recorder, taken_up)
        is_done = recorder.epochs >= end
    recorder.restore_best()
    with timed(snapshots.execution, "build"):
        model = network.whole
    if _has_its_own_fit(network.space) and not recorder.has_trained(model):
        _take_over(model, recorder.model)
    answer = Answer.GO if is_done else recorder.answer
    return Trained(model, snapshots.execution, features, cost, recorder.initial_epoch, answer)


def _bounds(network: Network) -> list[tuple[int, int]]:
    """Returns the first epoch and the end of each phase."""
    bounds, end = [], 0
    for phase in network.space.phases(network.hp, network.task.epochs):
        bounds.append((end, end + phase.epochs))
        end += phase.epochs
    return bounds


def open_inputs(
    network: Network, note: Note | None
) -> tuple[list[PhaseInputs], dict[str, Any], float | None]:
    """Opens the inputs of each phase: kept features if possible, else images.

    Returns:
        The inputs, whether and what features are kept, and what 1,000 images cost, in seconds.
    """
    task = network.task
    why = _why_uncached(network)
    if why is None:
        assert network.split is not None
        assert task.cache_dir is not None
        store = FeatureStore(task.cache_dir, note)
        cuts = network.split.cuts(task.epochs)
        try:
            kept = [_kept(store, task, cut, network.views) for cut in cuts]
            parts = [cut.part.name for cut in cuts]
            facts = {"cached": True, "parts": parts, "engines": sorted(store.engines)}
            return kept, facts, _seconds(store, task, cuts)
        except NotKeptError as error:
            why = str(error.strerror)
    train, validation = task.data.open("train"), task.data.open("validation")
    views = [rows_of(train.images, view) for view in network.views]
    return [PhaseInputs(views, rows_of(validation.images))], {"cached": False, "why": why}, None


def _seconds(store: FeatureStore, task: TrialTask, cuts: Sequence[Cut]) -> float | None:
    """Returns the seconds that 1,000 images took through each frozen part, added up."""
    parts = {cut.part.name: cut.part for cut in cuts}.values()
    known = [store.seconds_per_1000(Entry(part, task.data, "train", ORIGINAL)) for part in parts]
    seconds = [each for each in known if each is not None]
    return sum(seconds) if len(seconds) == len(parts) else None


def _has_its_own_fit(space: ImageSpace) -> bool:
    return type(space).fit is not ImageSpace.fit


def _why_uncached(network: Network) -> str | None:
    if _has_its_own_fit(network.space):
        return "the space trains in a way of its own"
    if network.split is None:
        return "no part of the network is frozen"
    if network.task.cache_dir is None:
        return "features are not kept in this search"
    if network.split.uncached:
        return network.split.uncached
    if network.space.augmentation(network.hp) is not None:
        return "training images are changed anew in each epoch"
    cuts = network.split.cuts(network.task.epochs)
    phases = network.space.phases(network.hp, network.task.epochs)
    # A `LayerSplit` knows nothing of phases; other cuts stand for what `prepare` does.
    whole = len(cuts) == len(phases) and not isinstance(network.split, LayerSplit)
    if not whole and any(phase.prepare for phase in phases):
        return "a phase of its training changes the network"
    try:
        for cut in cuts:
            identity(cut.part)
    except UntoldError as error:
        return str(error)
    return None


def _kept(store: FeatureStore, task: TrialTask, cut: Cut, views: Sequence[str]) -> PhaseInputs:
    def opened(split: str, view: str) -> Rows:
        return rows_of(store.open(Entry(cut.part, task.data, split, view), cut.output))

    return PhaseInputs([opened("train", v) for v in views], opened("validation", ORIGINAL), cut)


def _fit_phases(
    network: Network, inputs: list[PhaseInputs], recorder: EpochRecorder, taken_up: Snapshot | None
) -> None:
    """Trains the phases in order; skips those that `taken_up` has finished."""
    bounds = _bounds(network)
    first = 0 if taken_up is None else taken_up.epochs
    recorder.begin(taken_up)
    whole = network.trained_whole() if inputs[0].cut is None else None
    for number, phase in enumerate(network.space.phases(network.hp, network.task.epochs)):
        phase_inputs = inputs[min(number, len(inputs) - 1)]
        begin, end = max(first, bounds[number][0]), bounds[number][1]
        with timed(recorder.execution, "build"):
            if phase_inputs.cut is not None:
                model = phase_inputs.cut.trainable()
            else:
                assert whole is not None
                model = whole
                if phase.prepare is not None:
                    phase.prepare(model)
        goes_on = taken_up if taken_up is not None and taken_up.phase == number else None
        is_scheduled = bool(network.space.phase_callbacks(network.hp, model, end))
        recorder.begin_phase(
            number, bounds[number][0], model, goes_on, end if is_scheduled else None
        )
        ends_there = begin >= end or recorder.stopped or recorder.is_exhausted()
        if goes_on is not None and ends_there:
            restore(model, goes_on)
            recorder.adopt(goes_on)
        elif begin < end and not recorder.stopped:
            _fit_phase(network, model, phase_inputs, (begin, end), recorder, goes_on)


def _fit_phase(
    network: Network,
    model: keras.Model,
    phase_inputs: PhaseInputs,
    epochs: tuple[int, int],
    recorder: EpochRecorder,
    goes_on: Snapshot | None,
) -> None:
    weights = _class_weights(network)
    train, validation = _feeds(network, phase_inputs, recorder.execution.seed, weights)
    by_epoch = (
        phase_inputs.cut is not None
        and loop.is_plain(model)
        and len(model.input_shape) == 2
        and train.epoch_bytes + validation.epoch_bytes <= _MOST_EPOCH_BYTES
    )
    steps = 1 if by_epoch else network.space.steps_per_execution
    sizes = (train.batch_size, validation.batch_size) if by_epoch else None
    train_batches, validation_batches = train.dataset(by_epoch), validation.dataset(by_epoch)
    with timed(recorder.execution, "trace"):
        is_only = recorder.phase == 0 and epochs[1] == network.task.epochs
        is_alone = not is_only or type(network.space).fit_phase is not ImageSpace.fit_phase
        traced = _traced.take(model, train_batches, validation_batches, steps, sizes, is_alone)
    trained = traced.model
    if goes_on is not None:
        restore(trained, goes_on)
        recorder.adopt(goes_on)
    with timed(recorder.execution, "fit"):
        network.space.fit_phase(
            network.hp,
            trained,
            *epochs,
            (train_batches,),
            {
                "validation_data": validation_batches,
                "callbacks": [EpochClock(train), recorder],
                "shuffle": False,  # the feed shuffles
                "verbose": 0,
            },
        )
    traced.end(model)
    _traced.keep(traced)


def _class_weights(network: Network) -> list[float] | None:
    """Returns what each class weighs in the loss; `None` if all weigh the same."""
    if network.task.class_weight is None:
        return None
    data = network.task.data
    counts = np.bincount(data.open("train").labels, minlength=len(data.class_names))
    return balanced_weights(counts.tolist())


def _feeds(
    network: Network, phase_inputs: PhaseInputs, seed: int, weights: list[float] | None = None
) -> tuple[Feed, Feed]:
    data, size = network.task.data, network.space.batch_size(network.hp)
    train, validation = (np.asarray(data.open(s).labels) for s in ("train", "validation"))
    augment = network.space.augmentation(network.hp)  # there is none where features are kept
    return (
        Feed(phase_inputs.train, train, size, seed, weights, augment),
        Feed([phase_inputs.validation], validation, max(size, _VALIDATION_BATCH)),
    )


def _take_over(model: keras.Model, trained: keras.Model | None) -> None:
    """Gives a network the weights that a `fit` of its own has trained, where they are another's.

    Raises:
        ValueError: They do not fit.
    """
    weights = [] if trained is None else trained.weights
    own, theirs = ({id(weight) for weight in each} for each in (model.weights, weights))
    if theirs <= own or own <= theirs:
        return
    values = [np.asarray(weight) for weight in weights]
    if not same_shapes(model.weights, values):
        raise ValueError("its fit trained another model")
    assign(model.weights, values)


def _fit_its_own_way(network: Network, phase_inputs: PhaseInputs, recorder: EpochRecorder) -> None:
    """Trains with the space's own `fit`, called as Keras Tuner would call it."""
    task, model = network.task, network.trained_whole()
    train, validation = _feeds(network, phase_inputs, recorder.execution.seed)
    weights = _class_weights(network)
    weighed = {} if weights is None else {"class_weight": dict(enumerate(weights))}
    takes_arguments = on_batches(model, train.num_rows, train.batch_size, train.shuffle)
    with timed(recorder.execution, "fit"), takes_arguments:
        network.space.fit(
            network.hp,
            model,
            train.dataset(),
            validation_data=validation.dataset(),
            epochs=task.epochs,
            callbacks=[EpochClock(train), recorder],
            **weighed,
        )
