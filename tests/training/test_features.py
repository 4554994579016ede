"""Kept features: same results as without, whole on the disk or not at all, shared, pruned."""

import json
import math
import os
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import experiments.training.feature_computing as computing
import experiments.training.features as features
import search_spaces
from experiments import SearchConfig
from experiments.cli.main import main
from experiments.data.prepare import PreparedData, prepare
from experiments.data.sources.base import Inputs
from experiments.hyperparameters.ranges import searched_space
from experiments.hyperparameters.space import explore, fixed
from experiments.record.objective import parse_objective
from experiments.search.run import describe_space
from experiments.training.feature_entry import Entry
from experiments.training.features import FeatureStore
from experiments.training.feed import Feed
from experiments.training.forecast import forecast
from experiments.training.network import Network
from experiments.training.run import run_trial
from experiments.training.snapshot import SnapshotStore
from experiments.training.task import Answer, TrialResult, TrialTask
from experiments.training.train import train
from search_spaces import space_class
from search_spaces._backbone import BaseKey, pooled_part
from search_spaces._bases import BASES, find_base
from search_spaces.frozen import FLIPPED, VIEWS, LayerSplit
from tests.search_spaces.backbones import own_backbone

SIDE = 32
# Between trials on kept features and on images; feature maps are kept in half precision.
METRIC_TOLERANCE = 0.02


@pytest.fixture(scope="module")
def small(cache_dir: Path) -> PreparedData:
    return prepare("digits", lambda c: (SIDE, SIDE, 3), cache_dir, sample=160)


