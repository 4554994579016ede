"""Engines of features: OpenVINO where it pays and gives TensorFlow's numbers, TensorFlow else."""

import json
import multiprocessing
import sys
import time
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import convnext, densenet, efficientnet

import experiments.training.engines as engines
import experiments.training.feature_computing as computing
from experiments.data.prepare import PreparedData
from experiments.process.numerics import intra_op_threads
from experiments.record.numerics import engine_difference
from experiments.training.engines import (
    OPENVINO,
    TENSORFLOW,
    TOLERANCE,
    Engine,
    engine_of,
    forward,
    largest_difference,
    pays,
)
from experiments.training.feature_entry import Entry
from experiments.training.feature_rows import Rows
from experiments.training.features import FeatureStore
from search_spaces._backbone import BaseKey, part_before, pooled_part, shared_base
from search_spaces._bases import BASES
from search_spaces.frozen import FLIPPED, FrozenPart
from tests.search_spaces.backbones import draw_through

SIDE = 12
_QUICK = {"MobileNetV2", "MobileNetV3Small"}
# Three more kinds of layers: what Keras builds these of, in few and narrow blocks.
_SHALLOW = {
    "ConvNeXtTiny": partial(convnext.ConvNeXt, [1, 1, 1, 1], [8, 16, 24, 32], name="convnext_tiny"),
    "DenseNet121": partial(densenet.DenseNet, [1, 1, 1, 1]),
    "EfficientNetB0": partial(efficientnet.EfficientNet, 0.25, 0.1, 224),
}
LABEL = {name: f"{name} {metadata.version(name.lower())}" for name in (TENSORFLOW, OPENVINO)}


def dataset(folder: Path, count: int, side: int = SIDE) -> PreparedData:
    """Smooth images, as `prepare` leaves them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 4, 4, 3))
    images = np.repeat(np.repeat(coarse, -(-side // 4), 1), -(-side // 4), 2)[:, :side, :side]
    for split in ("train", "validation"):
        np.save(folder / f"{split}-images.npy", images.astype(np.uint8))
        np.save(folder / f"{split}-labels.npy", np.arange(count) % 2)
        np.save(folder / f"{split}-sizes.npy", np.full((count, 2), side))
    (folder / "info.json").write_text(json.dumps({"name": "x", "shape": [side, side, 3]}))
    counts = {"train": count, "validation": count}
    return PreparedData(str(folder), "x", ("a", "b"), (side, side, 3), counts, f"{folder}")


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    return dataset(tmp_path / "data", 21)


def part_of(*layers: Any, shape: tuple[Any, ...] = (SIDE, SIDE, 3)) -> FrozenPart:
    """A convolution under given layers; a map and a vector."""
    image = keras.Input(shape)
    x = keras.layers.Conv2D(5, 3, kernel_initializer=keras.initializers.HeNormal(1))(image)
    for layer in layers:
        x = layer(x)
    outputs = {"map": x, "average": keras.layers.GlobalAveragePooling2D()(x)}
    return FrozenPart("layers", keras.Model(image, outputs))


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Converting pays, however few images there are."""
    monkeypatch.setattr(engines, "pays", lambda part, data: True)


def expected(part: FrozenPart, images: Any) -> dict[str, Any]:
    found = part.model(np.asarray(images, "float32"), training=False)
    return {name: np.asarray(value) for name, value in found.items()}


