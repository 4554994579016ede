"""Every row of the table of backbones: its cuts, its preprocessing, cached and uncached alike."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.hyperparameters.space_files import space_files
from search_spaces._backbone import (
    BaseKey,
    TransferNetwork,
    shared_base,
    unfreeze_from,
)
from search_spaces._bases import BASES, Base, find_base
from search_spaces._by_base import parse_bases
from search_spaces._cuts import layers_before, stage_cuts, tensors_before
from search_spaces.transfer_head import TransferHead
from tests.conftest import SHARED
from tests.search_spaces.backbones import draw_through, own_backbone

# Quick enough to be built and run at each test run; the others are run by the slow tests.
_QUICK = {"MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "ResNet50", "VGG16"}
# One of each family is run; the others have the same layers, and more of them.
_RUN = _QUICK | {
    "EfficientNetV2B0", "ResNet50V2", "DenseNet121", "Xception", "InceptionV3",
    "InceptionResNetV2", "NASNetMobile", "ConvNeXtTiny",
}  # fmt: skip
# Deeper or wider ones of another: they are built of the same stages, with the same names.
_LIKE = {
    "EfficientNetB0": [f"EfficientNetB{number}" for number in range(1, 8)],
    "EfficientNetV2B0": [f"EfficientNetV2B{number}" for number in range(1, 4)],
    "EfficientNetV2M": ["EfficientNetV2L"],
    "ResNet50": ["ResNet101", "ResNet152"],
    "ResNet50V2": ["ResNet101V2", "ResNet152V2"],
    "DenseNet169": ["DenseNet201"],
    "ConvNeXtTiny": ["ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"],
}
_OTHERS = {name: first for first, names in _LIKE.items() for name in names}


def rows(names: Iterable[str]) -> Any:
    return pytest.mark.parametrize(
        "name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]
    )


def key_of(base: Base) -> BaseKey:
    return BaseKey(base, (base.least, base.least, 3), min(base.alphas, default=1.0))


@rows(n for n in BASES if n not in _OTHERS)
def test_every_cut_of_a_base_separates_its_layers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_value(self: Any, initializer: Any) -> None:
        # Making thousands of values takes longer than all the rest.
        self._value, self._initializer = None, initializer

    monkeypatch.setattr(keras.Variable, "_initialize_with_initializer", without_value)
    key = key_of(BASES[name])
    base = key.build()
    left: list[int] = []
    for cut in key.base.cuts:
        tensors = tensors_before(base, cut, key.base.streams)
        keras.Model(tensors, base.output)  # which raises where a path leads around it
        unfreeze_from(base, key.base, cut)
        assert 0 < len(base.trainable_weights) < len(base.weights)
        kept = layers_before(base, tensors)
        assert all(not layer.trainable_weights for layer in base.layers if id(layer) in kept)
        left.append(len(kept))
    assert left == sorted(set(left), reverse=True)  # the one that unfreezes the least comes first


@pytest.mark.parametrize("name", _OTHERS)
def test_a_deeper_base_is_cut_as_the_one_of_its_family_that_is_built(name: str) -> None:
    def cuts(of: str) -> list[str]:
        size = f"_{of.removeprefix('ConvNeXt').lower()}_"  # ConvNeXt has it in its layers' names
        return [cut.replace(size, "_") for cut in BASES[of].cuts]

    assert cuts(name) == cuts(_OTHERS[name])


@rows(n for n in BASES if n in _RUN)
def test_trained_on_features_or_on_images_a_base_predicts_the_same(
    name: str, own_bases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = keras.initializers.VarianceScaling.__call__

    def zeros(self: Any, shape: Any, dtype: Any = None) -> Any:  # convolutions are drawn afterwards
        return np.zeros(shape, dtype) if len(shape) == 4 else drawn(self, shape, dtype)

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", zeros)
    key = key_of(BASES[name])
    draw_through(shared_base(key))
    cuts = key.base.cuts if name in _QUICK else key.base.cuts[:1] + key.base.cuts[-1:]
    check_equal(key, cuts)


@pytest.mark.parametrize(
    ("name", "alpha", "file"),
    [
        ("MobileNet", 0.25, None),
        ("MobileNetV2", 0.35, None),
        ("MobileNetV3Small", 0.75, "mobilenet_v3_small_0.75_224_no_top.h5"),
    ],
)
def test_trained_weights_predict_the_same_on_features(
    name: str, alpha: float, file: str | None, imagenet: None
) -> None:
    weights = "imagenet" if file is None else str(SHARED / "weights" / file)
    if file is not None and not Path(weights).is_file():
        pytest.skip("the weights file is not beside this checkout")
    # No size that Keras has weights of its own for: it takes those of 224 pixels.
    key = BaseKey(BASES[name], (80, 80, 3), alpha, weights)
    check_equal(key, key.base.cuts[:1] + key.base.cuts[-1:])  # the same cuts as above


def check_equal(key: BaseKey, cuts: tuple[str, ...]) -> None:
    """Each trained part on features predicts what the whole network does on images."""
    images = np.random.default_rng(1).integers(0, 256, (2, *key.shape)).astype("float32")
    space = TransferHead(key.shape, 3, base=key.base.path or key.base.name, weights="none")
    values = space.draw(keras_tuner.HyperParameters()) | {"fine_tune_learning_rate": 1e-4}
    values |= {"alpha": key.alpha, "unfreeze": True}
    split = TransferNetwork(space, key, values, 0.0)
    whole = split.join()
    pooled = split.cuts(1)[0]
    features = pooled.part.model(images, training=False)[pooled.output]
    assert np.ptp(features, axis=0).max() > 1e-3 * np.abs(features).max()  # images are told apart
    kernel = whole.get_layer("probabilities").kernel
    kernel.assign(kernel / np.abs(features).max())
    expected = np.asarray(whole(images, training=False))
    assert np.ptp(expected) > 1e-2  # equal probabilities would agree with anything
    parted = np.asarray(pooled.trainable()(features, training=False))
    assert parted == pytest.approx(expected, abs=1e-3)
    for cut in cuts:
        values["unfreeze_from"] = cut
        last = split.cuts(2)[-1]
        features = last.part.model(images, training=False)[last.output]
        parted = np.asarray(last.trainable()(features, training=False))
        assert parted == pytest.approx(expected, abs=1e-3), cut
    shared_base.cache_clear()


def preprocessed_by_keras(name: str, images: Any) -> Any:
    modules = [m for m in vars(keras.applications).values() if hasattr(m, "preprocess_input")]
    own = [module for module in modules if hasattr(module, name)]
    module = own[0] if own else keras.applications.mobilenet_v3
    return np.asarray(module.preprocess_input(images.copy()))


IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")
# A base of each kind of preprocessing.
_PREPROCESSED = ("MobileNet", "MobileNetV3Small", "DenseNet121", "VGG16")


@pytest.mark.parametrize("name", BASES)
def test_preprocessing_is_that_of_keras(name: str) -> None:
    found = BASES[name].preprocess(keras.ops.convert_to_tensor(IMAGES))
    assert np.allclose(found, preprocessed_by_keras(name, IMAGES), atol=1e-4)


@pytest.mark.parametrize("name", _PREPROCESSED)
def test_preprocessing_is_saved_with_the_model(name: str, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Identity()(BASES[name].preprocess(inputs)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert np.allclose(again(IMAGES), preprocessed_by_keras(name, IMAGES), atol=1e-4)


def test_each_kind_of_preprocessing_is_saved_once() -> None:
    kinds = [BASES[name].preprocess for name in _PREPROCESSED]
    assert set(kinds) == {base.preprocess for base in BASES.values()}


def test_the_table_has_every_family() -> None:
    named = {n for n in vars(keras.applications) if n[0].isupper()}
    assert named == set(BASES)


def test_stages_of_a_base_are_found_without_its_row() -> None:
    model = key_of(BASES["MobileNetV2"]).build()
    assert stage_cuts(model) == ("Conv_1", "block_13_expand", "block_6_expand", "block_3_expand")


def test_a_backbone_of_ones_own_is_cut_by_its_stages(tmp_path: Path) -> None:
    path = own_backbone(tmp_path / "mine.keras")
    base = find_base(path)
    assert (base.name, base.size, base.least) == ("mine", 224, 32)
    assert base.cuts == ("stage2", "stage1")
    key = BaseKey(base, (48, 48, 3))
    assert shared_base(key).output.shape == (None, 6, 6, 32)
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype("float32")
    expected = np.asarray(keras.models.load_model(path)(images))
    assert np.asarray(shared_base(key)(images)) == pytest.approx(expected, abs=1e-4)
    assert key.edition == 1  # features that were kept of it before are wrong
    check_equal(key, base.cuts)


def test_a_file_may_be_called_as_a_layer_of_the_network(tmp_path: Path) -> None:
    content = Path(own_backbone(tmp_path / "mine.keras", 32)).read_bytes()
    values = {"flip": True, "dense_layers": 2, "unfreeze": True, "unfreeze_from": "stage2"}

    def names(called: str) -> list[str]:
        path = tmp_path / f"{called}.keras"
        path.write_bytes(content)
        space = TransferHead((32, 32, 3), 2, base=str(path), crop=0.2)
        hp = keras_tuner.HyperParameters()
        hp.values |= values
        split = space.split(hp)
        models = [split.join(), split.cuts(2)[0].part.model]
        return [layer.name for model in models for layer in model.layers]

    taken = set(names("mine")) - {"mine"}
    assert not taken & {Base(name, ()).layer_name for name in taken}
    assert "dropout_base" in names("dropout")


@pytest.mark.parametrize("kind", ["base", "weights"])
def test_a_file_that_is_saved_again_is_read_again(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("mine.keras" if kind == "base" else "mine.weights.h5")
    settings = {"base": str(path)} if kind == "base" else {"base": "MobileNet", "alpha": 0.25}
    if kind == "weights":
        settings["weights"] = str(path)
        model = BaseKey(BASES["MobileNet"], (32, 32, 3), 0.25).build()
    else:
        model = keras.models.load_model(own_backbone(path, 32))
    kernel = next(weight for weight in model.weights if len(weight.shape) == 4)

    def kernels() -> list[Any]:
        space = TransferHead((32, 32, 3), 2, **settings)
        split = space.split(keras_tuner.HyperParameters())
        models = [shared_base(space._key(space.bases[0], 0.25)), split.cuts(1)[0].part.model]
        models.append(split.join())
        name = kernel.path.rpartition("/")[2]
        return [next(w for w in m.weights if w.path.endswith(name)) for m in models]

    for value in (1.0, 2.0):
        kernel.assign(keras.ops.full(kernel.shape, value))
        model.save(path) if kind == "base" else model.save_weights(path)
        assert [float(found.numpy().mean()) for found in kernels()] == [value] * 3


class Unconfigured(keras.layers.Layer):
    """A layer whose config has what its constructor does not take."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": 3}


