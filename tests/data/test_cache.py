"""The cache: checked, recomputed where damaged, never pruned while in use."""

import errno
import importlib
import json
import math
import os
import shutil
import sys
import time
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock

import experiments.data.cache as cache
import experiments.data.prepare as data_module
import experiments.training.feature_computing as computing
from experiments import SearchConfig
from experiments.cli.main import main
from experiments.data.cache_use import begun, held
from experiments.data.prepare import MissingDataError, PreparedData, prepare
from experiments.data.sources.base import Wanted
from experiments.data.sources.given import keep_given
from experiments.executors.attempt_log import AttemptLog
from experiments.executors.inline import InlineExecutor
from experiments.executors.queue import Queue
from experiments.finalists.record import is_done
from experiments.record.errors import UserError
from experiments.record.layout import TrialFolder
from experiments.record.predictions import Targets
from experiments.search.resume import check_same
from experiments.training.engines import Engine, forward
from experiments.training.feature_entry import Entry
from experiments.training.features import FeatureStore, NotKeptError
from experiments.training.own_callables import UntoldError, own_callables
from experiments.training.run import classify
from experiments.training.task import STOPPING, TrialResult
from search_spaces.frozen import FrozenPart, LayerSplit
from tests.reports.synthetic import Synthetic, write_study

COUNT = 6


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    """Six images of 4x4 pixels, as `prepare` leaves them; the first is the brightest."""
    folder = tmp_path / "datasets" / ("5a" * 12)
    folder.mkdir(parents=True)
    images = np.full((COUNT, 4, 4, 1), 10, np.uint8)
    images[0] = 200
    for part, array in (
        ("images", images), ("labels", np.arange(COUNT) % 2), ("sizes", np.full((COUNT, 2), 4)),
    ):  # fmt: skip
        np.save(folder / f"train-{part}.npy", array)
    (folder / "info.json").write_text(json.dumps({"name": "six", "shape": [4, 4, 1]}))
    return PreparedData(str(folder), "six", ("a", "b"), (4, 4, 1), {"train": COUNT}, "f")


def part_of(scale: float, cut: Any = None) -> FrozenPart:
    """A frozen part that multiplies images, as a map and as a vector."""
    image = keras.Input((4, 4, 1))
    scaled = keras.layers.Rescaling(scale)(image)
    outputs = {"map": scaled, "vector": keras.layers.Flatten()(scaled)}
    return FrozenPart("scale", keras.Model(image, outputs))


@pytest.fixture(scope="module")
def part() -> FrozenPart:
    return part_of(1.0)


@pytest.mark.parametrize(("scale", "kind"), [(1.0, "float16"), (1e3, "float32"), (1e-9, "float32")])
def test_half_precision_is_taken_where_it_holds_the_values(
    scale: float, kind: str, data: PreparedData, tmp_path: Path
) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part_of(scale), data, "train")
    images = np.asarray(data.open("train").images, "float32")
    for output in ("map", "vector"):
        found = np.asarray(store.open(entry, output), "float64").reshape(images.shape)
        assert np.allclose(found, images * scale, rtol=1e-3)
    assert store.open(entry, "map").dtype == kind
    facts = json.loads((tmp_path / "features" / entry.key / "info.json").read_text())
    assert facts["dtypes"] == {"map": kind, "vector": "float32"}


def inverted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3:] = bytes(255 - byte for byte in content[-3:])
    path.write_bytes(content)


@pytest.mark.parametrize("output", ["map", "vector"])
def test_inverted_bytes_of_a_kept_array_are_noticed(
    output: str, part: FrozenPart, data: PreparedData, tmp_path: Path
) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    right = np.array(store.open(entry, output))
    inverted(tmp_path / "features" / entry.key / f"{output}.npy")
    assert np.array_equal(store.open(entry, output), right)


