"""A user's own model: found in its file, explored, and brought to the shape of the images."""

import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from experiments import SearchConfig, UserError
from experiments.data.prepare import PreparedData
from experiments.hyperparameters.fit_arguments import on_batches
from experiments.hyperparameters.model_space import FittingModelSpace
from experiments.hyperparameters.source import (
    check_source,
    is_unchanged,
    keep_text,
    new_source,
    own_text,
    space_source,
)
from experiments.hyperparameters.space import class_of, describe_space, explore, make_space
from experiments.record.alike import differing
from experiments.record.layout import StudyFolder
from experiments.record.objective import parse_objective
from experiments.space_reference import find_reference, installed_spaces, shown_space
from experiments.studies.trained_how import how_trained, key_of
from experiments.training.network import Network
from experiments.training.task import TrialTask
from search_spaces import names
from search_spaces.base import ImageSpace
from tests.hyperparameters.own_models import build, write

ROOT = Path(__file__).resolve().parents[2]
MODEL = (
    "class Mine(keras_tuner.HyperModel):\n"
    "    def build(self, hp):\n"
    "        return build_model(hp)\n"
)


def explored(text: str, folder: Path) -> dict[str, list[Any]]:
    """Returns the hyperparameters of a file with their conditions."""
    cls = class_of(write(folder, text))
    space = explore(cls(cls.required_shape(3, {}), 10))
    return {hp.name: [(c.name, c.values) for c in hp.conditions] for hp in space.space}


@pytest.mark.parametrize(
    "text",
    [
        build(),
        build(name="another"),
        build() + "\n\n" + MODEL,
        build() + "\n\n" + MODEL + "\n\nmine = Mine()\n",
        build(parameters="hp, input_shape=(8, 8, 1), num_classes=10"),
        build(name="_hidden") + "\n\ndef make(hp):\n    return _hidden(hp)\n",
    ],
    ids=["function", "another name", "class", "instance", "facts", "helper"],
)
def test_what_a_file_holds_is_searched(text: str, tmp_path: Path) -> None:
    cls = class_of(write(tmp_path, text))
    assert issubclass(cls, ImageSpace)
    assert cls.required_shape(3, {})[:2] == (8, 8)
    assert set(cls.reported_metrics()) == {"loss", "accuracy"}
    assert [hp.name for hp in explore(cls((8, 8, 1), 10)).space] == ["units"]


def test_a_space_of_the_suites_kind_is_searched_from_a_file(tmp_path: Path) -> None:
    text = (ROOT / "docs/extend/files/space/perceptron.py").read_text()
    (tmp_path / "mine.py").write_text(text)
    cls = class_of(str(tmp_path / "mine.py"))
    assert cls.__name__ == "Perceptron"
    assert "activation" in describe_space(str(tmp_path / "mine.py"))


def test_a_module_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, build(), name="own_module_of_test.py")
    monkeypatch.syspath_prepend(tmp_path)
    space = "own_module_of_test:build_model"
    SearchConfig(space)
    assert class_of(space).required_shape(3, {}) == (8, 8, 1)
    assert list(space_source(space)) == ["own_module_of_test"]
    with pytest.raises(UserError, match="there is no module 'own_module_of_tests'"):
        class_of("own_module_of_tests:build_model")
    study = {"config": {"space": space}, "space_source": space_source(space)}
    check_source(study, space, tmp_path)
    keep_text(tmp_path, space, None)
    assert "def build_model(hp):" in StudyFolder(tmp_path).source.read_text()
    write(tmp_path, build(), "LIMIT = 3\n", name="own_module_of_test.py")
    with pytest.raises(UserError, match=r"has changed since .* \(own_module_of_test\): restore it"):
        check_source(study, space, tmp_path)


def test_an_installed_space_is_searched_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, build(), name="installed_module_of_test.py")
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[keras_tuner_experiments.spaces]\nthing = installed_module_of_test:build_model\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed_spaces.cache_clear()
    try:
        SearchConfig("thing")
        assert class_of("thing").required_shape(1, {}) == (8, 8, 1)
        there = ", ".join([*names(), "thing"])
        with pytest.raises(UserError, match=f"there are {there}; or name"):
            SearchConfig("thin")
    finally:
        installed_spaces.cache_clear()