def test_files_that_are_no_backbone_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no archive")
    inputs = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, keras.layers.Dense(2)(pooled)).save(tmp_path / "topped.keras")
    keras.Model(inputs, Unconfigured()(inputs)).save(tmp_path / "odd.keras")
    own_backbone(tmp_path / "VGG16.keras")
    expected = {
        "text": "can't be loaded",
        "topped": "save it without its top",
        "odd": "can't be loaded: ",
        "VGG16": "name of its own",
    }
    for name, message in expected.items():
        with pytest.raises(ValueError, match=message) as caught:
            find_base(str(tmp_path / f"{name}.keras"))
        assert "\n" not in str(caught.value)


def without_cuts(path: Path) -> str:
    inputs = keras.Input((None, None, 3))
    keras.Model(inputs, keras.layers.Conv2D(8, 3, strides=2)(inputs)).save(path)
    return str(path)


def test_several_bases_are_searched_each_with_its_own_cuts(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "base": f"MobileNet,MobileNetV2,{without_cuts(tmp_path / 'plain.keras')}",
        "alpha": "MobileNet=0.25,0.5,MobileNetV2=0.35",
        "weights": "none",
    }
    space = TransferHead((32, 32, 3), 2, **settings)
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    conditions = {h.name: {c.name: c.values for c in h.conditions} for h in hp.space}
    assert conditions["alpha_MobileNet"] == {"base": ["MobileNet"]}
    assert conditions["unfreeze"] == {"base": ["MobileNet", "MobileNetV2"]}
    assert conditions["unfreeze_from_MobileNetV2"]["unfreeze"] == [True]
    assert "unfreeze_from" not in conditions
    hp = keras_tuner.HyperParameters()
    hp.values |= {"base": "MobileNet", "alpha_MobileNet": 0.25, "unfreeze": True}
    hp.values |= {"unfreeze_from_MobileNet": "conv_dw_12"}
    model = space.build(hp)
    space.phases(hp, 2)[1].prepare(model)
    assert model.get_layer("MobileNet").get_layer("conv_dw_12").trainable
    assert not model.get_layer("MobileNet").get_layer("conv_pw_11").trainable


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base": "MobileNetV4"}, "did you mean MobileNetV"),
        ({"base": "nowhere.keras"}, "no file at 'nowhere.keras'"),
        ({"base": "Xception", "size": 64}, "Xception needs RGB images of 71x71"),
        ({"base": "VGG16", "alpha": "0.5"}, "VGG16 has one width"),
        ({"base": "VGG16,MobileNet", "alpha": "VGG16=0.5"}, "VGG16 has one width"),
        ({"alpha": "ResNet50=0.5"}, "alpha of 'ResNet50': base is MobileNetV2"),
        ({"base": "MobileNet,MobileNetV2", "alpha": "MobileNet=0.35"}, "MobileNet for alpha"),
        ({"base": "MobileNet,MobileNetV2", "weights": __file__}, "say which, as in weights="),
        ({"weights": "MobileNetV2=/no/such"}, "no file at '/no/such'"),
    ],
)
def test_settings_of_bases_that_do_not_fit_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    side = settings.pop("size", 224)
    with pytest.raises(ValueError, match=message):
        TransferHead((side, side, 3), 2, **settings)


