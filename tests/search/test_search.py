"""A search from end to end: its folder, its model, its numbers, its failures."""

import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any, cast

import keras
import keras_tuner
import pytest

import search_spaces.mnist_cnn as mnist_cnn
from experiments import SearchConfig, run_search
from experiments.data.prepare import kept
from experiments.display.base import Display
from experiments.finalists.record import Confirmed
from experiments.search import search_result
from experiments.search.run import SearchResult, prepare_search
from reports import load_study
from search_spaces.mnist_cnn import MnistCnn
from tests.one_structure import STRUCTURE
from tests.search_spaces.backbones import own_backbone

EPOCHS = 3


def run(runs: Path, cache_dir: Path, name: str, **options: Any) -> SearchResult:
    defaults = {"space": "mnist_cnn", "dataset": "digits", "max_trials": 2, "max_epochs": 1}
    defaults |= {"fix": STRUCTURE, "starting_points": False}
    return run_search(
        SearchConfig(
            **(defaults | options), name=name, runs_dir=str(runs), cache_dir=str(cache_dir)
        )
    )


# Keras says so of every checkpoint that Keras Tuner loads: the optimizer is not built yet.
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_study_opens_in_plain_keras_tuner(study_folder: Path) -> None:
    tuner = keras_tuner.RandomSearch(
        MnistCnn((16, 16, 1), 10),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=3,
        directory=study_folder.parent,
        project_name=study_folder.name,
        overwrite=False,
    )
    study = load_study(study_folder)
    assert sorted(tuner.oracle.trials) == sorted(study.trials["trial_id"])
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.trial_id == study.completed.iloc[0]["trial_id"]
    assert best.score == pytest.approx(study.completed.iloc[0]["score"])
    assert isinstance(tuner.get_best_models(1)[0], keras.Model)


def test_folders_may_be_paths(tmp_path: Path) -> None:
    config = SearchConfig("mnist_cnn", runs_dir=tmp_path, cache_dir=tmp_path)  # type: ignore[arg-type]
    assert config.as_dict()["runs_dir"] == str(tmp_path)


def test_every_epoch_of_every_metric_is_recorded(study_folder: Path) -> None:
    epochs = load_study(study_folder).epochs
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= set(epochs.columns)
    assert (epochs.groupby("trial_id")["epoch"].max() == EPOCHS).all()
    assert epochs.notna().all().all()


_EVALUATE = """
import json, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("experiments", "search_spaces", "reports"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import keras, numpy as np
model = keras.models.load_model(sys.argv[1])
images, labels = np.load(sys.argv[2]), np.load(sys.argv[3])
guesses = model.predict(images, verbose=0).argmax(axis=1)
print(json.dumps({"accuracy": float((guesses == labels).mean()), "modules": sorted(
    name for name in sys.modules if name in ("experiments", "search_spaces", "reports"))}))
"""