def test_checksums_are_compared_once_a_process(
    part: FrozenPart, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    store.open(entry, "map")
    monkeypatch.setattr(zlib, "crc32", None)
    assert store.open(entry, "map").shape == (COUNT, 4, 4, 1)


@pytest.mark.parametrize("lost", ["", "map.npy", "vector.npy", "rows"])
def test_a_half_made_entry_without_one_of_its_files_is_begun_anew(
    lost: str, part: FrozenPart, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []

    def counted(engine: Engine, images: Any, view: str) -> dict[str, Any]:
        computed.append(len(images))
        if len(computed) == 2:
            raise KeyboardInterrupt
        return forward(engine, images, view)

    monkeypatch.setattr(computing, "_SYNC_SECONDS", 0.0)
    monkeypatch.setattr(computing, "BATCH", 2)
    monkeypatch.setattr(computing, "forward", counted)
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    with pytest.raises(KeyboardInterrupt):
        store.open(entry, "map")
    partial = tmp_path / "features" / f"{entry.key}.partial"
    if lost:
        (partial / lost).unlink()
    right = np.asarray(data.open("train").images, "float32")
    assert np.array_equal(store.open(entry, "map"), right)
    assert computed == [2, 2] + [2] * (3 if lost else 2)
    assert not partial.exists()


def test_rows_that_another_process_computes_are_not_counted_as_timed(
    part: FrozenPart, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    rows = tmp_path / "features" / f"{entry.key}.partial" / "rows"
    chunks: list[int] = []

    def helped(engine: Engine, images: Any, view: str) -> dict[str, Any]:
        chunks.append(len(images))
        rows.write_bytes(rows.read_bytes()[:-1] + b"\x01")  # another process has done the last
        return forward(engine, images, view)

    monkeypatch.setattr(computing, "BATCH", 2)
    monkeypatch.setattr(computing, "forward", helped)
    store.open(entry, "map")
    facts = json.loads((tmp_path / "features" / entry.key / "info.json").read_text())
    assert (chunks, facts["num_timed"]) == ([2, 2], 4)
    assert store.seconds_per_1000(entry) == pytest.approx(1000 * facts["seconds"] / 4)


def test_layers_joined_in_another_way_are_another_part(data: PreparedData) -> None:
    def key(order: int, dtype: str = "float32") -> str:
        image = keras.Input((4, 4, 1))
        first = keras.layers.ReLU()(image)
        second = keras.layers.Rescaling(2.0, dtype=dtype)(first)
        tensor = keras.layers.Add()([image, (first, second)[order]])
        kept = keras.layers.Add()([tensor, second])
        return Entry(FrozenPart("p", keras.Model(image, {"map": kept})), data, "train").key

    assert key(0) == key(0)
    assert len({key(0), key(1), key(0, "float16")}) == 3


_OWN_LAYERS = """
import keras

FACTOR = {factor}

def scale(x):
    return x * FACTOR

def scaling(by):
    def scaled(x):
        return x * by
    return scaled

class Edited(keras.layers.Layer):
    def call(self, inputs):
        return inputs * {factor}

class Untold(keras.layers.Layer):
    def __init__(self, function):
        super().__init__()
        self._function = function

    def call(self, inputs):
        return self._function(inputs)
"""


@pytest.mark.parametrize(
    "layer",
    [
        "keras.layers.Lambda(scaling(FACTOR))",
        "keras.layers.Lambda(scale)",
        "keras.layers.Conv2D(1, 1, activation=scale, kernel_initializer='ones')",
        "keras.layers.TimeDistributed(keras.layers.Lambda(scale, name='inner'))",
        "Edited()",
        "Untold(scaling(FACTOR))",
    ],
)
def test_code_of_ones_own_is_told_apart_by_what_it_does(layer: str, data: PreparedData) -> None:
    def key(factor: int) -> str:
        names: dict[str, Any] = {"__name__": "own_layers"}
        exec(_OWN_LAYERS.format(factor=factor), names)
        image = keras.Input((4, 4, 1))
        kept = eval(layer, names)(image)
        return Entry(FrozenPart("p", keras.Model(image, {"map": kept})), data, "train").key

    assert key(2) == key(2)
    assert key(2) != key(3)


_USING_A_MODULE = """
import keras
import {package}helping
import {package}helping as known

def closed():
    inner = known
    return lambda x: inner.scale(x)

class Own(keras.layers.Layer):
    def call(self, inputs):
        {body}

class Holding(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.held = known

    def call(self, inputs):
        return self.held.scale(inputs)
"""
_TRYING = """try:
            import missing_one
        except ImportError:
            return inputs"""
_HELPING = "FACTOR = {factor}\nOTHER = {other}\n\ndef scale(x):\n    return x * FACTOR\n"


def key_with_module(
    folder: Path, data: PreparedData, factor: int, made: str, body: str, other: int = 0
) -> str:
    """Returns the key of a part whose layer takes something of a module of one's own."""
    (folder / "packed").mkdir(exist_ok=True)
    (folder / "packed" / "__init__.py").touch()
    for place in (folder, folder / "packed"):
        (place / "helping.py").write_text(_HELPING.format(factor=factor, other=other))
    for name in ("helping", "packed.helping", "packed"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    package = "packed." if "packed" in body else ""
    names: dict[str, Any] = {"__name__": "own_layers"}
    if "from ." in body:
        names["__package__"] = "packed"
    exec(_USING_A_MODULE.format(package=package, body=body), names)
    image = keras.Input((4, 4, 1))
    kept = eval(made, names)(image)
    return Entry(FrozenPart("p", keras.Model(image, {"map": kept})), data, "train").key


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from, anew for each key."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("helping", "packed.helping", "packed"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("made", "body"),
    [
        ("Own()", "return helping.scale(inputs)"),
        ("Own()", "return inputs * known.FACTOR"),
        ("Own()", "return packed.helping.scale(inputs)"),
        ("Own()", "from helping import scale; return scale(inputs)"),
        ("Own()", "import helping as own; return own.scale(inputs)"),
        ("Own()", "import packed.helping; return packed.helping.scale(inputs)"),
        ("Own()", "from packed import helping; return helping.scale(inputs)"),
        ("Own()", "from .helping import FACTOR; return inputs * FACTOR  # packed"),
        ("keras.layers.Lambda(lambda x: known.scale(x))", "return inputs"),
        ("keras.layers.Lambda(lambda x, own=known: own.scale(x))", "return inputs"),
        ("keras.layers.Lambda(closed())", "return inputs"),
    ],
)
def test_what_code_takes_of_a_module_of_ones_own_is_told_apart(
    made: str, body: str, own_folder: Path, data: PreparedData
) -> None:
    key = key_with_module(own_folder, data, 2, made, body)
    assert key == key_with_module(own_folder, data, 2, made, body, other=1)
    assert key != key_with_module(own_folder, data, 3, made, body)


_HARMLESS = """
import threading
import keras
import helping

class Own(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.lock, self.again = threading.Lock(), threading.RLock()

    def call(self, inputs):
        with self.lock, self.again:
            return helping.scale(inputs) + inputs.shape[0] * {number}

class Lazy(keras.layers.Layer):
    def call(self, inputs):
        import {module}
        return inputs * {number}
"""


def key_of_harmless(made: str, number: int = 0, module: str = "json") -> str:
    names: dict[str, Any] = {"__name__": "own_layers"}
    exec(_HARMLESS.format(number=number, module=module), names)
    image = keras.Input((4, 4, 1), batch_size=1)
    part = FrozenPart("p", keras.Model(image, {"map": keras.layers.ReLU()(image)}))
    return own_callables(eval(made, names), lambda model: str(part))


def test_locks_and_what_is_called_as_an_attribute_is_are_no_obstacle(own_folder: Path) -> None:
    (own_folder / "helping.py").write_text(
        "shape = lock = (_ for _ in ())\nBY = 2\n\ndef scale(x):\n    return x * BY\n"
    )
    importlib.invalidate_caches()
    key = key_of_harmless("Own()")
    assert key == key_of_harmless("Own()")
    assert key != key_of_harmless("Own()", number=1)
    sys.modules["helping"].BY = 3  # type: ignore[attr-defined]
    assert key != key_of_harmless("Own()")


def test_an_installed_module_need_not_be_loaded_to_be_told(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = own_folder / "site-packages"
    (installed / "packed").mkdir(parents=True)
    for name in ("__init__", "helping"):
        (installed / "packed" / f"{name}.py").touch()
    (own_folder / "helping.py").touch()
    monkeypatch.syspath_prepend(installed)
    key = key_of_harmless("Lazy()", module="packed.helping")
    assert key != key_of_harmless("Lazy()", number=1, module="packed.helping")
    assert "packed" not in sys.modules
    importlib.import_module("packed.helping")
    assert key == key_of_harmless("Lazy()", module="packed.helping")
    del sys.modules["packed.helping"]
    with pytest.raises(UntoldError, match="imports module missing_one, which is not there yet"):
        key_of_harmless("Lazy()", module="missing_one")


@pytest.mark.parametrize(
    "body",
    ["own = known; return own.scale(inputs)", "own = packed.helping; return own.scale(inputs)"],
)
def test_a_module_that_is_handed_on_is_told_by_all_that_may_be_taken(
    body: str, own_folder: Path, data: PreparedData
) -> None:
    key = key_with_module(own_folder, data, 2, "Own()", body)
    assert key != key_with_module(own_folder, data, 3, "Own()", body)


@pytest.mark.parametrize(
    ("made", "body", "why"),
    [
        ("Holding()", "return inputs", "it holds module helping"),
        ("Own()", "return __import__('helping').scale(inputs)", "it imports what a text names"),
        (
            "Own()",
            _TRYING,
            "it imports module missing_one, which is not there yet",
        ),
        (
            "Own()",
            _TRYING.replace("import missing_one", "from ...missing_one import FACTOR"),
            r"it imports \.\.\.missing_one, which is nowhere",
        ),
    ],
)
def test_modules_that_code_takes_in_ways_that_cannot_be_told_are_named(
    made: str, body: str, why: str, own_folder: Path, data: PreparedData
) -> None:
    with pytest.raises(UntoldError, match=why):
        key_with_module(own_folder, data, 2, made, body)


def test_outputs_and_calls_of_a_layer_are_told_apart(data: PreparedData) -> None:
    def key(output: int = 0, call: int = 0, **options: Any) -> str:
        image = keras.Input((4, 4))
        layer = keras.layers.ReLU()
        calls = [layer(image), layer(image * 2.0)]
        both = keras.Model(image, [keras.layers.Rescaling(n)(calls[call]) for n in (1.0, 2.0)])
        attend = keras.layers.MultiHeadAttention(1, 2, kernel_initializer="ones")
        kept = attend(calls[1], both(image)[output], **options)
        return Entry(FrozenPart("p", keras.Model(image, {"map": kept})), data, "train").key

    assert key() == key()
    assert len({key(), key(output=1), key(call=1), key(use_causal_mask=True)}) == 4


def test_a_part_that_was_joined_to_another_model_is_the_same_part(data: PreparedData) -> None:
    image = keras.Input((4, 4, 1))
    base = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 2)])
    part = FrozenPart("p", keras.Model(image, {"map": base(image * 2.0)}))
    key = Entry(part, data, "train").key
    other = keras.Input((4, 4, 1))
    keras.Model(other, base(keras.layers.ReLU()(other)))
    again = FrozenPart("p", part.model)
    assert Entry(again, data, "train").key == key


def test_a_part_that_nobody_has_any_more_is_freed(data: PreparedData, tmp_path: Path) -> None:
    part = part_of(1.0)
    FeatureStore(tmp_path).open(Entry(part, data, "train"), "map")
    network = weakref.ref(part.model)
    del part
    keras.backend.clear_session()  # collects garbage
    assert network() is None


def test_frozen_layers_without_a_seed_are_the_same_in_every_trial(data: PreparedData) -> None:
    def split_of(seed: int, **options: Any) -> tuple[LayerSplit, str]:
        keras.utils.set_random_seed(seed)
        image = keras.Input((4, 4, 1))
        frozen = keras.layers.Conv2D(3, 2, **options)(image)
        outputs = keras.layers.Dense(1)(keras.layers.Flatten(name="cut")(frozen))
        model = keras.Model(image, outputs)
        model.compile(loss="mse")
        split = LayerSplit(model, "cut", "random")
        return split, Entry(split.cuts(1)[0].part, data, "train").key

    (one, key), (other, same) = split_of(1), split_of(2)
    assert key == same
    kernels = [split.join().get_weights() for split in (one, other)]
    assert np.array_equal(kernels[0][0], kernels[1][0])
    assert kernels[0][0].std() > 0
    assert not np.array_equal(kernels[0][2], kernels[1][2])  # the trained layer is drawn anew
    assert [tuple(weight.shape) for weight in one.join().trainable_weights] == [(27, 1), (1,)]
    # Weights that were given are not touched.
    seeded = keras.initializers.GlorotUniform(seed=3)
    given, _ = split_of(1, kernel_initializer=seeded)
    assert np.array_equal(given.join().get_weights()[0], seeded((2, 2, 1, 3)))


def refusing(*arguments: Any, **options: Any) -> Any:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_cache_of_another_user_serves_what_is_there_and_keeps_nothing_new(
    part: FrozenPart, data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    store.open(entry, "map")
    (tmp_path / "features" / f"{entry.key}.lock").touch()  # stale
    for name in ("utime", "mkdir", "rename", "replace", "unlink"):
        monkeypatch.setattr(os, name, refusing)
    assert store.open(entry, "map").shape == (COUNT, 4, 4, 1)
    assert data.open("train").images.shape == (COUNT, 4, 4, 1)
    with pytest.raises(NotKeptError, match=r"can't be kept in .*Permission denied"):
        store.open(Entry(part, data, "train", "flipped"), "map")


def prune(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["cache", "--cache-dir", str(folder), "--prune", *options])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[0]


def test_what_is_used_is_not_pruned(part: FrozenPart, data: PreparedData, tmp_path: Path) -> None:
    store, entry = FeatureStore(tmp_path), Entry(part, data, "train")
    array = store.open(entry, "map")
    with held(Path(data.folder)):  # as a search does
        assert prune(tmp_path) == "removed 0 entries; kept 2 that are in use"
        assert prune(tmp_path, "--max-size", "0") == "removed 0 entries; kept 2 that are in use"
    assert store.has(entry)
    del array
    assert prune(tmp_path) == "removed 2 entries"
    assert list((tmp_path / "features").iterdir()) == []


@pytest.mark.parametrize(
    ("command", "work"),
    [
        (("reproduce", "0"), "reproduce.reproduce"),
        (("measure",), "measure.measure"),
        (("compare", "--default", "--seeds", "2"), "retrain.confirm_trial"),
    ],
)
def test_what_a_command_trains_with_is_not_pruned(
    command: tuple[str, ...],
    work: str,
    data: PreparedData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_study(tmp_path / "runs", Synthetic(4, fingerprint=data.fingerprint))
    said: list[str] = []

    def working(opened: Any, *arguments: Any) -> None:
        said.append(prune(tmp_path))
        raise UserError("it ends here")

    monkeypatch.setattr("experiments.studies.reopen.prepare_data", lambda *arguments: data)
    monkeypatch.setattr(f"experiments.studies.{work}", working)
    name, *options = command
    result = CliRunner().invoke(main, [name, str(folder), *options])
    assert (result.exit_code, said) == (2, ["removed 0 entries; kept 1 that is in use"])


def test_given_arrays_are_not_pruned_while_their_dataset_is_used(tmp_path: Path) -> None:
    given = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    name, wanted = keep_given(given, tmp_path), Wanted(images=False, arrays=True)
    data: Any = prepare(name, lambda channels: (1, 1, 1), tmp_path, wanted=wanted)
    with held(Path(data.folder)):  # as a search does
        assert prune(tmp_path) == "removed 0 entries; kept 2 that are in use"
    data = None
    assert prune(tmp_path) == "removed 2 entries"


@pytest.mark.parametrize(("one", "other"), [((), (1,)), ((6,), (2, 3))])
def test_targets_of_another_shape_are_other_data(
    one: tuple[int, ...], other: tuple[int, ...], tmp_path: Path
) -> None:
    rows, values = np.arange(80.0).reshape(40, 2), np.arange(240.0).reshape(40, 6)
    wanted, made = Wanted(images=False, arrays=True, targets=Targets.VALUES), []
    for shape in (one, other, one):
        given = rows, values[:, : math.prod(shape)].reshape(40, *shape)
        name = keep_given(given, tmp_path)
        data = prepare(name, lambda c: (1, 1, 1), tmp_path, wanted=wanted)
        assert data.open("train").labels.shape[1:] == shape
        made.append((Path(data.folder), (Path(data.folder) / "info.json").stat().st_ino, data))
    assert "40 rows of 2" in cache.describe(tmp_path, cache.entries(tmp_path))
    assert made[0][:2] == made[2][:2] != made[1][:2]
    assert check_same({"dataset": made[0][2].record(), "space": []}, [], made[2][2]) == []
    with pytest.raises(UserError, match="has changed since the study was begun") as refused:
        check_same({"dataset": made[0][2].record(), "space": []}, [], made[1][2])
    assert f"targets of shape {list(other)} now, not {list(one)}" in str(refused.value)
    assert "fingerprint" not in str(refused.value)  # it is the same


@pytest.mark.parametrize("damage", ["a byte", "cut short", "gone", "without its facts", "emptied"])
def test_given_arrays_that_are_damaged_are_replaced_when_they_are_given_again(
    damage: str, tmp_path: Path
) -> None:
    given = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    name, wanted = keep_given(given, tmp_path), Wanted(images=False, arrays=True)
    (path,) = tmp_path.rglob("arrays.npz")
    content = path.read_bytes()
    if damage == "a byte":
        at = content.index(given[0].tobytes()) + 100
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif damage == "cut short":
        os.truncate(path, len(content) // 2)
    else:
        path.unlink()
    if damage in ("without its facts", "emptied"):
        (path.parent / "info.json").unlink()
    if damage == "emptied":
        path.parent.rmdir()
    with pytest.raises(UserError):
        prepare(name, lambda c: (0, 0, c), tmp_path, wanted=wanted)
    assert keep_given(given, tmp_path) == name
    assert sum(prepare(name, lambda c: (0, 0, c), tmp_path, wanted=wanted).counts.values()) == 40
    written = path.stat().st_ino, path.stat().st_mtime_ns
    assert keep_given(given, tmp_path) == name
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == written  # what is whole stays


def test_where_nothing_can_be_held_what_was_used_of_late_stays(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def unsupported(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    long_ago = time.time() - 40 * 86400
    os.utime(Path(data.folder) / "info.json", (long_ago, long_ago))
    data.open("train")  # touches it
    assert prune(tmp_path, "--older-than", "30d") == "removed 0 entries"
    assert prune(tmp_path) == "removed 0 entries; kept 1 that is in use"
    os.utime(Path(data.folder) / "info.json", (long_ago, long_ago))
    assert prune(tmp_path) == "removed 1 entry"


def test_what_this_user_cant_remove_is_said(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "rename", refusing)
    assert prune(tmp_path) == "removed 0 entries; kept 1 that can't be removed"


def test_folders_that_the_cache_did_not_make_stay(data: PreparedData, tmp_path: Path) -> None:
    own = tmp_path / "datasets" / "imagenet"
    own.mkdir(parents=True)
    (own / "1.png").write_bytes(b"")
    os.utime(own / "1.png", (0, 0))
    (tmp_path / "features").mkdir(exist_ok=True)
    link = tmp_path / "features" / ("cd" * 16)
    link.symlink_to(own)
    assert prune(tmp_path) == "removed 1 entry"
    assert (own / "1.png").is_file()
    assert link.is_symlink()


@pytest.mark.parametrize("option", ["--older-than", "--max-size", "--cache-dir"])
def test_an_empty_value_is_not_all(option: str, data: PreparedData, tmp_path: Path) -> None:
    before = ["cache", "--cache-dir", str(tmp_path), "--prune", option, ""]
    result = CliRunner().invoke(main, before)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert Path(data.folder).is_dir()


def partial_of(folder: Path, age: float = 0.0) -> Path:
    """A half-made entry of the features in `folder`, touched so many seconds ago."""
    partial = folder / "features" / f"{'ab' * 16}.partial"
    partial.mkdir(parents=True)
    for name in ("map.npy", "rows"):
        (partial / name).write_text("3")
        os.utime(partial / name, (time.time() - age,) * 2)
    return partial


def test_an_entry_that_is_computed_is_listed_as_unfinished_and_not_pruned(tmp_path: Path) -> None:
    partial = partial_of(tmp_path, age=3600)  # the machine slept, say
    (partial / "info.json").write_text("{}")  # it is written just before the rename
    with FileLock(partial.with_suffix(".lock")):
        listed = CliRunner().invoke(main, ["cache", "--cache-dir", str(tmp_path)])
        assert (listed.exit_code, "unfinished" in listed.stdout) == (0, True)
        assert prune(tmp_path) == "removed 0 entries; kept 1 that is in use"
        assert sorted(os.listdir(partial)) == ["info.json", "map.npy", "rows"]
    assert prune(tmp_path) == "removed 1 entry"
    assert os.listdir(tmp_path / "features") == []


def test_an_entry_that_is_finished_while_the_cache_is_listed(
    data: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial, real = partial_of(tmp_path), os.scandir

    def renamed_first(path: Any = ".") -> Any:
        if Path(path) == partial and partial.exists():
            partial.rename(partial.with_suffix(""))
        return real(path)

    monkeypatch.setattr(os, "scandir", renamed_first)
    assert [entry.path for entry in cache.entries(tmp_path)] == [Path(data.folder)]


def test_an_entry_that_is_finished_before_it_is_pruned_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = partial_of(tmp_path, age=3600)
    found = cache.entries(tmp_path)
    monkeypatch.setattr(cache, "entries", lambda folder: found)
    whole = partial.rename(partial.with_suffix(""))
    assert str(cache.prune(tmp_path, None, None)) == "removed 0 entries"
    assert whole.exists()


def test_what_killed_preparations_left_is_removed_and_no_running_one(tmp_path: Path) -> None:
    with begun(tmp_path) as running:
        left = tmp_path / ".preparing-killed"
        left.mkdir()
        (left / "train-images.npy").write_text("half")
        with begun(tmp_path) as other:
            assert sorted(tmp_path.iterdir()) == sorted([running, other])
        other_machine = tmp_path / ".tmp-earlier"  # of an earlier version, which holds no lock
        other_machine.mkdir()
        with begun(tmp_path) as renamed:
            renamed.rename(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tmp-earlier", "whole"]


def test_a_preparation_at_work_is_not_pruned(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    with begun(tmp_path / "datasets") as folder:
        os.utime(folder, (0, 0))
        assert prune(tmp_path) == "removed 0 entries; kept 1 that is in use"
        assert folder.is_dir()


@pytest.fixture
def digits(tmp_path: Path) -> PreparedData:
    return prepare("digits", lambda channels: (8, 8, channels), tmp_path, sample=100)


@pytest.mark.parametrize("lost", ["", "train-images.npy", "train-labels.npy", "train-sizes.npy"])
def test_prepared_images_that_are_gone_are_prepared_again(
    lost: str, digits: PreparedData, tmp_path: Path
) -> None:
    before = np.array(digits.open("train").images)
    data_module._open.cache_clear()  # another process
    gone = Path(digits.folder, lost)
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    split = digits.open("train")
    assert np.array_equal(split.images, before)
    assert len(split.labels) == len(split.sizes) == len(before)
    # A later search finds what is missing as well, though it asks for images alone.
    gone.unlink() if lost else shutil.rmtree(gone)
    prepare("digits", lambda channels: (8, 8, channels), tmp_path, sample=100)
    assert gone.exists()


def test_a_dataset_that_is_gone_for_good_ends_the_search_and_no_trial(
    digits: PreparedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(digits.folder)

    def moved(*arguments: Any, **options: Any) -> PreparedData:
        raise data_module.UserError("no folder '/moved'")

    monkeypatch.setattr(data_module, "prepare", moved)
    with pytest.raises(MissingDataError, match=r"are gone from .*no folder '/moved'") as gone:
        digits.open("train")
    assert classify(gone.value) == "data_missing"

    attempts = AttemptLog(lambda trial_id: TrialFolder(tmp_path / trial_id))
    queue = Queue(InlineExecutor(print), attempts, print)
    queue.begin("0", None)
    result = TrialResult("failed", cause="data_missing", message=str(gone.value))
    with pytest.raises(STOPPING["data_missing"], match="gone"):
        queue.ended(queue.running["0"], result, "w")
    assert attempts.of("0")[-1].outcome == "interrupted"  # a resume runs it again


@pytest.mark.parametrize(
    ("message", "done"),
    [
        ("NotANumberError: the loss is nan", True),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'train-images.npy'", False),
        ("the worker process was killed by SIGKILL", False),
    ],
)
def test_a_finalist_that_failed_of_a_missing_file_does_not_count_as_done(
    message: str, done: bool
) -> None:
    config = SearchConfig("mnist_cnn", dataset="digits", confirm=1, seeds=2)
    record = {
        "trial_id": "0000", "max_epochs": config.max_epochs, "patience": config.patience,
        "exported_run": 0, "runs": [{"seed": 1, "score": 0.5}],
        "failed": [{"seed": 2, "message": message}],
    }  # fmt: skip
    assert is_done([record], config, ["0000"]) is done