CONDITIONAL = """
def build_model(hp):
    kind = hp.Choice("kind", ["plain", "deep"])
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    if kind == "deep":
        with hp.conditional_scope("kind", ["deep"]):
            for index in range(hp.Int("layers", 1, 3)):
                model.add(keras.layers.Dense(hp.Int(f"units_{index}", 4, 8)))
            if hp.Boolean("dropout"):
                model.add(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5)))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def test_hyperparameters_that_appear_only_with_others_values_are_found(tmp_path: Path) -> None:
    found = explored(CONDITIONAL, tmp_path)
    assert set(found) == {"kind", "layers", "units_0", "units_1", "units_2", "dropout", "rate"}
    assert found["kind"] == []
    assert all(found[name] == [("kind", ["deep"])] for name in found if name != "kind")


def test_a_build_that_fails_at_other_values_does_not_hinder(tmp_path: Path) -> None:
    fails = build().replace(
        "    model =", "    if units > 4:\n        raise ValueError\n    model ="
    )
    assert set(explored(fails, tmp_path)) == {"units"}


OPEN = """
def build_model(hp):
    model = keras.Sequential()
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model
"""


@pytest.mark.parametrize(
    ("text", "settings", "shape"),
    [
        (OPEN, {}, (64, 64, 3)),
        (OPEN, {"image_size": 8}, (8, 8, 3)),
        (build(inputs="(16, 12, 1)"), {}, (16, 12, 1)),
        (build(parameters="hp, input_shape", inputs="input_shape"), {}, (64, 64, 3)),
        (build(parameters="hp, input_shape=(8, 6, 1)", inputs="input_shape"), {}, (8, 6, 3)),
        (build(parameters="hp, input_shape", inputs="input_shape"), {"image_size": 8}, (8, 8, 3)),
    ],
)
def test_the_model_decides_the_shape_of_images(
    text: str, settings: dict[str, int], shape: tuple[int, ...], tmp_path: Path
) -> None:
    path = write(tmp_path, text)
    cls = class_of(path)
    assert cls.required_shape(3, settings) == shape
    data = PreparedData("", "", tuple("0123456789"), shape, {}, "")  # type: ignore[arg-type]
    space = make_space(path, data, settings)
    assert space.build(explore(space)).input_shape == (None, *shape)


def test_a_size_that_the_model_does_not_leave_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--set image_size=32: .* takes images of 8x8"):
        class_of(write(tmp_path, build())).required_shape(1, {"image_size": 32})


def test_a_hypermodel_brings_its_own_fit(tmp_path: Path) -> None:
    fit = (
        "    def fit(self, hp, model, *args, **kwargs):\n"
        '        size = hp.Choice("batch_size", [8, 16])\n'
        "        return model.fit(*args, batch_size=size, **kwargs)\n"
    )
    path = write(tmp_path, build(), MODEL + "\n" + fit)
    cls = class_of(path)
    assert issubclass(cls, FittingModelSpace)
    space = cls((8, 8, 1), 10)
    hp = explore(space)
    assert [one.name for one in hp.space] == ["units", "batch_size"]


def test_the_text_that_was_read_is_run_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, build())
    text = own_text(path)
    Path(path).unlink()
    assert class_of(path, text).required_shape(3, {}) == (8, 8, 1)
    data = PreparedData("", "", tuple("0123456789"), (8, 8, 1), {}, "")
    hyperparameters = explore(make_space(path, data, {}, text)).get_config()
    objective = parse_objective("val_accuracy")
    task = TrialTask(path, {}, hyperparameters, data, objective, 1, (0,), source=text)
    assert Network(task).whole.output_shape == (None, 10)
    with pytest.raises(UserError, match=r"my_model\.py: there is no such file in"):
        class_of(path)


def test_a_task_is_built_where_its_file_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a node of Ray, which is sent the task and has no access to the file."""
    path = write(tmp_path, build())
    text = own_text(path)
    data = PreparedData("", "", tuple("0123456789"), (8, 8, 1), {}, "")
    hyperparameters = explore(make_space(path, data, {}, text)).get_config()
    objective = parse_objective("val_accuracy")
    task = TrialTask(path, {}, hyperparameters, data, objective, 1, (0,), source=text)
    sent = pickle.dumps(task)
    Path(path).unlink()
    # A node has not run the file.
    monkeypatch.setattr("experiments.hyperparameters.model_file._modules", {})
    assert Network(pickle.loads(sent)).whole.output_shape == (None, 10)