@pytest.mark.parametrize("weights", ["none", "imagenet", __file__])
def test_weights_for_bases_that_come_with_theirs_are_refused(weights: str, tmp_path: Path) -> None:
    own = without_cuts(tmp_path / "plain.keras")
    places = ["--runs-dir", str(tmp_path / "runs"), "--cache-dir", str(tmp_path / "cache")]
    given = ["--dataset", "digits", "--sample", "40", "--max-trials", "1", "--max-epochs", "1"]
    given += ["--set", f"base={own}", "--set", f"weights={weights}", "--set", "image_size=32"]
    result = CliRunner().invoke(main, ["search", "transfer_head", *given, *places])
    assert result.exit_code == 2, result.output
    assert result.stderr == (
        "error: space transfer_head: plain: a base from a file has the weights of it: leave "
        "weights out\n"
    )
    assert not (tmp_path / "runs").exists()
    TransferHead.check_settings({"base": f"{own},MobileNet", "weights": weights})
    TransferHead((32, 32, 3), 2, base=own, weights="none")  # recorded studies have it


@pytest.mark.parametrize(
    "given", ["base={}", "base=MobileNet, {}", "weights={}", "weights=MobileNetV2={}"]
)
def test_a_path_with_a_comma_is_refused_as_it_was_written(given: str, tmp_path: Path) -> None:
    (tmp_path / "one, two").mkdir()
    path = without_cuts(tmp_path / "one, two" / "own.keras")
    arguments = ["--dataset", "digits", "--runs-dir", str(tmp_path / "runs")]
    arguments += ["--set", given.format(path)]
    result = CliRunner().invoke(main, ["search", "transfer_head", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stderr == (
        f"error: space transfer_head: a path with a comma can't be used, {path!r}: commas separate "
        "several values; rename it\n"
    )


def test_more_bases_are_taken_than_a_file_name_has_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    isfile = os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: bool(asked.append(path)) or isfile(path))
    given = ",".join(["MobileNetV2", "MobileNet"] * 20)
    assert [base.name for base in parse_bases(given)] == ["MobileNetV2", "MobileNet"]
    assert not asked
    for text in ("a" * 300, "a\0b"):
        with pytest.raises(ValueError, match="no file at"):
            parse_bases(f"{text}.keras")
    assert space_files({"base": f"{given}, {'a' * 300}.keras"}) == {}


def test_choices_that_a_wider_range_brings_are_refused() -> None:
    space = TransferHead((32, 32, 3), 2, weights="none", alpha=0.35)
    hp = keras_tuner.HyperParameters()
    hp.values |= {"unfreeze": True, "fine_tune_schedule": "linear"}
    with pytest.raises(ValueError, match="'linear': there are constant, warmup_cosine"):
        space.split(hp)


def test_images_have_the_size_of_the_base() -> None:
    assert TransferHead.required_shape(3, {}) == (224, 224, 3)
    assert TransferHead.required_shape(3, {"base": "Xception"}) == (299, 299, 3)
    assert TransferHead.required_shape(3, {"base": "Xception,MobileNet"}) == (224, 224, 3)
    assert TransferHead.required_shape(3, {"image_size": 96}) == (96, 96, 3)
