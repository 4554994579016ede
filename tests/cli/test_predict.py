"""`experiments predict`: the study's own predictions again, from image files, in every format."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from experiments.cli.main import main
from experiments.record.errors import UserError
from experiments.studies import run_model
from experiments.studies.reopen import open_study
from reports import load_study
from tests.reports.synthetic import Synthetic, write_study

NUMBER = 40  # images: more than a batch
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def predict(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def rows_of(*arguments: object) -> tuple[list[str], list[dict[str, Any]], str]:
    """Returns classes, images and messages of a prediction to JSON."""
    answer = predict(*arguments, "--json", "-")
    assert answer.exit_code == 0, answer.output
    content = json.loads(answer.stdout)
    return content["classes"], content["images"], answer.stderr


@pytest.fixture(scope="module")
def images(study_folder: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first images of the study's test split, as files."""
    folder = tmp_path_factory.mktemp("images")
    data = open_study(load_study(study_folder), cache_dir=str(cache_dir)).data
    for index, image in enumerate(data.open("test").images[:NUMBER]):
        Image.fromarray(np.asarray(image)[..., 0]).save(folder / f"{index:03}.png")
    return folder


@pytest.fixture(scope="module")
def expected(study_folder: Path) -> Any:
    """What the study recorded of these images."""
    with np.load(study_folder / "artifacts" / "predictions.npz") as recorded:
        return recorded["probabilities"][:NUMBER]


