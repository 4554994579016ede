"""A training that is interrupted and resumed gives the numbers of an uninterrupted one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

import search_spaces
from experiments.data.prepare import prepare
from experiments.record.layout import TrialFolder
from experiments.record.objective import Objective
from experiments.training.run import run_trial
from experiments.training.snapshot import read_snapshot
from experiments.training.task import Answer, TrialResult, TrialTask
from search_spaces import space_class
from tests.hyperparameters.own_models import build, task_of, write
from tests.search_spaces.backbones import own_backbone

Stop = Callable[[int, int], Answer]


def task(
    space: str,
    cache_dir: Path,
    folder: Path,
    values: dict[str, Any],
    base: str | None = None,
    **options: Any,
) -> Any:
    cls = space_class(space)
    settings = {} if base is None else {"base": base}
    side = 12 if base is None else 32
    data = prepare("digits", lambda c: (side, side, 3 if base else c), cache_dir, sample=200)
    hp = keras_tuner.HyperParameters()
    cls(data.shape, 10, **settings).declare_hyperparameters(hp)
    hp.values |= values
    hp.values |= {h.name: h.default for h in hp.space if h.name not in hp.values}
    folder.mkdir(parents=True, exist_ok=True)
    return TrialTask(
        space=space,
        settings=settings,
        hyperparameters=hp.get_config(),
        data=data,
        objective=Objective("val_accuracy", "max"),
        snapshots=str(folder),
        checkpoint=str(folder / "checkpoint.weights.h5"),
        cache_dir=str(cache_dir),
        **({"epochs": 4, "seeds": (5,)} | options),
    )


def run(asked: TrialTask, *stops: tuple[int, int]) -> TrialResult:
    """Runs a trial, interrupted after each (execution, epoch) of `stops` and resumed."""

    def until(stop: tuple[int, int] | None) -> Any:
        return lambda execution, epoch, metrics: (
            Answer.PAUSE if (execution, epoch) == stop else Answer.GO
        )

    for stop in stops:
        assert run_trial(asked, until(stop)).status == "paused"
    return run_trial(asked, until(None))


def assert_same(first: TrialResult, second: TrialResult) -> None:
    assert (first.status, first.message) == (second.status, second.message)
    for one, other in zip(first.executions, second.executions, strict=True):
        assert one.history == other.history
        assert (one.best_epoch, one.score) == (other.best_epoch, other.score)


def weights(asked: TrialTask) -> dict[str, Any]:
    import h5py

    found: dict[str, Any] = {}
    with h5py.File(str(asked.checkpoint)) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small backbone, which is traced in a moment."""
    return own_backbone(tmp_path_factory.mktemp("backbone") / "small.keras", 32)


MNIST = {
    "dropout": 0.3,
    "batch_norm": True,
    "learning_rate": 0.003,
    "learning_rate_schedule": "cosine",
    "batch_size": 32,
    "augment": "affine",
    "label_smoothing": 0.1,
    "weight_decay": 1e-3,
    "warmup_epochs": 1,
}


def test_a_paused_trial_goes_on_to_the_same_numbers_and_weights(
    cache_dir: Path, tmp_path: Path
) -> None:
    first, second = (
        task("mnist_cnn", cache_dir, tmp_path / name, MNIST, seeds=(5, 6), epochs=3)
        for name in "ab"
    )
    assert_same(run(first), run(second, (0, 0), (0, 1), (1, 0)))
    for name, value in weights(first).items():
        np.testing.assert_array_equal(value, weights(second)[name], err_msg=name)


def test_what_is_drawn_without_a_seed_goes_on(cache_dir: Path, tmp_path: Path) -> None:
    noisy = (
        "class Noisy(keras.layers.Layer):\n"
        "    def call(self, inputs, training=False):\n"
        "        noise = keras.random.normal(keras.ops.shape(inputs))\n"
        "        return inputs + noise if training else inputs\n"
    )
    last = 'Noisy(),\n        keras.layers.Dense(10, activation="softmax")'
    path = write(tmp_path, noisy, build(last=last))
    whole, paused = (task_of(path, cache_dir, snapshots=str(tmp_path / name)) for name in "ab")
    assert_same(run(whole), run(paused, (0, 0)))


