"""The model card: the same text in the report and beside the model."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from experiments.record.formatting import duration
from experiments.record.layout import StudyFolder
from experiments.studies import export_model
from reports import load_study, write_report
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import tiles
from reports.page.card_part import Part, markdown
from reports.page.model_card import card_text, model_card, write_card
from reports.page.model_file import ModelFile
from tests.reports.synthetic import Synthetic, write_study

NAMES = ["cat | dog", "<b>bold</b>", "[link](http://x)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = Synthetic(6, name="card", with_model=True, class_names=NAMES)
    made = write_study(tmp_path_factory.mktemp("runs"), plan)
    record = json.loads((made / "study.json").read_text())
    record["dataset"]["name"] = "folder:/home/someone/private/pets/"
    (made / "study.json").write_text(json.dumps(record))
    return made


def test_it_says_what_its_users_should_know(folder: Path) -> None:
    study = load_study(folder)
    parts = {part.title: part for part in model_card(study)}
    assert list(parts) == ["The model", "Data", "How it was chosen", "Test score",
                           "Confusion on test", "Costs", "Limits", "Use"]  # fmt: skip
    card = card_text(study)
    trial = study.finalists[0]["trial_id"]
    for words in (
        f"the network of trial {trial}", "trained with seed 0", "3 classes", "folder:pets",
        "1,000 train, 250 validation, 200 test", "fingerprint is f1f1", "method random",
        "of another training on other images", "wrongly", "1,010 parameters", "nothing is known",
        "of several images of one patient, scene or video they are too short",
        "It needs Keras", "experiments predict best_model.keras",
    ):  # fmt: skip
        assert words in card, words
    assert "private" not in card


@pytest.mark.parametrize(("inputs", "task"), [("arrays", "classes"), ("images", "labels")])
def test_only_a_classifier_of_images_is_for_predict(inputs: str, task: str, tmp_path: Path) -> None:
    made = write_study(tmp_path, Synthetic(4, name="card", with_model=True, task=task))
    record = json.loads((made / "study.json").read_text())
    record["dataset"]["inputs"] = inputs
    (made / "study.json").write_text(json.dumps(record))
    assert "experiments predict" not in card_text(load_study(made))


@pytest.mark.parametrize(
    ("size", "words"),
    [(3_400_000, "3.4 MB"), (9_960_000, "10 MB"), (99_600_000, "100 MB"), (171_000_000, "171 MB")],
)
def test_a_large_file_has_its_size_in_digits(size: int, words: str, tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(4, name="large", with_model=True)))
    os.truncate(study.files.model, size)
    assert f"The file has {words}." in card_text(study)
    assert f"; file {words}" in str(tiles(study, verdict(study)))


@pytest.mark.parametrize("shape", [[5], [], ["a", 2], None])
def test_a_damaged_shape_is_passed_over(shape: object, folder: Path) -> None:
    study = load_study(folder)
    study.record["dataset"]["shape"] = shape
    assert "It takes" in card_text(study)


def test_underscores_and_entities_are_no_markup() -> None:
    part = Part("Data", ("__init__ ~~old~~ &lt; val_accuracy `__code__`",))
    said = markdown("x", [part]).splitlines()[-1]
    assert said == r"- \_\_init\_\_ \~\~old\~\~ \&lt; val_accuracy `__code__`"


def test_names_are_no_markup(folder: Path) -> None:
    card = card_text(load_study(folder))
    assert "<b>" not in card.replace("\\<b>", "")
    assert "\\[link](http" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    recall = next(i for i, row in enumerate(rows) if "found (recall)" in row)
    assert bars[recall : recall + 5] == [6] * 5


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_page_and_file_have_the_same_text(folder: Path) -> None:
    page = write_report(folder).read_text()
    study, path = load_study(folder), StudyFolder(folder).card
    assert path.read_text() == card_text(study)
    section = page.partition('id="model-card"')[2].partition("</section>")[0]
    said = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", section)).split())
    for part in model_card(study):
        for line in part.lines:
            assert " ".join(line.replace("`", "").split())[:60] in said.replace(" :", ":")
    was = path.stat().st_mtime_ns
    write_report(folder)
    assert path.stat().st_mtime_ns == was  # else a watch would never come to rest
    from experiments.record.stamps import is_current
    from experiments.record.trial_index import scan

    assert is_current(study.files.page, folder, scan(folder).stamps)


def test_without_a_model_there_is_none(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path, Synthetic(4, name="none")))
    assert not write_card(study, tmp_path / "card.md")
    assert not (tmp_path / "card.md").exists()


def test_a_file_of_another_kind_is_left_alone(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "model_card.md"
    other.write_text("my notes")
    assert not write_card(load_study(folder), other)
    assert other.read_text() == "my notes"
    other.write_text("# Model card: of before")
    assert write_card(load_study(folder), other)
    assert other.read_text() == card_text(load_study(folder))


def test_an_exported_model_has_its_card_beside_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(folder)
    for name, result in (("load_best", None), ("best_metadata", None), ("_export", 1e-7)):
        monkeypatch.setattr(export_model, name, lambda *_, result=result: result)
    out = tmp_path / "pets.tflite"
    out.write_bytes(b"x" * 3_400_000)
    monkeypatch.setattr(Path, "exists", lambda path: path != out and path.is_file())
    assert export_model.export_model(study, "tflite", out) == 1e-7
    card = (tmp_path / "pets.tflite_card.md").read_text()
    assert card == card_text(study, ModelFile(out, "tflite"))
    for words in (
        "`pets.tflite`: the network", "The file has 3.4 MB.", "in Keras, alone",
        'tf.lite.Interpreter(model_path="pets.tflite")', "It needs TensorFlow or LiteRT",
        "```\nexperiments predict pets.tflite IMAGE|FOLDER ...\n```",
    ):  # fmt: skip
        assert words in card, words
    assert "best_model.keras" not in card
    assert "load_model" not in card


def test_models_of_one_name_have_a_card_each(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(folder)
    for name, result in (("load_best", None), ("best_metadata", None), ("_export", 1e-7)):
        monkeypatch.setattr(export_model, name, lambda *_, result=result: result)
    monkeypatch.setattr(ModelFile, "size", 5)
    for name in ("v1.2", "v1.3"):
        export_model.export_model(study, "saved_model", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v1.2_card.md", "v1.3_card.md"]


@pytest.mark.parametrize(
    ("kind", "loads", "needs"),
    [
        ("keras", 'keras.models.load_model("m")', "It needs Keras"),
        ("saved_model", 'tf.saved_model.load("m")', "It needs TensorFlow (made"),
        ("onnx", 'onnxruntime.InferenceSession("m")', "It needs an ONNX runtime"),
    ],
)
def test_a_card_says_how_its_file_is_loaded(
    kind: str, loads: str, needs: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    for name in ("a", "b"):
        (tmp_path / "m" / name).write_bytes(b"x" * 1_500_000)
    study = load_study(folder)
    study.record["environment"] = {"packages": {"keras": "3.9"}}
    card = card_text(study, ModelFile(tmp_path / "m", kind))
    assert loads in card
    assert needs in card
    assert "The file has 3 MB." in card
    # `predict` knows a file by its suffix.
    assert ("experiments predict m " in card) == (kind == "saved_model")


@pytest.mark.usefixtures("without_drawing")
def test_its_costs_are_those_of_the_exported_model(tmp_path: Path) -> None:
    made = write_study(tmp_path, Synthetic(6, name="older", with_model=True))
    exported, *_, leads = load_study(made).completed["trial_id"]
    for name in ("trial.json", "result.json"):  # a trial that was added since
        path = made / f"trial_{leads}" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 0.999}))
    path = made / f"trial_{exported}" / "result.json"
    result = json.loads(path.read_text())
    result["executions"] *= 3
    path.write_text(json.dumps(result))
    study = load_study(made)
    assert verdict(study).trial_id == leads
    costs = next(part for part in model_card(study) if part.title == "Costs").lines
    assert costs[0] == "1,010 parameters, 1,000 of them trainable."
    assert "2 M floating-point operations of one image." in costs
    assert "3.20 ms of one image, alone on 2 cores (median)." in costs
    seconds = float(study.trial(exported)["seconds"])
    assert costs[-1].startswith(f"Its trial took {duration(seconds)}, ")
    page = write_report(study).read_text()
    assert "1,000 trainable and 10 frozen parameters" in page
    (parameters,) = [tile for tile in tiles(study, verdict(study)) if tile[0] == "parameters"]
    assert "file" not in parameters[2]  # it is of another network