@pytest.fixture(scope="module")
def old(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study from before metadata, whose classes have other names than their numbers."""
    folder = tmp_path_factory.mktemp("old") / "old"
    shutil.copytree(study_folder, folder)
    record = json.loads((folder / "study.json").read_text())
    record["dataset"] |= {"class_names": NAMES, "inputs": None, "targets": None}
    (folder / "study.json").write_text(json.dumps(record))
    with (
        zipfile.ZipFile(study_folder / "best_model.keras") as whole,
        zipfile.ZipFile(folder / "best_model.keras", "w") as without,
    ):
        assert "experiments.json" in whole.namelist()
        for name in whole.namelist():
            if name != "experiments.json":
                without.writestr(name, whole.read(name))
    return folder


def test_files_are_predicted_as_the_study_predicted_its_images(
    study_folder: Path, images: Path, expected: Any
) -> None:
    classes, rows, said = rows_of(study_folder, images)
    assert (classes, said) == ([str(digit) for digit in range(10)], "")
    assert [Path(row["image"]).name for row in rows] == [f"{i:03}.png" for i in range(NUMBER)]
    found = np.array([row["probabilities"] for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert [row["class"] for row in rows] == [str(i) for i in expected.argmax(axis=1)]
    assert [row["runner_up"] for row in rows] == [str(i) for i in expected.argsort(axis=1)[:, -2]]


@pytest.mark.filterwarnings("ignore")  # of the converters, about one another
@pytest.mark.parametrize(
    "kind", ["saved_model", "tflite", pytest.param("onnx", marks=pytest.mark.export)]
)
def test_names_travel_with_an_exported_model(
    kind: str, old: Path, images: Path, expected: Any, tmp_path: Path
) -> None:
    model = tmp_path / ("model" if kind == "saved_model" else f"model.{kind}")
    export = ["export", str(old), "--model", kind, "--out", str(model)]
    exported = CliRunner().invoke(main, export)
    assert exported.exit_code == 0, exported.output
    assert "predicts as Keras does" in exported.stdout
    classes, rows, said = rows_of(model, images)
    assert (tuple(classes), said) == (NAMES, "")
    found = np.array([row["probabilities"] for row in rows])
    np.testing.assert_allclose(found, expected, atol=1e-3)
    if kind == "tflite":
        with zipfile.ZipFile(model) as archive:
            assert archive.read("labels.txt").decode().split() == list(NAMES)


def test_a_keras_file_carries_its_names_and_loads_as_before(
    study_folder: Path, old: Path, images: Path, tmp_path: Path
) -> None:
    shutil.copy(study_folder / "best_model.keras", tmp_path / "alone.keras")
    assert rows_of(tmp_path / "alone.keras", images / "000.png")[2] == ""
    assert keras.saving.load_model(tmp_path / "alone.keras").output_shape == (None, 10)
    # One without: a study knows its names, the file alone has numbers.
    assert tuple(rows_of(old, images / "000.png")[0]) == NAMES
    _, _, said = rows_of(old / "best_model.keras", images / "000.png")
    assert len(said.splitlines()) == 1
    assert "no names of its 10 classes: they are numbered from 0" in said


def test_a_study_goes_before_a_file_of_its_name(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.studies.predict import find_model

    monkeypatch.chdir(tmp_path)
    for name in ("first", "v1.onnx"):
        shutil.copytree(old, tmp_path / "runs" / name)
        (tmp_path / name).write_text("something else")
        assert find_model(name, "runs").study is not None


def test_what_can_not_be_read_is_named_and_the_rest_predicted(
    old: Path, images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    (folder / "below").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    grey = Image.open(images / "000.png")
    grey.convert("RGB").save(folder / "colour.png")
    grey.convert("RGBA").save(folder / "below" / "transparent.png")
    grey.save(folder / ".hidden" / "unseen.png")
    wide = np.asarray(grey, dtype=np.uint16) * 257
    Image.fromarray(wide).save(folder / "deep.png")
    (folder / "loop").symlink_to(folder)
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image, and not called one")
    os.mkfifo(folder / "pipe.png")
    answer = predict(old, folder, folder / "notes.txt")
    assert answer.exit_code == 0, answer.output
    head, *rows = answer.stdout.splitlines()
    assert head.split() == ["class", "probability", "runner-up", "probability", "image"]
    names = {Path(row.split()[-1]).name: row.split()[:4] for row in rows}
    assert set(names) == {"colour.png", "transparent.png", "deep.png"}
    # The same picture in four forms is prepared to the same pixels.
    assert len({tuple(cells) for cells in names.values()}) == 1
    assert names["deep.png"][0] in NAMES
    lines = answer.stderr.splitlines()
    assert sum("empty.png: not predicted (empty file)" in line for line in lines) == 1
    assert sum("pipe.png: not predicted (no regular file)" in line for line in lines) == 1
    assert sum("loop: not predicted (links to a folder" in line for line in lines) == 1
    assert sum("notes.txt: not predicted (no image" in line for line in lines) == 1
    assert lines[-1] == "4 images could not be predicted"


def test_csv_holds_every_probability(old: Path, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    answer = predict(old, images, "--csv", path)
    assert (answer.exit_code, answer.stdout.strip()) == (0, str(path))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == NUMBER
    assert sum(float(rows[0][f"p({name})"]) for name in NAMES) == pytest.approx(1, abs=1e-5)
    assert float(rows[0][f"p({rows[0]['class']})"]) == float(rows[0]["probability"])
    assert predict(old, images, "--csv", "-").stdout == path.read_text()
    again = predict(old, images, "--csv", path)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def saved(path: Path, *layers: Any, shape: tuple[int | None, ...] = (6, 5, 3)) -> Path:
    keras.utils.set_random_seed(1)
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    return path


def test_a_foreign_model_of_one_sigmoid_unit_has_two_classes(images: Path, tmp_path: Path) -> None:
    layers = keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")
    classes, (row,), said = rows_of(saved(tmp_path / "m.keras", *layers), images / "003.png")
    assert classes == ["0", "1"]
    assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-6)
    assert "numbered from 0" in said


def test_a_model_of_a_fixed_batch_predicts_any_number(images: Path, tmp_path: Path) -> None:
    found = []
    for batch in (None, 3):
        keras.utils.set_random_seed(1)
        layers = keras.layers.Flatten(), keras.layers.Dense(4, activation="softmax")
        model = keras.Sequential([keras.Input((6, 5, 1), batch_size=batch), *layers])
        model.save(tmp_path / f"{batch}.keras")
        _, rows, _ = rows_of(tmp_path / f"{batch}.keras", images)
        found.append([row["probabilities"] for row in rows])
    assert len(found[1]) == NUMBER
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


@pytest.mark.parametrize(
    "suffix", ["keras", "tflite", pytest.param("onnx", marks=pytest.mark.export)]
)
def test_a_damaged_model_is_one_line(suffix: str, images: Path, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    path.write_bytes(b"no model")
    answer = predict(path, images)
    assert answer.exit_code == 2, answer.output
    assert "can't be loaded" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("damage", ["cut short", "inside"])
def test_a_damaged_model_of_a_study_is_one_line(
    damage: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path, Synthetic(4, shape=(6, 5, 1)))
    layers = keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")
    path = saved(folder / "best_model.keras", *layers, shape=(6, 5, 1))
    network = keras.models.load_model(path)
    monkeypatch.setattr("experiments.studies.reopen.exported_network", lambda *_: network)
    if damage == "cut short":
        os.truncate(path, path.stat().st_size // 2)
    else:
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in parts.items():
                archive.writestr(name, part)
            at = archive.getinfo("model.weights.h5").header_offset + 60
        content = path.read_bytes()
        path.write_bytes(content[:at] + b"\xff" * 30 + content[at + 30 :])
    assert "can't be loaded" in refused(folder, photo)
    export = ["export", str(folder), "--model", "tflite", "--out", str(tmp_path / "new/m.tflite")]
    answer = CliRunner().invoke(main, export)
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1), answer.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(0.5),
                            kernel_initializer="zeros"), "has no activation"),
        (keras.layers.Dense(3, activation="sigmoid"), "need not add up to 1"),
        (keras.layers.Dense(3, activation="sigmoid", kernel_initializer="zeros",
                            bias_initializer=keras.initializers.Constant([9.0, -9.0, -9.0])),
         "need not add up to 1"),
    ],
    ids=["a regression", "several labels", "one label is certain"],
)  # fmt: skip
def test_a_foreign_model_whose_numbers_are_no_classes_is_one_line(
    layer: keras.layers.Layer, words: str, photo: Path, tmp_path: Path
) -> None:
    model = saved(tmp_path / "m.keras", keras.layers.Flatten(), layer)
    assert words in refused(model, photo)


@pytest.mark.parametrize(
    ("activation", "shape", "words"),
    [
        (None, (6, 5, 3), "no probabilities"),
        ("softmax", (6, 5, 2), "expected images"),
        ("softmax", (7,), "expected images"),
    ],
)
def test_a_model_that_classifies_no_images_is_one_line(
    activation: str | None, shape: tuple[int, ...], words: str, images: Path, tmp_path: Path
) -> None:
    layers = keras.layers.Flatten(), keras.layers.Dense(4, activation=activation)
    model = saved(tmp_path / "m.keras", *layers, shape=shape)
    out = tmp_path / "out.csv"
    answer = predict(model, images, "--csv", out)
    assert answer.exit_code == 2, answer.output
    assert words in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not out.exists()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("L", (8, 8), 100).save(path)
    return path


def refused(*arguments: object) -> str:
    """Returns the one line that a prediction is refused in."""
    answer = predict(*arguments)
    assert answer.exit_code == 2, answer.output
    (line,) = answer.stderr.splitlines()
    return str(line)


def test_a_refusal_leaves_no_folder(photo: Path, tmp_path: Path) -> None:
    layers = keras.layers.Flatten(), keras.layers.Dense(4)
    model, out = saved(tmp_path / "m.keras", *layers, shape=(8, 8, 1)), tmp_path / "new" / "o.csv"
    assert "no image" in refused(model, tmp_path / "none.png", "--csv", out)
    assert "no probabilities" in refused(model, photo, "--csv", out)
    assert not out.parent.exists()
    assert "exists already" in refused(model, tmp_path / "none.png", "--csv", photo)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"inputs": "arrays"}, "arrays as they are, not on images"),
        ({"inputs": "images", "targets": "values"}, "predicts numbers, not one of several classes"),
        ({"inputs": "images", "targets": "labels"}, "predicts several labels an image, not one"),
    ],
)
def test_a_study_of_another_task_and_its_exports_predict_no_classes(
    facts: dict[str, str], words: str, photo: Path, tmp_path: Path
) -> None:
    folder = write_study(tmp_path, Synthetic(4, shape=(6, 5, 1)))
    record = json.loads((folder / "study.json").read_text())
    record["dataset"] |= facts
    (folder / "study.json").write_text(json.dumps(record))
    layers = keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")
    saved(folder / "best_model.keras", *layers, shape=(6, 5, 1))
    out = tmp_path / "exported"
    export = ["export", str(folder), "--model", "saved_model", "--out", str(out)]
    assert CliRunner().invoke(main, export).exit_code == 0
    assert words in refused(folder, photo)
    assert words in refused(out, photo)
    stated = json.loads((out / "assets.extra" / "experiments.json").read_text())
    assert stated.items() >= {n: v for n, v in facts.items() if v != "images"}.items()
    assert ("values" in stated) == (facts["inputs"] == "images")


def foreign(path: Path, takes: str = "uint8", outputs: int = 1, multiple: int = 1) -> Path:
    """A SavedModel of another program: how bright an image is, and how dark."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 5, 1), takes)])
    def serve(images: Any) -> dict[str, Any]:
        several = tf.reshape(images, (-1, multiple, 6, 5, 1))  # fails for other numbers of images
        bright = tf.reduce_mean(tf.cast(several, tf.float32), (2, 3, 4)) / 255
        bright = tf.reshape(bright, (-1,))
        return {f"output_{n}": tf.stack([bright, 1 - bright], 1) for n in range(outputs)}

    module = tf.Module()
    module.serve = serve
    tf.saved_model.save(module, str(path), signatures=serve)
    return path


@pytest.mark.parametrize("takes", ["uint8", "int64", "float16"])
def test_a_foreign_model_gets_images_of_its_type(takes: str, photo: Path, tmp_path: Path) -> None:
    _, (row,), _ = rows_of(foreign(tmp_path / "model", takes), photo)
    assert row["probabilities"] == pytest.approx([100 / 255, 155 / 255], abs=1e-3)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"takes": "int8"}, "takes int8, expected a type that holds 0 to 255"),
        ({"outputs": 2}, "has 2 outputs, expected one"),
        ({"multiple": 2}, "can't be run ("),
    ],
)
def test_a_foreign_model_that_can_not_be_used_is_one_line(
    made: dict[str, Any], words: str, photo: Path, tmp_path: Path
) -> None:
    assert words in refused(foreign(tmp_path / "model", **made), photo)