@pytest.fixture(scope="module", autouse=True)
def backbone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The base of all trials here: a small one, which is traced in a moment."""
    global _backbone
    _backbone = own_backbone(tmp_path_factory.mktemp("backbone") / "small.keras", SIDE)


_backbone = ""


def task_of(data: PreparedData, space: str = "transfer_head", **values: Any) -> TrialTask:
    settings = {"base": _backbone} if space == "transfer_head" else {}
    hypermodel = space_class(space)(data.shape, len(data.class_names), **settings)
    given = {"batch_size": 16, "learning_rate": 3e-3} if space == "transfer_head" else {}
    hp = fixed(explore(hypermodel), given | values, hypermodel.held)
    return TrialTask(
        space=space,
        settings=settings,
        hyperparameters=hp.get_config(),
        data=data,
        objective=parse_objective("val_loss"),
        epochs=2,
        seeds=(11,),
    )


def run(task: TrialTask) -> TrialResult:
    result = run_trial(task, lambda *_: False)
    assert result.status == "completed", result.traceback
    return result


@pytest.mark.parametrize(
    "values",
    [
        {"head_pooling": "average", "dropout": 0.2, "dense_layers": 1},
        {"head_pooling": "max", "flip": True},
        {"flip": True, "crops": "corners"},
        # The other cut is joined below; those of Keras' bases are in test_bases.py.
        {"unfreeze": True, "unfreeze_from": "stage1", "head_pooling": "max", "flip": True},
    ],
)
def test_kept_features_train_as_images_do(
    values: dict[str, Any], small: PreparedData, tmp_path: Path
) -> None:
    if "unfreeze" in values:
        values = {**values, "fine_tune_learning_rate": 1e-4}
    plain = task_of(small, **values)
    fresh, kept = run(plain), run(replace(plain, cache_dir=str(tmp_path)))
    assert fresh.features["cached"] is False
    assert kept.features["cached"] is True
    assert (fresh.trainable_parameters, fresh.frozen_parameters) == (
        kept.trainable_parameters,
        kept.frozen_parameters,
    )
    one, other = fresh.executions[0].history, kept.executions[0].history
    assert list(one) == list(other)
    for name in one:
        assert other[name] == pytest.approx(one[name], abs=METRIC_TOLERANCE), name
    # The epochs differ, so that equality is not that of a model that learns nothing.
    assert abs(one["loss"][0] - one["loss"][1]) > 2 * METRIC_TOLERANCE


@pytest.mark.parametrize("values", [{}, {"unfreeze": True, "unfreeze_from": "stage2"}])
def test_joined_model_predicts_as_the_trained_part_on_features(
    values: dict[str, Any], small: PreparedData, tmp_path: Path
) -> None:
    task = replace(task_of(small, **values), cache_dir=str(tmp_path))
    trained = train(task, SnapshotStore(task, 0, 11), lambda *_: 0)
    model, execution = trained.model, trained.execution
    assert model.input_shape == (None, SIDE, SIDE, 3)
    scores = model.evaluate(
        np.asarray(small.open("validation").images, "float32"),
        np.asarray(small.open("validation").labels),
        verbose=0,
        return_dict=True,
    )
    assert scores["loss"] == pytest.approx(execution.score, abs=2e-3)
    path = tmp_path / "joined.keras"
    model.optimizer.build(model.trainable_variables)
    model.save(path)
    images = np.asarray(small.open("test").images[:4], "float32")
    again = keras.models.load_model(path)
    assert np.allclose(
        again.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6
    )


@pytest.mark.slow
def test_a_model_with_flips_is_joined_as_plain_keras_tuner_builds_it(small: PreparedData) -> None:
    network = Network(task_of(small, flip=True))
    plain = network.space.build(network.hp)
    assert [layer.name for layer in network.whole.layers] == [layer.name for layer in plain.layers]


def key_of(data: PreparedData) -> BaseKey:
    return BaseKey(find_base(_backbone), data.shape)


def entry_of(data: PreparedData, split: str = "train", view: str = "original") -> Entry:
    return Entry(pooled_part(key_of(data)), data, split, view)


@pytest.mark.slow
def test_features_are_computed_once_and_named_by_what_determines_them(
    small: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[tuple[str, int, int]] = []
    store = FeatureStore(tmp_path, lambda *note: notes.append(note))
    first = np.array(store.open(entry_of(small), "average"))
    assert notes[-1][1:] == (small.counts["train"], small.counts["train"])
    monkeypatch.setattr(computing, "forward", None)  # nothing is computed from here on
    assert np.array_equal(FeatureStore(tmp_path).open(entry_of(small), "average"), first)
    assert isinstance(store.open(entry_of(small), "max"), np.memmap)
    mobile = Entry(pooled_part(BaseKey(BASES["MobileNet"], small.shape, 0.25)), small, "train")
    others = [entry_of(small, "validation"), entry_of(small, view=FLIPPED), mobile]
    others.append(Entry(entry_of(small).part, replace(small, fingerprint="another"), "train"))
    assert len({entry.key for entry in [entry_of(small), *others]}) == 5
    assert not any(store.has(entry) for entry in others)


@pytest.mark.slow
def test_an_entry_that_was_cut_short_is_computed_again(small: PreparedData, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    whole = np.array(store.open(entry_of(small), "max"))
    file = tmp_path / "features" / entry_of(small).key / "max.npy"
    file.write_bytes(file.read_bytes()[:500])
    assert np.array_equal(store.open(entry_of(small), "max"), whole)


def test_an_interrupted_computation_goes_on_where_it_was(
    small: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = np.array(FeatureStore(tmp_path / "whole").open(entry_of(small), "average"))
    monkeypatch.setattr(computing, "_SYNC_SECONDS", 0.0)
    monkeypatch.setattr(computing, "BATCH", 16)
    real, calls = computing.forward, []

    def killed(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(computing, "forward", killed)
    store, entry = FeatureStore(tmp_path / "cut"), entry_of(small)
    with pytest.raises(KeyboardInterrupt):
        store.open(entry, "average")
    assert not store.has(entry)
    again = store.open(entry, "average")
    assert np.allclose(again, whole, rtol=1e-4, atol=1e-5)
    batches = -(-small.counts["train"] // 16)
    assert len(calls) == batches + 1  # the one that was cut off was done again, and no other


def test_a_full_disk_is_said_and_the_trial_runs_on_images(
    small: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(features.shutil.disk_usage(tmp_path))(10**9, 10**9, 0)
    monkeypatch.setattr(features.shutil, "disk_usage", lambda path: usage)
    result = run(replace(task_of(small), cache_dir=str(tmp_path), epochs=1))
    assert result.features["cached"] is False
    assert "no room for features of small, pooled" in result.features["why"]
    assert "--cache-dir" in result.features["why"]
    assert [p for p in (tmp_path / "features").iterdir() if p.is_dir()] == []


def test_random_crops_run_uncached_and_say_so(small: PreparedData, tmp_path: Path) -> None:
    task = task_of(small)
    task = replace(task, settings=task.settings | {"crop": "0.2"}, cache_dir=str(tmp_path))
    result = run(replace(task, epochs=1))
    assert result.features == {"cached": False, "why": "random crops: every view is new"}
    assert not (tmp_path / "features").exists()


_SPACE = '''
"""A space that is not ours: a frozen random convolution under a searched dense layer."""

import keras

from search_spaces.base import ImageSpace
from search_spaces.frozen import LayerSplit, freeze_before


class RandomFeatures(ImageSpace):
    summary = "random convolution, frozen"
    meanings = {"units": "units", "learning_rate": "step size"}

    @classmethod
    def required_shape(cls, channels, settings):
        return (16, 16, channels)

    def draw(self, hp):
        rate = hp.Float("learning_rate", 1e-3, 1e-2)
        return {"units": hp.Choice("units", [16, 32]), "rate": rate}

    def build(self, hp):
        values = self.draw(hp)
        inputs = keras.Input(self.input_shape)
        x = keras.layers.Rescaling(1 / 255)(inputs)
        seeded = keras.initializers.GlorotUniform(seed=3)
        x = keras.layers.Conv2D(24, 5, activation="relu", kernel_initializer=seeded)(x)
        x = keras.layers.Flatten()(keras.layers.MaxPooling2D(4, name="embedding")(x))
        x = keras.layers.Dense(values["units"], activation="relu")(x)
        model = keras.Model(inputs, self.output_layer()(x))
        freeze_before(model, "embedding")
        self.compile(model, keras.optimizers.Adam(values["rate"]))
        return model

    def split(self, hp):
        return LayerSplit(self.build(hp), "embedding", "random convolution")
'''


@pytest.fixture
def foreign_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "random_features.py").write_text(_SPACE)
    monkeypatch.setattr(
        search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path / "spaces")]
    )
    return "random_features"


def test_a_space_of_another_maker_declares_its_frozen_part(
    foreign_space: str, cache_dir: Path, tmp_path: Path
) -> None:
    data = prepare("digits", lambda c: (16, 16, c), cache_dir, sample=300)
    task = replace(task_of(data, foreign_space, units=32), epochs=3)
    fresh, kept = run(task), run(replace(task, cache_dir=str(tmp_path)))
    engines = [f"TensorFlow {metadata.version('tensorflow')}"]
    assert kept.features == {"cached": True, "parts": ["random convolution"], "engines": engines}
    for name, values in fresh.executions[0].history.items():
        assert kept.executions[0].history[name] == pytest.approx(values, abs=METRIC_TOLERANCE)
    # Another trial, with other values, computes nothing anew.
    before = sorted(p.name for p in (tmp_path / "features").iterdir())
    run(replace(task_of(data, foreign_space, units=16), cache_dir=str(tmp_path), epochs=1))
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == before


_PHASES = """    def phases(self, hp, epochs):
        def faster(model):
            model.optimizer.learning_rate = 0.5

        return [Phase(1), Phase(epochs - 1, faster)]
