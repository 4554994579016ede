"""Trainings for comparisons: which are repeated, which are pooled, and by which command."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData
from experiments.finalists.trainings import Training
from experiments.record.errors import UserError
from experiments.record.files import write_json
from experiments.record.lock import COMPARED, is_running, locked
from experiments.record.test_uses import read_uses
from experiments.studies.reopen import Opened
from experiments.studies.retrain import confirm_trial
from experiments.studies.status import status_text
from reports import load_study
from reports.analysis import test_predictions
from tests.reports.synthetic import Synthetic, write_study

TRIAL, NUM_IMAGES, NUM_EPOCHS = "02", 15, 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of 12 trials of 5 epochs, none of them tested."""
    return write_study(tmp_path, Synthetic(12, num_epochs=NUM_EPOCHS, num_seeds=0))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds that were trained, in order; no real training runs."""
    seeds: list[int] = []

    def train(opened: Opened, training: Training) -> Any:
        seed = training.seed
        seeds.append(seed)
        right = opened.config.max_epochs + 5  # of 15 images: more epochs, more of them
        said = (np.arange(NUM_IMAGES) >= right).astype(np.uint8)
        curve = [0.5] * opened.config.max_epochs
        test = {"accuracy": right / NUM_IMAGES, "loss": 0.1}
        run = {"seed": seed, "score": 0.9, "history": {"val_accuracy": curve}, "test": test}
        return run | {"test_size": NUM_IMAGES}, said

    monkeypatch.setattr("experiments.studies.retrain._train_and_test", train)
    labels = SimpleNamespace(labels=np.zeros(NUM_IMAGES, int))
    monkeypatch.setattr(PreparedData, "open", lambda self, split: labels)
    return seeds


def opened(folder: Path, **changes: Any) -> Opened:
    """Opens the study as `study.json` says, with changes of its config that are recorded."""
    path = folder / "study.json"
    record = json.loads(path.read_text())
    record["config"] |= changes
    path.write_text(json.dumps(record))
    study = load_study(folder)
    options = {"space": "mnist_cnn", "dataset": "digits", "max_trials": 12, "seed": 7}
    asked = {n: record["config"][n] for n in ("max_epochs", "patience")}
    counts = {"test": NUM_IMAGES}
    names, shape, fingerprint = ("0", "1", "2"), (8, 8, 1), "f1f1f1f1f1f1f1f1"
    data = PreparedData(str(folder), "digits", names, shape, counts, fingerprint)
    return Opened(study, SearchConfig(**options, **asked), data)


def test_it_is_said_of_which_study_a_model_has_moved(tmp_path: Path) -> None:
    folders = [
        write_study(tmp_path, Synthetic(3, num_epochs=2, num_seeds=1, name=name)) for name in "abc"
    ]
    for folder, space in zip(folders, ("/gone/one.py", "/gone/two.py", "mnist_cnn"), strict=True):
        record = json.loads((folder / "study.json").read_text())
        record["config"]["space"] = space
        (folder / "study.json").write_text(json.dumps(record))

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["compare", *arguments, "--runs-dir", str(tmp_path)])
        assert result.exit_code == 2, result.output
        return result.stderr

    def again(*arguments: str) -> str:
        return said(*arguments, "--allow-different-splits", "--seeds", "1")

    assert "say of which study, as --space a=FILE.py" in again("a", "b", "--space", "one.py")
    assert "none of these studies has a model" in again("c", "--default", "--space", "one.py")
    assert "says where the code is that --seeds trains with" in said("a", "b", "--space", "x.py")
    gone = again("a", "b", "--space", f"a={tmp_path}/one.py", "--space", f"b={tmp_path}/two.py")
    assert "one.py: there is no such file" in gone
    other = tmp_path / "other" / "a"
    shutil.copytree(tmp_path / "b", other)
    record = json.loads((other / "study.json").read_text())
    (other / "study.json").write_text(json.dumps(record | {"name": "a"}))
    named = ("--space", f"{tmp_path}/a=three.py", "--space", f"{other}=four.py")
    assert f"as --space {tmp_path}/a=FILE.py" in again("a", str(other), "--space", "one.py")
    assert "three.py: there is no such file" in again("a", str(other), *named)
    assert "four.py: there is no such file" in again(str(other), "a", *named)


def accuracies(folder: Path) -> list[float]:
    return [
        run["test"]["accuracy"] for run in test_predictions.tested_runs(load_study(folder), TRIAL)
    ]


def test_trainings_of_other_epochs_are_kept_aside(folder: Path, trained: list[int]) -> None:
    said: list[str] = []
    confirm_trial(opened(folder, max_epochs=1), TRIAL, 2, said.append)
    assert accuracies(folder) == [6 / 15] * 2
    confirm_trial(opened(folder, max_epochs=8), TRIAL, 3, said.append)
    assert trained == trained[:2] + trained[:2] + trained[4:]
    assert len(trained) == 5
    assert accuracies(folder) == [13 / 15] * 3
    aside = [line for line in said if "kept aside" in line]
    assert len(aside) == 1
    assert "2 of 2 trainings kept aside" in aside[0]
    assert "max_epochs 1 then, 8 now" in aside[0]
    earlier = folder / "artifacts" / "confirmed" / "earlier" / f"{TRIAL}-1.json"
    assert len(json.loads(earlier.read_text())[0]["runs"]) == 2
    confirm_trial(opened(folder), TRIAL, 3, said.append)
    assert len(trained) == 5  # the same once more: nothing to do


def test_a_training_whose_record_was_not_written_costs_itself_alone(
    folder: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(path: Path, record: Any) -> None:
        if len(record[0]["runs"]) == 3:
            raise KeyboardInterrupt
        write_json(path, record)

    with monkeypatch.context() as patched:
        patched.setattr("experiments.studies.confirmed_files.write_json", cut_off)
        with pytest.raises(KeyboardInterrupt):
            confirm_trial(opened(folder), TRIAL, 4)
    assert len(trained) == 3
    kept = test_predictions.test_predictions(load_study(folder), TRIAL)
    assert kept is not None
    assert kept.seeds.tolist() == trained[:2]
    confirm_trial(opened(folder), TRIAL, 4)
    assert trained[:3] == [*trained[:2], trained[3]]
    assert len(trained) == len(set(trained)) + 1 == 5


def test_trainings_whose_predictions_are_lost_are_kept_aside(
    folder: Path, trained: list[int]
) -> None:
    confirm_trial(opened(folder), TRIAL, 2)
    path = load_study(folder).files.confirmed_trial(TRIAL)
    recorded = path.read_text()
    path.with_suffix(".npz").unlink()
    lines: list[str] = []
    confirm_trial(opened(folder), TRIAL, 2, lines.append)
    assert trained[2:] == trained[:2]
    assert lines[0].startswith(f"trial {TRIAL}: {TRIAL}.npz is missing, or of other trainings")
    assert (path.parent / "earlier" / f"{TRIAL}-1.json").read_text() == recorded


def test_trainings_under_other_numerics_are_taken_and_named(
    folder: Path, trained: list[int]
) -> None:
    path, said = folder / "artifacts" / "confirmed" / f"{TRIAL}.json", list[str]()
    confirm_trial(opened(folder), TRIAL, 2, said.append)
    records = json.loads(path.read_text())
    for run, threads in zip(records[0]["runs"], (2, 1), strict=True):
        run["numerics"] = {"intra_op_threads": threads, "onednn": True}
    path.write_text(json.dumps(records))
    confirm_trial(opened(folder), TRIAL, 3, said.append)
    assert len(trained) == 3
    assert said[-1] == (
        f"trial {TRIAL}: The trainings were not all made under the same threads of an operation "
        "(1, 2): this affects results, as seeds do."
    )


def test_trainings_of_before_are_told_by_their_history(folder: Path, trained: list[int]) -> None:
    confirm_trial(opened(folder, max_epochs=1), TRIAL, 2)
    path = folder / "artifacts" / "confirmed" / f"{TRIAL}.json"
    records = json.loads(path.read_text())
    for run in records[0]["runs"]:
        del run["how"]
    path.write_text(json.dumps(records))
    confirm_trial(opened(folder), TRIAL, 2)  # alike: they stay
    assert len(trained) == 2
    confirm_trial(opened(folder, max_epochs=8), TRIAL, 3)
    assert len(trained) == 5
    assert accuracies(folder) == [13 / 15] * 3


def test_a_default_that_moved_is_trained_anew(
    folder: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"learning_rate": 0.001}
    monkeypatch.setattr(Opened, "default", lambda self: {"space": [], "values": dict(values)})
    confirm_trial(opened(folder), "default", 2)
    confirm_trial(opened(folder), "default", 2)
    assert len(trained) == 2
    values["learning_rate"] = 0.01
    said: list[str] = []
    confirm_trial(opened(folder), "default", 2, said.append)
    assert len(trained) == 4
    assert "other hyperparameters" in said[0]
    uses = read_uses(folder)  # another network: the split was opened on it too
    assert [len(use["trainings"]) for use in uses] == [2, 2]


def test_a_report_takes_no_trainings_of_other_epochs_together(
    folder: Path, trained: list[int]
) -> None:
    path = folder / "artifacts" / "confirmed" / f"{TRIAL}.json"
    confirm_trial(opened(folder, max_epochs=1), TRIAL, 3)
    short, short_said = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
    short_said = dict(short_said)
    path.unlink()
    confirm_trial(opened(folder, max_epochs=8), TRIAL, 2)
    whole = json.loads(path.read_text())
    whole[0]["runs"] = short[0]["runs"][2:] + whole[0]["runs"]  # as was written before
    whole_said = dict(np.load(path.with_suffix(".npz")))
    for name in ("predicted", "scores"):
        whole_said[name] = np.concatenate([short_said[name][2:], whole_said[name]])
    path.write_text(json.dumps(whole))
    np.savez(path.with_suffix(".npz"), **whole_said)
    assert accuracies(folder) == [13 / 15] * 2
    found = test_predictions.test_predictions(load_study(folder), TRIAL)
    assert found is not None
    assert len(found.seeds) == 2
    study = load_study(folder)
    study.record["config"]["max_epochs"] = 1  # what the study says now comes before what is last
    assert [run["test"]["accuracy"] for run in test_predictions.tested_runs(study, TRIAL)] == [
        6 / 15
    ]


def test_a_finalist_of_other_epochs_is_no_training_of_now(folder: Path, trained: list[int]) -> None:
    confirm_trial(opened(folder, max_epochs=1), TRIAL, 2)
    place = folder / "artifacts"
    records = json.loads((place / "confirmed" / f"{TRIAL}.json").read_text())
    record = records[0] | {"max_epochs": 1, "patience": None, "exported_run": 0}
    for run in record["runs"]:
        del run["how"]
    (place / "finalists.json").write_text(json.dumps([record]))
    shutil.rmtree(place / "confirmed")
    confirm_trial(opened(folder, max_epochs=8), TRIAL, 2)
    assert len(trained) == 4
    assert accuracies(folder) == [13 / 15] * 2


def test_two_comparisons_at_once_lose_nothing(folder: Path) -> None:
    arguments = ["compare", folder.name, "--default", "--seeds", "2"]
    with locked(folder, COMPARED):
        assert is_running(folder) is False  # no search is
        assert " since " not in status_text(folder)
        answer = CliRunner().invoke(main, [*arguments, "--runs-dir", str(folder.parent)])
    assert answer.exit_code == 2
    assert len(answer.stderr.splitlines()) == 1
    assert f"study '{folder.name}' is being compared already by process" in answer.stderr
    with locked(folder):
        answer = CliRunner().invoke(main, [*arguments, "--runs-dir", str(folder.parent)])
    assert answer.exit_code == 2
    assert "is being searched already" in answer.stderr


def test_a_study_without_completed_trial_has_nothing_to_train(tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(2, num_failed=2, num_seeds=0, name="failing"))
    arguments = ["compare", "failing", "--default", "--seeds", "2", "--runs-dir", str(tmp_path)]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 2
    assert "study 'failing' has no completed trial to train" in answer.stderr
    assert "experiments resume failing" in answer.stderr


@pytest.mark.parametrize("is_plain", [True, False])
def test_what_can_not_be_trained_is_refused_before_it_is_locked(
    is_plain: bool, tmp_path: Path
) -> None:
    for name in "ab":
        folder = write_study(tmp_path, Synthetic(3, num_epochs=2, num_seeds=0, name=name))
        record = json.loads((folder / "study.json").read_text())
        (folder / "study.json").write_text(json.dumps(record | {"script": {"file": "s.py"}}))
        if is_plain:
            (folder / "study.json").unlink()
    before = sorted(tmp_path.rglob("*"))
    arguments = ["compare", "a", "b", "--seeds", "2", "--allow-different-splits"]
    answer = CliRunner().invoke(main, [*arguments, "--runs-dir", str(tmp_path)])
    assert (answer.exit_code, len(answer.stderr.splitlines())) == (2, 1), answer.output
    assert ("plain Keras Tuner" if is_plain else "searched by experiments.Tuner") in answer.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("without_drawing")
def test_studies_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [write_study(tmp_path / place, Synthetic(6)) for place in "ab"]

    def digest() -> str:
        answer = CliRunner().invoke(main, ["compare", *map(str, folders)])
        assert answer.exit_code == 0, answer.output
        look = json.loads((folders[0] / "artifacts" / "looks.json").read_text())[-1]
        assert list(look["trainings"].values()) == [3, 3]
        return str(look["digest"])

    before, path = digest(), folders[0] / "artifacts" / "finalists.json"
    finalists = json.loads(path.read_text())
    finalists[0]["runs"][0]["test"]["accuracy"] -= 0.01
    path.write_text(json.dumps(finalists))
    assert digest() != before


def test_a_place_that_takes_no_page_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        write_study(tmp_path, Synthetic(3, num_epochs=2, num_seeds=0, name=name))
    (tmp_path / "file").touch()
    trained: list[None] = []
    monkeypatch.setattr("experiments.cli.compare_command._confirm", lambda *_: trained.append(None))
    arguments = ["compare", "a", "b", "--seeds", "1", "--runs-dir", str(tmp_path)]
    answer = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "file" / "page")])
    assert (answer.exit_code, trained) == (2, [])
    assert "file/page' can't be made: " in answer.stderr


def as_if_opened(study: Any, targets: str = "classes", **options: Any) -> Any:
    return SimpleNamespace(study=study, data=SimpleNamespace(targets=targets))


@pytest.mark.parametrize("words", ["b: its dataset is gone", "study 'b' has no classes"])
def test_all_studies_are_opened_before_one_is_trained(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        write_study(tmp_path, Synthetic(3, num_epochs=2, num_seeds=0, name=name))

    def open_study(study: Any, **options: Any) -> Any:
        if study.name == "b" and "gone" in words:
            raise UserError(words)
        return as_if_opened(study, "values" if study.name == "b" else "classes")

    trained: list[None] = []
    monkeypatch.setattr("experiments.studies.reopen.open_study", open_study)
    monkeypatch.setattr(
        "experiments.studies.retrain.confirm_trial", lambda *_: trained.append(None)
    )
    arguments = ["compare", "a", "b", "--seeds", "1", "--runs-dir", str(tmp_path)]
    answer = CliRunner().invoke(main, arguments)
    assert (answer.exit_code, trained) == (2, [])
    assert words in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_comparison_holds_the_lock_while_it_trains(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def confirm(opened: Any, trial_id: str, num_seeds: int, say: Any) -> None:
        with pytest.raises(Exception, match="being compared already"), locked(folder):
            pass
        seen.append(trial_id)

    monkeypatch.setattr("experiments.studies.retrain.confirm_trial", confirm)
    monkeypatch.setattr("experiments.studies.reopen.open_study", as_if_opened)
    monkeypatch.setattr("experiments.cli.compare_command._measure", lambda *arguments: None)
    arguments = ["compare", folder.name, "--default", "--seeds", "2"]
    answer = CliRunner().invoke(main, [*arguments, "--runs-dir", str(folder.parent)])
    assert answer.exit_code == 0, answer.output
    assert len(seen) == 2
    with locked(folder):
        pass  # and lets go of it