def test_exported_model_gives_the_recorded_score_without_the_suite(
    study_folder: Path, cache_dir: Path, tmp_path: Path
) -> None:
    finalist = json.loads((study_folder / "artifacts" / "finalists.json").read_text())[0]
    training = finalist["runs"][finalist["exported_run"]]
    recorded = training["test"]["accuracy"]
    record = json.loads((study_folder / "study.json").read_text())
    prepared = kept("digits", record["dataset"], cache_dir)
    assert prepared is not None
    data = Path(prepared.folder)
    arguments = [data / "test-images.npy", data / "test-labels.npy"]
    answer = subprocess.run(
        [sys.executable, "-c", _EVALUATE, study_folder / "best_model.keras", *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    said = json.loads(answer.stdout.splitlines()[-1])
    assert said == {"accuracy": pytest.approx(recorded, abs=1e-6), "modules": []}


@pytest.mark.usefixtures("without_report")
def test_same_seed_same_trials_and_numbers(tmp_path: Path, cache_dir: Path) -> None:
    first, second, other = (
        load_study(run(tmp_path, cache_dir, f"s{n}", seed=seed, confirm=0, sample=100).folder)
        for n, seed in enumerate((7, 7, 8))
    )
    varied = [c for c in first.trials if c not in ("started", "ended", "seconds", "step_seconds")]
    assert first.trials[varied].equals(second.trials[varied])
    assert first.epochs.drop(columns="seconds").equals(second.epochs.drop(columns="seconds"))
    assert not first.trials[varied].equals(other.trials[varied])


@pytest.mark.usefixtures("without_report")
def test_executions_are_kept_apiece(tmp_path: Path, cache_dir: Path) -> None:
    result = run(
        tmp_path, cache_dir, "twice", max_trials=1, executions_per_trial=2, sample=100, confirm=0
    )
    row = load_study(result.folder).trials.iloc[0]
    assert row["status"] == "completed", row["traceback"]
    assert len(set(row["scores"])) == 2
    assert row["score"] == pytest.approx(sum(row["scores"]) / 2)


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("method", ["grid", "bayesian"])  # hyperband: tests/studies
def test_methods_search(method: str, tmp_path: Path, cache_dir: Path) -> None:
    result = run(
        tmp_path,
        cache_dir,
        method,
        method=method,
        sample=100,
        confirm=0,
    )
    study = load_study(result.folder)
    assert len(study.completed) == 2, study.failed["traceback"].to_list()


def _explode(*_: object) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(float("nan"))  # 1e30 does not diverge every time


def _impossible(self: Any, hp: Any) -> Any:
    raise ValueError("negative dimension")


def _too_large(self: Any, hp: Any) -> Any:
    raise MemoryError("could not allocate 9 TB")


@pytest.mark.usefixtures("without_drawing")
def test_a_failed_trial_costs_itself_alone(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    causes = {"nan": _explode, "build": _impossible, "out_of_memory": _too_large}
    build, optimizer, trials = MnistCnn.build, mnist_cnn.make_optimizer, iter([*causes, None])

    def build_badly(self: Any, hp: Any) -> Any:
        cause = next(trials)
        monkeypatch.setattr(mnist_cnn, "make_optimizer", _explode if cause == "nan" else optimizer)
        return (build if cause in ("nan", None) else causes[cause])(self, hp)

    monkeypatch.setattr(MnistCnn, "build", build_badly)
    result = run(tmp_path, cache_dir, "failing", sample=100, confirm=0, max_trials=4)
    assert (result.num_failed, result.best_trial) == (3, "0003")
    failed = load_study(result.folder).failed
    assert list(failed["cause"]) == [*causes]
    assert failed["traceback"].str.contains("Traceback").all()
    page = result.report.read_text()
    for number, cause in enumerate(causes):
        assert cause.replace("_", " ") in page
        assert f"traceback of trial {number:04d}" in page


@pytest.mark.usefixtures("without_drawing")
def test_a_search_whose_every_trial_fails_still_reports(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MnistCnn, "build", _impossible)
    result = run(tmp_path, cache_dir, "hopeless", sample=100)
    assert (result.best_trial, result.test_scores) == (None, ())
    assert "No trial was completed; 2 failed" in result.report.read_text()


@pytest.mark.usefixtures("without_report")
def test_the_report_waits_for_its_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = threading.Event()

    def slow(name: str) -> None:
        time.sleep(0.3)
        imported.set()

    monkeypatch.setattr(search_result, "import_module", slow)

    def load(folder: Path) -> None:
        raise RuntimeError(f"imported: {imported.is_set()}")

    monkeypatch.setattr("reports.load_study", load, raising=False)
    search_result.begin_report()
    with pytest.raises(RuntimeError, match="imported: True"):
        search_result.result_of(tmp_path, cast(Any, None), Confirmed())


@pytest.mark.usefixtures("without_report")
def test_objective_to_minimise_ranks_the_lowest_first(tmp_path: Path, cache_dir: Path) -> None:
    result = run(tmp_path, cache_dir, "loss", objective="val_loss", confirm=0, sample=100)
    study = load_study(result.folder)
    assert study.direction == "min"
    assert result.best_score == study.trials["score"].min()


def test_a_second_phase_that_trials_of_one_epoch_lack_is_said(
    tmp_path: Path, cache_dir: Path
) -> None:
    def notices(epochs: int, **fix: str) -> list[str]:
        config = SearchConfig(
            "transfer_head",
            "digits",
            sample=40,
            method="random",
            max_epochs=epochs,
            confirm=0,
            settings={"base": own_backbone(tmp_path / "own.keras", 32)},
            fix=fix,
            cache_features=False,
            cache_dir=str(cache_dir),
        )
        return list(prepare_search(config, Display()).notices)

    (said,) = notices(1)
    assert said.startswith("trials of one epoch have no second phase of training: ")
    assert notices(1, unfreeze="true") == [said]
    assert notices(2) == notices(1, unfreeze="false") == notices(2, unfreeze="true") == []


@pytest.mark.usefixtures("without_report")
def test_f1_score_as_objective_and_the_model_loads_without_it(
    tmp_path: Path, cache_dir: Path
) -> None:
    small = {"sample": 200, "max_trials": 1, "fix": STRUCTURE | {"learning_rate": 5e-3}}
    result = run(tmp_path, cache_dir, "f1", objective="val_f1_score:max", max_epochs=2, **small)
    study = load_study(result.folder)
    assert study.completed.iloc[0]["score"] == study.epochs["val_f1_score"].max()
    # Digits are as good as balanced, so that macro F1 and accuracy are close but not the same.
    finalist = study.finalists[0]["runs"][0]["test"]
    assert 0 < abs(finalist["f1_score"] - finalist["accuracy"]) < 0.2
    with zipfile.ZipFile(result.folder / "best_model.keras") as archive:
        config = archive.read("config.json").decode()
    assert "Dense" in config
    assert not re.search("search_spaces|experiments|f1", config, re.IGNORECASE)


@pytest.mark.usefixtures("without_report")
def test_mnist_for_real(tmp_path: Path, cache_dir: Path, tfds_dir: str) -> None:
    result = run(
        tmp_path,
        cache_dir,
        "mnist",
        dataset="mnist",
        data_dir=tfds_dir,
        sample=2500,
        max_trials=1,
        max_epochs=3,
        fix={"conv_blocks": 1, "optimizer": "adam", "learning_rate": 2e-3, "batch_size": 32},
    )
    assert result.test_scores[0] > 0.85
    dataset = load_study(result.folder).record["dataset"]
    assert dataset["counts"] == {"train": 1713, "validation": 430, "test": 357}  # it keeps its own
    assert dataset["roles"]["test"] == "test"


@pytest.mark.usefixtures("without_report")
def test_cats_and_dogs_for_real(
    tmp_path: Path, cache_dir: Path, tfds_dir: str, imagenet: None
) -> None:
    result = run(
        tmp_path,
        cache_dir,
        "cats",
        space="transfer_head",
        dataset="cats_vs_dogs",
        data_dir=tfds_dir,
        sample=300,
        max_trials=1,
        max_epochs=4,
        settings={"alpha": "0.35", "image_size": "112"},
        fix={
            "unfreeze": "true",
            "unfreeze_from": "block_16_expand",
            "batch_size": 16,
            "learning_rate": 5e-3,
            "fine_tune_learning_rate": 1e-4,
            "head_pooling": "average",
            "flip": "false",
            "dropout": 0,
            "dense_layers": 0,
        },
    )
    study = load_study(result.folder)
    assert study.model is not None
    assert study.model["output_shape"] == [None, 1]
    assert 0 < study.model["trainable_parameters"] < study.model["frozen_parameters"]
    assert study.completed.iloc[0]["score"] > 0.75
    sizes = study.arrays("pictures")["test_sizes"]  # type: ignore[index]
    assert (sizes == 180).all()