"""
_ONE_PHASE = _PHASES.replace("[Phase(1), Phase(epochs - 1, faster)]", "[Phase(epochs, faster)]")
_AUGMENTED = """    def augmentation(self, hp):
        return (lambda images, rng: 255 - images) if hp.get("units") == 16 else None
"""


@pytest.mark.parametrize(
    ("more", "units", "why"),
    [
        (_PHASES, 16, "a phase of its training changes the network"),
        (_ONE_PHASE, 16, "a phase of its training changes the network"),
        (_AUGMENTED, 16, "training images are changed anew in each epoch"),
        (_AUGMENTED, 32, None),
    ],
)
@pytest.mark.usefixtures("foreign_space")
def test_what_only_a_training_on_images_does_keeps_no_features(
    more: str, units: int, why: str | None, cache_dir: Path, tmp_path: Path
) -> None:
    text = _SPACE.replace("import ImageSpace\n", "import ImageSpace, Phase\n") + "\n" + more
    name = f"more_{len(more)}_{units}"  # a space is imported once
    (tmp_path / "spaces" / f"{name}.py").write_text(text)
    data = prepare("digits", lambda c: (16, 16, c), cache_dir, sample=300)
    task = task_of(data, name, units=units)
    fresh, kept = run(task), run(replace(task, cache_dir=str(tmp_path)))
    assert kept.features.get("why") == why
    for name, values in fresh.executions[0].history.items():
        assert kept.executions[0].history[name] == pytest.approx(values, abs=METRIC_TOLERANCE)


def _flipping() -> keras.Model:
    flips = [keras.Input((8, 8, 1)), keras.layers.RandomFlip(name="flips")]
    return keras.Sequential([*flips, keras.layers.Conv2D(2, 3)])


@pytest.mark.parametrize(
    ("frozen", "drawing"),
    [
        (lambda x: keras.layers.RandomFlip(name="flips")(x), "flips"),
        (lambda x: keras.layers.Dropout(0.3, name="drops")(x), "drops"),
        (lambda x: _flipping()(x), "flips"),
        (lambda x: _flipping()(x, training=False), None),
        (lambda x: keras.layers.Dropout(0.0)(keras.layers.BatchNormalization()(x)), None),
    ],
)
def test_a_frozen_part_that_draws_in_training_is_not_kept(frozen: Any, drawing: str | None) -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten(name="cut")(frozen(image))
    model = keras.Model(image, keras.layers.Dense(2)(x))
    model.compile(loss="mse")
    why = drawing and f"layer {drawing!r} of the frozen part draws anew in each epoch"
    assert LayerSplit(model, "cut", "random").uncached == why


def test_what_is_trained_behind_a_cut_is_compiled_as_the_whole_model() -> None:
    image = keras.Input((4, 4, 1))
    cut = keras.layers.Flatten(name="cut")(image)
    model = keras.Model(image, keras.layers.Dense(1, kernel_initializer="ones")(cut))
    model.compile(
        "sgd", "mse", loss_weights=[3.0], weighted_metrics=["mae"], run_eagerly=True,
        steps_per_execution=2,
    )  # fmt: skip
    split = LayerSplit(model, "cut", "pixels")
    trained = split.cuts(1)[0].trainable()
    images, targets = np.ones((2, 4, 4, 1)), np.zeros((2, 1))
    how = {"sample_weight": np.array([1.0, 2.0]), "verbose": 0, "return_dict": True}
    scores = trained.evaluate(images.reshape(2, 16), targets, **how)
    assert scores == model.evaluate(images, targets, **how)
    assert set(scores) == {"loss", "mae"}
    for name in ("run_eagerly", "jit_compile", "steps_per_execution", "optimizer"):
        assert getattr(trained, name) is getattr(model, name), name


def test_code_that_cannot_be_told_keeps_no_features_and_is_named(
    foreign_space: str, cache_dir: Path, tmp_path: Path
) -> None:
    text = _SPACE.replace("import keras\n", "import itertools\n\nimport keras\n", 1).replace(
        "        x = keras.layers.Rescaling(1 / 255)(inputs)\n",
        "        drawn = itertools.count()\n"
        '        own = keras.layers.Lambda(lambda x: x / 255 if drawn else x, name="own")\n'
        "        x = own(inputs)\n",
    )
    (tmp_path / "spaces" / "untold.py").write_text(text)
    data = prepare("digits", lambda c: (16, 16, c), cache_dir, sample=100)
    result = run(replace(task_of(data, "untold", units=16), cache_dir=str(tmp_path), epochs=1))
    why = "what layer 'own' computes can't be told: it uses a count"
    assert result.features == {"cached": False, "why": why}
    space = space_class("untold")(data.shape, 10)
    assert forecast(space, explore(space), data, tmp_path) == [f"features are not kept ({why})"]


@pytest.mark.usefixtures("foreign_space")
def test_a_model_that_runs_eagerly_trains_on_kept_vectors_by_batch_and_goes_on(
    cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainable = LayerSplit._trainable

    def eager(split: LayerSplit) -> keras.Model:
        model = trainable(split)
        model.run_eagerly = True
        return model

    text = _SPACE.replace("Flatten()", 'Flatten(name="vectors")')
    text = text.replace('"embedding", "random', '"vectors", "random')
    (tmp_path / "spaces" / "random_vectors.py").write_text(text)
    data = prepare("digits", lambda c: (16, 16, c), cache_dir, sample=300)
    task = replace(task_of(data, "random_vectors", units=16), cache_dir=str(tmp_path))
    usual = run(task).executions[0].history
    monkeypatch.setattr(LayerSplit, "_trainable", eager)
    task = replace(task, snapshots=str(tmp_path))
    assert run_trial(task, lambda *_: Answer.PAUSE).status == "paused"
    for name, values in run(task).executions[0].history.items():
        assert usual[name] == pytest.approx(values, abs=METRIC_TOLERANCE), name


@pytest.mark.parametrize("spare", [0, -1])
def test_vectors_are_gathered_at_once_while_those_of_both_splits_have_room(
    spare: int, small: PreparedData, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_bytes = (small.counts["train"] + small.counts["validation"]) * 32 * 4  # 32 channels
    monkeypatch.setattr("experiments.training.train._MOST_EPOCH_BYTES", num_bytes + spare)
    made, asked = Feed.dataset, []

    def noted(feed: Feed, by_epoch: bool = False) -> Any:
        asked.append(by_epoch)
        return made(feed, by_epoch)

    monkeypatch.setattr(Feed, "dataset", noted)
    run(replace(task_of(small), cache_dir=kept, epochs=1))
    assert asked == [spare == 0] * 2


def test_a_view_that_does_not_fit_half_precision_stays_as_it_is() -> None:
    views = [
        lambda places: np.ones((len(places), 2), "float16"),
        lambda places: np.full((len(places), 2), 7e4, "float32"),
    ]
    feed = Feed(views, np.zeros(64, "int64"), 32, seed=1)
    assert set(feed.batch(0)[0].ravel()) == {1.0, 7e4}
    assert feed.epoch_bytes == 64 * 2 * 4


def test_seconds_are_recorded_by_phase(small: PreparedData, tmp_path: Path) -> None:
    task = replace(
        task_of(small), cache_dir=str(tmp_path), checkpoint=str(tmp_path / "c.weights.h5")
    )
    seconds = run(task).executions[0].seconds
    assert set(seconds) == {"clear", "build", "features", "trace", "fit", "evaluate", "save"}
    assert all(value >= 0 for value in seconds.values())
    assert (tmp_path / "c.weights.h5").is_file()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("kept"))


@pytest.mark.parametrize("answer", [Answer.GO, Answer.STOP])
@pytest.mark.parametrize("written", [True, False])
def test_a_checkpoint_is_written_only_where_it_may_be_kept(
    answer: Answer, written: bool, small: PreparedData, kept: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.weights.h5"
    task = replace(task_of(small), epochs=2, cache_dir=kept, checkpoint=str(path))
    beaten, unbeaten = 1e9, -math.inf  # val_loss: less is better
    above = {Answer.GO: unbeaten, Answer.STOP: unbeaten} | ({answer: beaten} if written else {})
    task = replace(
        task, checkpoint_above=above[Answer.GO], checkpoint_above_stopped=above[Answer.STOP]
    )
    result = run_trial(task, lambda *_: answer)
    assert result.status == ("completed" if answer == Answer.GO else "pruned"), result.traceback
    assert path.exists() == written


def test_cache_lists_and_prunes(small: PreparedData, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    for split in ("train", "validation"):
        store.open(entry_of(small, split), "average")
    old = tmp_path / "features" / entry_of(small).key / "info.json"
    os.utime(old, (time.time() - 40 * 86400,) * 2)

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["cache", "--cache-dir", str(tmp_path), *arguments])

    listed = call().stdout
    count = small.counts["train"]
    assert f"small, pooled, train: {count} images of digits" in listed
    assert "40 d" in listed
    assert "removed 1 entry" in call("--prune", "--older-than", "30d").stdout
    assert not store.has(entry_of(small))
    assert store.has(entry_of(small, "validation"))
    assert "removed 1 entry" in call("--prune", "--max-size", "5kB").stdout
    assert "0 B in 0 entries" in call().stdout
    for wrong in (["--older-than", "30d"], ["--prune", "--older-than", "soon"]):
        refused = call(*wrong)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_a_search_says_first_what_features_will_take(cache_dir: Path, tmp_path: Path) -> None:
    arguments = [
        "search", "transfer_head", "--dataset", "digits", "--sample", "100", "--max-trials", "1",
        "--max-epochs", "1", "--confirm", "0", "--workers", "0", "--name", "t",
        "--runs-dir", str(tmp_path / "runs"), "--cache-dir", str(tmp_path / "cache"),
        "--set", "weights=none", "--set", "alpha=0.35", "--set", "image_size=32",
        "--fix", "unfreeze=false", "--fix", "flip=true",
    ]  # fmt: skip
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    said = result.stdout.splitlines()
    picked = next(i for i, line in enumerate(said) if line.startswith("auto: --method qmc, "))
    features = said[picked + 1]
    assert features.startswith("features of MobileNetV2 0.35, pooled: 160 images, about ")
    assert "images/s), 1.6 MB" in features
    assert any("train, flipped: 70 images in" in line for line in said)
    record = json.loads((tmp_path / "runs" / "t" / "trial_0000" / "result.json").read_text())
    engines = [f"TensorFlow {metadata.version('tensorflow')}"]  # for so few images
    parts = ["MobileNetV2 0.35, pooled"]
    assert record["features"] == {"cached": True, "parts": parts, "engines": engines}


@pytest.mark.slow
def test_same_weights_in_every_trial_even_if_they_are_random() -> None:
    key = BaseKey(BASES["MobileNet"], (SIDE, SIDE, 3), 0.25)
    keras.utils.set_random_seed(1)
    one = key.build().get_weights()
    keras.utils.set_random_seed(2)
    other = key.build().get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_corners_are_windows_of_the_images_at_their_size() -> None:
    ramp = np.arange(0, 160, 10, dtype=np.uint8)  # by column
    images = np.broadcast_to(ramp[None, None, :, None], (2, 16, 16, 3))
    left, right = VIEWS["top left"](images), VIEWS["bottom right"](images)
    assert (left.shape, left.dtype) == (images.shape, np.uint8)
    assert (left[0, 0, 0, 0], left[0, 0, -1, 0]) == (0, 130)  # the first 14 of 16 columns
    assert (right[0, 0, 0, 0], right[0, 0, -1, 0]) == (20, 150)
    down = VIEWS["bottom left"](images.transpose(0, 2, 1, 3))
    assert (down[0, 0, 0, 0], down[0, -1, 0, 0]) == (20, 150)


def test_possible_parts_follow_what_is_fixed() -> None:
    settings = {"base": "MobileNet", "alpha": "0.25,0.5", "weights": "none"}
    space = space_class("transfer_head")((SIDE, SIDE, 3), 2, **settings)
    everything = space.possible_parts(explore(space))
    assert len(everything) == 2 * (1 + 4)
    held = {"unfreeze": True, "unfreeze_from": "conv_dw_13", "alpha": 0.25, "flip": False}
    few = space.possible_parts(fixed(explore(space), held))
    assert [(part.name, views) for part, views in few] == [
        ("MobileNet 0.25, pooled", ("original",)),
        ("MobileNet 0.25 before conv_dw_13", ("original",)),
    ]


@pytest.mark.parametrize("lacking", sorted(space_class("transfer_head").added))
def test_a_study_begun_before_a_hyperparameter_existed_is_forecast(
    lacking: str, small: PreparedData, tmp_path: Path
) -> None:
    space = space_class("transfer_head")(small.shape, len(small.class_names), base=_backbone)
    recorded = [hp for hp in describe_space(explore(space)) if hp["name"] != lacking]
    older = searched_space(space, SearchConfig("transfer_head"), recorded)
    assert lacking not in {hp.name for hp in older.space}
    assert forecast(space, older, small, tmp_path)[0].startswith("features of small, pooled: ")


@pytest.mark.usefixtures("foreign_space")
def test_a_forecast_of_frozen_layers_leaves_the_space_as_it_is(
    cache_dir: Path, tmp_path: Path
) -> None:
    data = prepare("digits", lambda c: (16, 16, c), cache_dir, sample=300)
    text = _SPACE.replace(
        "        return LayerS", '        hp.Int("more", 1, 3)\n        return LayerS'
    )
    (tmp_path / "spaces" / "drawing_more.py").write_text(text)
    space = space_class("drawing_more")(data.shape, 10)
    hp = explore(space)
    before = describe_space(hp)
    assert forecast(space, hp, data, tmp_path)[0].startswith("features of random convolution: ")
    assert describe_space(hp) == before


def test_features_of_each_base_are_forecast_if_it_can_be_drawn(
    small: PreparedData, tmp_path: Path
) -> None:
    settings = {"base": f"MobileNet,{_backbone}", "alpha": "0.25", "weights": "none"}
    space = space_class("transfer_head")(small.shape, len(small.class_names), **settings)
    hp = explore(space)
    lines = forecast(space, hp, small, tmp_path)
    images = small.counts["train"] * 2 + small.counts["validation"]  # as they are and flipped
    before = [f"MobileNet 0.25 before {cut}" for cut in BASES["MobileNet"].cuts]
    assert [line.split(":")[0] for line in lines] == [
        "features of MobileNet 0.25, pooled",
        f"and of up to 4 more ({', '.join(before)})",
        "features of small, pooled",
        "and of up to 2 more (small before stage2, small before stage1)",
    ]
    assert all(f": {images:,} images, about " in line for line in lines[::2])
    line = forecast(space, hp, replace(small, inputs=Inputs.ARRAYS), tmp_path)[0]
    assert f": {images:,} rows, about " in line
    assert " rows/s" in line
    (line,) = forecast(space, fixed(hp, {"base": "MobileNet", "unfreeze": False}), small, tmp_path)
    assert line.startswith("features of MobileNet 0.25, pooled: ")