@pytest.mark.parametrize("quantized", [False, True])
def test_whole_numbers_of_a_tflite_file_are_pixels_unless_quantized(
    quantized: bool, photo: Path, tmp_path: Path
) -> None:
    import tensorflow as tf

    path = tmp_path / "model.tflite"
    converter = tf.lite.TFLiteConverter.from_saved_model(str(foreign(tmp_path / "made")))
    if quantized:
        model = foreign(tmp_path / "floats", "float32")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(model))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[np.ones((1, 6, 5, 1), np.float32)]]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())
    if quantized:
        assert "is quantized to uint8, expected float32" in refused(path, photo)
    else:
        _, (row,), _ = rows_of(path, photo)
        assert row["probabilities"] == pytest.approx([100 / 255, 155 / 255], abs=1e-3)


def test_an_onnx_file_gets_images_of_its_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    entry = SimpleNamespace(name="images", shape=["n", 2, 2, 1], type="tensor(uint8)")
    outputs = [SimpleNamespace(name="classes")]
    session = SimpleNamespace(
        get_inputs=lambda: [entry],
        get_outputs=lambda: outputs,
        run=lambda names, fed: given.append(fed["images"]) or [fed["images"]],
    )
    monkeypatch.setattr(run_model, "_onnx_session", lambda path: session)
    runner = run_model.open_model(tmp_path, "onnx")
    runner.predict(np.full((3, 2, 2, 1), 200, np.float32))
    assert (runner.input_type, given[0].dtype) == (np.uint8, np.uint8)
    outputs *= 2
    with pytest.raises(UserError, match="has 2 outputs, expected one"):
        run_model.open_model(tmp_path, "onnx")