def test_an_edited_file_is_run_anew_and_has_another_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path, build())
    before = class_of(path), space_source(path)
    write(tmp_path, build(inputs="(4, 4, 1)"))
    assert class_of(path).required_shape(3, {}) == (4, 4, 1)
    assert before[0].required_shape(3, {}) == (8, 8, 1)
    assert before[1].keys() == space_source(path).keys() == {"my_model"}
    assert before[1] != space_source(path)
    study = {"config": {"space": path}, "space_source": space_source(path)}
    assert is_unchanged(study)
    assert not is_unchanged(study | {"space_source": before[1]})


def test_what_lies_beside_the_file_is_a_part_of_its_source(tmp_path: Path) -> None:
    (tmp_path / "beside_of_test.py").write_text("def units(hp):\n    return 4\n")
    text = "from beside_of_test import units\n" + build()
    path = write(tmp_path, text)
    study = {"config": {"space": path}, "space_source": space_source(path)}
    assert set(study["space_source"]) == {"my_model", "beside_of_test"}
    assert is_unchanged(study)
    moved = tmp_path / "renamed.py"
    Path(path).rename(moved)
    check_source(study, str(moved), tmp_path)  # the same text under another name
    (tmp_path / "beside_of_test.py").write_text("def units(hp):\n    return 5\n")
    assert not is_unchanged(study)
    with pytest.raises(UserError, match=r"has changed since .* \(beside_of_test\): restore it"):
        check_source(study, str(moved), tmp_path)
    sys.modules.pop("beside_of_test")


NEIGHBOURS = {
    "beside": ("layers_of_test.py", "from layers_of_test import width\n"),
    "later": ("layers_of_test.py", ""),
    "in a sub-folder": (
        "src/layers_of_test.py",
        "import sys\nfrom pathlib import Path\n\n"
        'sys.path.insert(0, str(Path(__file__).parent / "src"))\n'
        "from layers_of_test import width\n",
    ),
    "in a package": (
        "own_package/layers_of_test.py",
        "from own_package.layers_of_test import width\n",
    ),
}


def model_of_width(folder: Path, width: int, way: str) -> str:
    """Writes a model whose width comes from a module near by, imported in one way or another."""
    place, imported = NEIGHBOURS[way]
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(f"def width():\n    return {width}\n")
    text = build().replace('hp.Int("units", 4, 8, step=4)', "width()")
    if not imported:
        text = text.replace("    units", "    from layers_of_test import width\n    units", 1)
    return write(folder, imported, text, name="model.py")