_TWO_NOISY_PHASES = """
import keras
from search_spaces.base import ImageSpace, Phase

class Noisy(keras.layers.Layer):
    def call(self, inputs, training=False):
        noise = keras.random.normal(keras.ops.shape(inputs))
        return inputs + noise if training else inputs

class TwoPhases(ImageSpace):
    @classmethod
    def required_shape(cls, channels, settings):
        return (8, 8, channels)

    def draw(self, hp):
        return {"rate": hp.Fixed("rate", 0.01)}

    def build(self, hp):
        inputs = keras.Input(self.input_shape)
        x = Noisy()(keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(inputs)))
        model = keras.Model(inputs, self.output_layer()(x))
        self.compile(model, keras.optimizers.Adam(self.draw(hp)["rate"]))
        return model

    def phases(self, hp, epochs):
        return [Phase(1), Phase(epochs - 1)]
"""


def test_what_is_drawn_without_a_seed_goes_on_in_the_next_phase(
    cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_noisy_phases.py").write_text(_TWO_NOISY_PHASES)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    whole, paused = (task("two_noisy_phases", cache_dir, tmp_path / name, {}) for name in "ab")
    assert_same(run(whole), run(paused, (0, 0)))


def test_both_phases_of_fine_tuning_are_gone_on_with(
    base: str, cache_dir: Path, tmp_path: Path
) -> None:
    values = {"unfreeze": True, "unfreeze_from": "stage2", "dropout": 0.2, "flip": True}
    first, second = (
        task("transfer_head", cache_dir, tmp_path / name, values, base) for name in ("a", "b")
    )
    # In the head's phase, between the two, and in the tail's.
    assert_same(run(first), run(second, (0, 0), (0, 1), (0, 2)))


def test_patience_counts_on(cache_dir: Path, tmp_path: Path) -> None:
    values = MNIST | {"learning_rate": 1e-4, "optimizer": "sgd"}
    first, second = (
        task("mnist_cnn", cache_dir, tmp_path / name, values, epochs=8, patience=1) for name in "ab"
    )
    undisturbed = run(first)
    epochs = len(undisturbed.executions[0].epoch_seconds)
    assert epochs < 8
    assert_same(undisturbed, run(second, (0, epochs - 2)))


def test_epochs_are_counted_on_where_patience_ends_a_phase(
    base: str, cache_dir: Path, tmp_path: Path
) -> None:
    values = {"unfreeze": True, "unfreeze_from": "stage2", "learning_rate": 1e-4}
    asked = task("transfer_head", cache_dir, tmp_path, values, base, epochs=6, patience=1)
    reported: list[int] = []

    def note(execution: int, epoch: int, metrics: Any) -> Answer:
        reported.append(epoch)
        return Answer.PAUSE if epoch == 2 and reported.count(2) == 1 else Answer.GO

    assert run_trial(asked, note).status == "paused"
    assert reported == [0, 1, 2]
    result = run_trial(asked, note)
    num_epochs = len(result.executions[0].epoch_seconds)
    assert 3 < num_epochs < 6  # else no phase ended early
    assert reported == [0, 1, 2, *range(num_epochs)]


def test_the_seconds_of_a_resumed_training_are_those_of_all_its_epochs(
    cache_dir: Path, tmp_path: Path
) -> None:
    asked = task("mnist_cnn", cache_dir, tmp_path, MNIST, epochs=3)
    execution = run(asked, (0, 1)).executions[0]
    assert execution.seconds["fit"] >= sum(execution.epoch_seconds)
    assert execution.seconds["fit"] > execution.seconds["evaluate"]


def test_a_promoted_trial_goes_on_with_the_optimizer(cache_dir: Path, tmp_path: Path) -> None:
    whole = task(
        "mnist_cnn", cache_dir, tmp_path / "whole", MNIST | {"learning_rate_schedule": "constant"}
    )
    short = replace(whole, snapshots=str(tmp_path / "short"), epochs=2, keep_snapshots=True)
    promoted = replace(whole, snapshots=str(tmp_path / "long"), start_snapshots=short.snapshots)
    undisturbed, _, result = run(whole), run(short), run(promoted)
    assert result.initial_epoch == 2
    tail = {name: values[2:] for name, values in undisturbed.executions[0].history.items()}
    assert result.executions[0].history == tail


def test_an_optimizer_that_averages_weights_goes_on_with_those_it_trains(
    cache_dir: Path, tmp_path: Path
) -> None:
    averaging = (
        'optimizer=keras.optimizers.SGD(0.1, use_ema=True), metrics=["accuracy"], '
        'loss="sparse_categorical_crossentropy"'
    )
    path = write(tmp_path, build(compiled=averaging))
    whole = task_of(path, cache_dir, snapshots=str(tmp_path / "whole"))
    undisturbed = run(whole)
    assert_same(
        undisturbed, run(task_of(path, cache_dir, snapshots=str(tmp_path / "paused")), (0, 0))
    )
    short = replace(whole, snapshots=str(tmp_path / "short"), epochs=1, keep_snapshots=True)
    run(short)
    promoted = run(replace(whole, snapshots=None, start_snapshots=short.snapshots))
    tail = {name: values[1:] for name, values in undisturbed.executions[0].history.items()}
    assert promoted.executions[0].history == tail


@pytest.mark.parametrize("epochs", [4, 6])  # of 4 epochs, the second phase begins after 2
def test_a_promoted_trial_begins_anew_where_the_phases_have_moved(
    epochs: int, base: str, cache_dir: Path, tmp_path: Path
) -> None:
    values = {"unfreeze": True, "unfreeze_from": "stage2"}
    long = task("transfer_head", cache_dir, tmp_path / "long", values, base, epochs=epochs)
    short = replace(long, snapshots=str(tmp_path / "short"), epochs=2, keep_snapshots=True)
    run(short)
    promoted = run(replace(long, start_snapshots=short.snapshots))
    assert promoted.initial_epoch == 0
    assert len(promoted.executions[0].epoch_seconds) == epochs


@pytest.mark.parametrize("changed", [{"filters_0": 16}, {"optimizer": "sgd"}])
def test_a_promoted_trial_begins_anew_where_the_code_makes_another_network(
    changed: dict[str, Any], cache_dir: Path, tmp_path: Path
) -> None:
    values = {"filters_0": 8, "conv_blocks": 1, "optimizer": "adam"}
    short = task("mnist_cnn", cache_dir, tmp_path / "short", values, epochs=1, keep_snapshots=True)
    run(short)
    long = task("mnist_cnn", cache_dir, tmp_path / "long", values | changed, epochs=2)
    promoted = run(replace(long, start_snapshots=short.snapshots))
    assert (promoted.status, promoted.initial_epoch) == ("completed", 0), promoted.message
    assert [len(execution.epoch_seconds) for execution in promoted.executions] == [2]


def test_a_damaged_snapshot_costs_its_epochs_alone(cache_dir: Path, tmp_path: Path) -> None:
    asked = task("mnist_cnn", cache_dir, tmp_path / "a", MNIST, epochs=2)
    undisturbed = run(task("mnist_cnn", cache_dir, tmp_path / "b", MNIST, epochs=2))
    run_trial(asked, lambda *report: Answer.PAUSE)
    path = TrialFolder(str(asked.snapshots)).snapshot(0)
    path.write_bytes(path.read_bytes()[:2000])
    assert read_snapshot(path) is None
    assert_same(undisturbed, run(asked))


def test_a_full_disk_is_not_the_trials_fault(
    cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    asked = task("mnist_cnn", cache_dir, tmp_path / "a", MNIST)
    assert run_trial(asked, lambda *report: Answer.PAUSE).cause == "disk_full"


def test_graphs_do_not_grow_in_number(cache_dir: Path, tmp_path: Path) -> None:
    """Keras Tuner's memory grows with every trial, because TensorFlow keeps each graph."""
    import gc

    from tensorflow.python.framework.func_graph import FuncGraph

    def graphs() -> int:
        keras.backend.clear_session()
        return sum(isinstance(o, FuncGraph) and o.name == "run" for o in gc.get_objects())

    counts = []
    for number in range(3):
        values = {"filters_0": 8, "learning_rate": 10.0 ** -(number + 2), "batch_norm": True}
        asked = task("mnist_cnn", cache_dir, tmp_path / f"{number}", values, epochs=1)
        assert run(asked).status == "completed"
        counts.append(graphs())
    assert counts == counts[:1] * 3


def test_a_schedule_over_more_epochs_begins_anew(cache_dir: Path, tmp_path: Path) -> None:
    values = {"learning_rate_schedule": "cosine", "learning_rate": 1e-2}
    begun = task("mnist_cnn", cache_dir, tmp_path / "resumed", values, epochs=3)
    assert run_trial(begun, lambda execution, epoch, metrics: Answer.PAUSE).status == "paused"
    resumed = run_trial(replace(begun, epochs=5), lambda *_: Answer.GO)
    afresh = task("mnist_cnn", cache_dir, tmp_path / "afresh", values, epochs=5)
    assert_same(resumed, run_trial(afresh, lambda *_: Answer.GO))