def assert_same(found: dict[str, Any], right: dict[str, Any]) -> None:
    assert sorted(found) == sorted(right)
    for name, values in right.items():
        assert found[name].shape == values.shape
        assert np.abs(values).max() > 0
        assert largest_difference([found[name]], [values]) <= TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        *sorted(_QUICK),
        # Each search compares the engines on its own images: that is enough.
        *(pytest.param(n, marks=pytest.mark.slow) for n in _SHALLOW),
    ],
)
def test_openvino_computes_bases_as_keras_does(
    name: str,
    always: None,
    own_bases: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name in _SHALLOW:
        monkeypatch.setattr(keras.applications, name, _SHALLOW[name])
    row = BASES[name]
    data = dataset(tmp_path / "data", 9, row.least)
    key = BaseKey(row, data.shape, min(row.alphas, default=1.0))
    draw_through(shared_base(key))
    images = data.open("train").images
    for part in (pooled_part(key), part_before(key, row.cuts[-1])):
        engine = engine_of(part, data)
        assert (engine.name, engine.refused) == (OPENVINO, "")
        assert_same(forward(engine, images, FLIPPED), expected(part, images[:, :, ::-1]))


@pytest.mark.parametrize("count", [1, 8, 21])
def test_an_image_has_the_same_features_in_any_batch(
    count: int, always: None, data: PreparedData
) -> None:
    engine = engine_of(part_of(), data)
    images = data.open("train").images
    whole, first = (forward(engine, x, "original") for x in (images, images[:count]))
    assert all(np.array_equal(whole[name][:count], first[name]) for name in whole)


def test_openvino_computes_with_the_threads_of_the_process(
    always: None, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    given: list[Any] = []
    real = openvino.Core.compile_model

    def noted(core: Any, *arguments: Any) -> Any:
        given.append(real(core, *arguments))
        return given[-1]

    monkeypatch.setattr(openvino.Core, "compile_model", noted)
    monkeypatch.setattr(engines, "intra_op_threads", lambda: 1)
    assert intra_op_threads() >= 1
    assert engine_of(part_of(), data).name == OPENVINO
    (compiled,) = given
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_converting_reports_to_nobody(always: None, data: PreparedData) -> None:
    from openvino.tools.ovc import telemetry_utils

    def sent(*arguments: Any, **named: Any) -> None:
        raise AssertionError("telemetry")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry_utils, "init_ovc_telemetry", sent)
        patch.setattr("openvino.tools.ovc.convert_impl.init_ovc_telemetry", sent)
        assert engine_of(part_of(), data).name == OPENVINO


class Noise(keras.layers.Layer):
    """Draws at inference, too."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seeds)


class Singular(keras.layers.Layer):
    """An operation that OpenVINO does not have."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return inputs * tf.linalg.svd(tf.reshape(inputs, (-1, 10, 50)), compute_uv=False)[0, 0]


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Noise, "OpenVINO fails: ValueError: it has variables that can't be made constants"),
        (Singular, "OpenVINO fails: "),
    ],
)
def test_what_openvino_cannot_compute_tensorflow_does_and_it_is_said(
    layer: type, why: str, always: None, data: PreparedData, tmp_path: Path
) -> None:
    notes: list[str] = []
    entry = Entry(part_of(layer()), data, "train")
    FeatureStore(tmp_path, lambda what, *_: notes.append(what)).open(entry, "map")
    facts = json.loads((tmp_path / "features" / entry.key / "info.json").read_text())
    assert facts["engine"] == LABEL[TENSORFLOW]
    assert facts["engine_refused"].startswith(why)
    assert all(f"(TensorFlow, for {why}" in what for what in notes)
    assert notes