@pytest.mark.parametrize("way", NEIGHBOURS)
def test_each_file_gets_what_lies_beside_it(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `compare --seeds`, which trains the models of several studies in one process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    widths = {"v1": 3, "v2": 5, "v3": 7}
    spaces = {name: model_of_width(tmp_path / name, width, way) for name, width in widths.items()}
    data = PreparedData("", "", tuple("0123456789"), (8, 8, 1), {}, "")
    sources = {}
    for name in ("v1", "v2", "v1", "v3", "v2", "v1"):
        model = make_space(spaces[name], data, {}).build(keras_tuner.HyperParameters())
        assert model.layers[-2].units == widths[name]
        source = space_source(spaces[name])
        assert sources.setdefault(name, source) == source
        assert is_unchanged({"config": {"space": spaces[name]}, "space_source": source})
    assert len(sources["v1"]) == (1 if way == "later" else 2)
    assert sources["v1"]["model"] == sources["v2"]["model"]
    assert (sources["v1"] == sources["v2"]) == (way == "later")


def test_an_edited_helper_in_a_sub_folder_is_refused_and_an_unchanged_one_is_not(
    tmp_path: Path,
) -> None:
    path = model_of_width(tmp_path, 3, "in a sub-folder")
    study = {"config": {"space": path}, "space_source": space_source(path)}
    check_source(study, path, tmp_path)
    (tmp_path / "src/layers_of_test.py").write_text("def width():\n    return 4\n")
    with pytest.raises(UserError, match=r"has changed since .* \(src\.layers_of_test\): restore"):
        check_source(study, path, tmp_path)


def test_a_file_that_was_renamed_or_moved_has_not_changed(tmp_path: Path) -> None:
    path = model_of_width(tmp_path / "one", 3, "beside")
    study = {"config": {"space": path}, "space_source": space_source(path)}
    data = PreparedData("", "", tuple("0123456789"), (8, 8, 1), {}, "")
    objective = parse_objective("val_accuracy")
    task = TrialTask(path, {}, {"values": {}}, data, objective, 1, (0,))
    before = how_trained(task)
    shutil.move(tmp_path / "one", tmp_path / "two")
    moved = str(tmp_path / "two/renamed.py")
    Path(tmp_path / "two/model.py").rename(moved)
    check_source(study, moved, tmp_path)
    source = space_source(moved)
    assert new_source(study, source) == ({"space_source": source}, [])
    after = how_trained(replace(task, space=moved))
    assert differing(before, after) == []
    assert differing(before | {"space": path}, after) == []  # as earlier studies recorded it
    kept = str(tmp_path / "two/model.py")
    Path(moved).rename(kept)
    assert key_of(how_trained(replace(task, space=kept))) == key_of(before)
    (tmp_path / "two/layers_of_test.py").write_text("def width():\n    return 4\n")
    sys.modules.pop("layers_of_test")
    write(tmp_path / "two", "from layers_of_test import width\n", build(), name="other.py")
    other = str(tmp_path / "two/other.py")
    assert differing(before, how_trained(replace(task, space=other))) == ["space_source"]
    assert new_source(study, space_source(other))[1] == ["layers_of_test", "model", "other"]


class _OwnFit(keras.Sequential):  # type: ignore[misc]
    """Its `fit` takes other arguments than Keras'."""

    def fit(self, x: Any, validation_data: Any, epochs: int) -> Any:
        return x, validation_data, epochs


def test_a_fit_of_a_models_own_is_given_what_it_is_called_with() -> None:
    model = _OwnFit()
    with on_batches(model, 10, 5, lambda shuffle: None):
        assert model.fit("batches", "others", epochs=3, batch_size=2) == ("batches", "others", 3)


def test_settings_that_were_recorded_as_text_are_those_of_now() -> None:
    now = {"crop": 0.1, "image_size": 32, "base": "VGG16,/in/own.keras", "weights": "own=/in/w.h5"}
    for name, value, changed in (
        ("crop", ".10", False), ("crop", "0.2", True), ("base", "VGG16, own.keras", False),
        ("base", "VGG16,in/own.keras", False), ("base", "VGG16,n/own.keras", True),
        ("base", "own.keras", True), ("weights", "own=w.h5", False),
        ("weights", "VGG16=w.h5", True),
    ):  # fmt: skip
        then = {"settings": now | {name: value}}
        assert differing(then, {"settings": now}) == ["settings"] * changed, value


def test_a_file_may_be_called_like_a_module(tmp_path: Path) -> None:
    path = write(tmp_path, build(), name="keras.py")
    assert class_of(path).required_shape(3, {}) == (8, 8, 1)
    assert sys.modules["keras"] is keras


@pytest.mark.parametrize(
    ("space", "shown", "stem"),
    [
        ("/a/b/my_model.py", "my_model.py", "my_model"),
        ("/a/b/my model.py:build", "my model.py:build", "my_model"),
        ("package.module:Name", "package.module:Name", "module"),
    ],
)
def test_references_are_parsed(space: str, shown: str, stem: str) -> None:
    reference = find_reference(space)
    assert reference is not None
    assert (shown_space(space), reference.stem, reference.full) == (shown, stem, space)