@pytest.mark.parametrize("damage", ["{", '{"shape": [8, 8, 99999999]}', '{"format": 99}'])
def test_damaged_metadata_is_one_line(damage: str, old: Path, images: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    shutil.copy(old / "best_model.keras", path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("experiments.json", damage)
    answer = predict(path, images)
    assert answer.exit_code == 2, answer.output
    assert "'" + str(path) in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_bad_arguments_end_before_tensorflow_is_loaded(
    old: Path, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    (tmp_path / "model.h5").write_bytes(b"no model")
    picture = str(images / "000.png")
    wrong = {
        "there is no image": [str(old), str(tmp_path / "none.png")],
        "no readable image": [str(old), str(tmp_path / "bad.png")],
        "is no model": [str(tmp_path / "model.h5"), picture],
        "there is no model": [str(tmp_path / "none.keras"), picture],
        "nowhere": [str(tmp_path / "nowhere"), picture],
        "~no-user": ["~no-user.keras", picture],
        "choose one": [str(old), picture, "--csv", "-", "--json", "-"],
        "Missing argument": [str(old)],
    }
    code = (
        "import json, sys\nfrom experiments.cli.main import main\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "    try:\n        main(['predict', *arguments])\n"
        "    except SystemExit as ended:\n        assert ended.code == 2, ended.code\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    ran = [sys.executable, "-c", code, json.dumps(list(wrong.values()))]
    answer = subprocess.run(ran, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    errors = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(wrong), answer.stderr
    for words, line in zip(wrong, errors, strict=True):
        assert words in line