def test_numbers_that_are_too_far_off_are_refused(
    always: None, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = engines._by_openvino

    def shifted(share: float) -> Any:
        def made(*arguments: Any) -> Any:
            compute = real(*arguments)
            return lambda images: [x + share * np.abs(x).max() for x in compute(images)]

        return made

    images = data.open("train").images
    for share, name in ((0.5e-4, OPENVINO), (3e-4, TENSORFLOW), (np.nan, TENSORFLOW)):
        monkeypatch.setattr(engines, "_by_openvino", shifted(share))
        part = part_of()
        engine = engine_of(part, data)
        assert engine.name == name
        assert ("differ by" in engine.refused) == (name == TENSORFLOW)
        assert_same(forward(engine, images, "original"), expected(part, images))
    monkeypatch.setattr(engines, "_by_openvino", shifted(3e-4))
    assert engine_of(part_of(), data).refused == "OpenVINO's differ by 0.0003 of the largest"


def test_without_openvino_tensorflow_computes(
    always: None, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    part = part_of()
    engine = engine_of(part, data)
    assert (engine.label, engine.refused) == (LABEL[TENSORFLOW], "")
    images = data.open("train").images
    assert_same(forward(engine, images, "original"), expected(part, images))


def test_on_a_gpu_tensorflow_computes(
    always: None, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert engine_of(part_of(), data).name == TENSORFLOW


def test_converting_pays_by_images_operations_and_threads(
    data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = BaseKey(BASES["MobileNetV2"], (224, 224, 3), 0.35)
    part = pooled_part(large)

    def pay(images: int, threads: int) -> bool:
        monkeypatch.setattr(engines, "intra_op_threads", lambda: threads)
        many = PreparedData("", "x", (), (224, 224, 3), {"train": images, "test": 10**6}, "f")
        return pays(part, many)

    assert [pay(n, 2) for n in (0, 1_400, 5_000, 20_000)] == [False, False, True, True]
    assert not pay(5_000, 32)
    assert pay(100_000, 32)
    assert engine_of(part_of(), data).label == LABEL[TENSORFLOW]  # so few images


@pytest.mark.parametrize("name", [OPENVINO, TENSORFLOW])
def test_an_entry_says_what_computed_it_and_a_trial_too(
    name: str, always: None, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == TENSORFLOW:
        monkeypatch.setitem(sys.modules, "openvino", None)
    notes: list[str] = []
    store = FeatureStore(tmp_path, lambda what, *_: notes.append(what))
    entry = Entry(part_of(), data, "train")
    found = store.open(entry, "average")
    facts = json.loads((tmp_path / "features" / entry.key / "info.json").read_text())
    assert facts["engine"] == LABEL[name]
    assert set(notes) == {f"{entry} (OpenVINO)" if name == OPENVINO else str(entry)}
    assert ("engine_difference" in facts) == (name == OPENVINO)
    assert facts.get("engine_difference", 0) <= TOLERANCE
    # Whoever computed it, the entry is found, and says by what.
    monkeypatch.setattr(engines, "engine_of", None)
    again = FeatureStore(tmp_path)
    assert np.array_equal(again.open(entry, "average"), found)
    assert again.engines == {LABEL[name]}
    then = {"features": {"cached": True, "engines": ["OpenVINO 1.0"]}}
    now = {"features": {"cached": True, "engines": sorted(again.engines)}}
    (line,) = engine_difference(then, now)
    assert line == f"features of frozen layers by: OpenVINO 1.0 then, {LABEL[name]} now"
    assert not [*engine_difference(then, then), *engine_difference({}, now)]


def test_an_entry_that_another_engine_began_is_begun_anew(
    always: None, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "BATCH", 8)
    monkeypatch.setattr(computing, "_SYNC_SECONDS", 0.0)
    names: list[str] = []

    def interrupted(engine: Engine, *arguments: Any) -> dict[str, Any]:
        names.append(engine.name)
        if len(names) == 3:
            raise KeyboardInterrupt
        return forward(engine, *arguments)

    monkeypatch.setattr(computing, "forward", interrupted)
    part = part_of()
    entry = Entry(part, data, "train")
    with pytest.raises(KeyboardInterrupt):
        FeatureStore(tmp_path).open(entry, "map")
    monkeypatch.setitem(sys.modules, "openvino", None)
    FeatureStore(tmp_path).open(entry, "map")
    assert names == [OPENVINO] * 3 + [TENSORFLOW] * 3


def _open_slowly(folder: Path, data: PreparedData, together: Any, told: Any) -> None:
    """Opens an entry in a process of its own, and tells how many images it computed."""
    computed: list[int] = []

    def slow(engine: Engine, images: Any, view: str) -> dict[str, Any]:
        computed.append(len(images))
        time.sleep(0.1)
        return forward(engine, images, view)

    computing.forward = slow  # type: ignore[assignment]
    entry = Entry(part_of(), data, "train")
    together.wait(120)
    total = np.array(FeatureStore(folder).open(entry, "average")).sum()
    told.put((sum(computed), float(total)))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks of parts of files")
def test_processes_share_the_rows_of_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = computing.BATCH * 19 + 5
    data = dataset(tmp_path / "data", count)
    context = multiprocessing.get_context("spawn")
    together, told = context.Barrier(2), context.Queue()
    worker = context.Process(target=_open_slowly, args=(tmp_path, data, together, told))
    worker.start()
    monkeypatch.setattr(computing, "forward", forward)  # which this process replaces, too
    _open_slowly(tmp_path, data, together, told)
    (one, total), (other, same) = [told.get(timeout=120) for _ in range(2)]
    worker.join()
    assert one + other == count  # each image once
    assert min(one, other) > count / 4
    assert total == same
    part = part_of()
    right = expected(part, data.open("train").images)
    kept = FeatureStore(tmp_path).open(Entry(part, data, "train"), "average")
    assert_same({"average": np.asarray(kept)}, {"average": right["average"]})
    assert not list((tmp_path / "features").glob("*.partial"))


def test_chunks_of_a_process_that_is_gone_are_free(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with Rows.begin(path, {"engine": "a"}, 3) as rows:
        assert rows.claim(1)
        rows.finish()
        assert rows.claim(2)
        assert not rows.claim(1)
        assert rows.left == [0, 2]
        assert rows.num_computed == 2
    with Rows(path, {"engine": "a"}, 3) as again:  # 2 was claimed, and not finished
        assert again.left == [0, 2]
        path.unlink()
        assert not again.is_current
    for other in ({"engine": "b"}, {"engine": "a", "rows": 1}):
        Rows.begin(path, {"engine": "a"}, 3).close()
        with pytest.raises(ValueError, match="is not of these features"):
            Rows(path, other, 3)
