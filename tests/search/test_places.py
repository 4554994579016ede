"""Studies, data and caches that have moved: found again by equal fingerprints."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from keras_tuner import HyperParameters
from PIL import Image

from experiments import SearchConfig, Tuner, UserError
from experiments.cli.main import main
from experiments.config import load_toml
from experiments.data.prepare import prepare
from experiments.data.sources.registry import resolve
from experiments.data.splits import fingerprint, make_splits
from experiments.display.base import Display
from experiments.hyperparameters.space_files import changed_files, space_files
from experiments.methods.warm_start import warm_start
from experiments.record.objective import parse_objective
from experiments.record.study import find_study
from experiments.search.finished import find_finished
from experiments.search.places import recorded, whole_config
from experiments.search.resume import changed_config
from experiments.search.run import prepare_data
from experiments.space_reference import check_space
from experiments.studies.predict import find_model
from experiments.studies.reopen import open_study
from reports import load_study
from tests.reports.synthetic import Synthetic, write_study


def config_of(folder: Path, **options: Any) -> dict[str, Any]:
    path = folder / "study.json"
    record: dict[str, Any] = json.loads(path.read_text())
    record["config"] |= options
    path.write_text(json.dumps(record))
    return record


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study that was begun in `tmp_path` and never trained."""
    return write_study(tmp_path / "runs", Synthetic(num_trials=1, num_failed=0, name="study"))


def images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


@pytest.mark.parametrize("named", [".", "./", "../study"])
def test_a_study_is_named_by_where_one_stands(
    named: str, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study)
    (study / "runs").mkdir()  # is not what `.` means
    found = find_study(named)
    assert found.resolve() == study
    assert found.name == "study"


def test_folders_are_recorded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = whole_config(
        SearchConfig("mnist_cnn", "folder:pets", data_dir="tfds", cache_dir="~/cache")
    )
    assert config.dataset == f"folder:{tmp_path}/pets"
    assert (config.data_dir, config.cache_dir) == (f"{tmp_path}/tfds", str(Path.home() / "cache"))
    assert whole_config(SearchConfig("mnist_cnn", "digits")) == SearchConfig("mnist_cnn", "digits")


def test_a_tilde_is_the_home_wherever_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    home, where = tmp_path / "home", "--runs-dir=~/runs"
    folder = write_study(home / "runs", Synthetic(num_trials=1, num_failed=0, name="study"))
    (tmp_path / "a.toml").write_text("".join(f'{n}_dir = "~/{n}"\n' for n in ("runs", "data")))
    config = SearchConfig("mnist_cnn", **load_toml("a.toml"), cache_dir="~/cache")
    folders = (config.runs_dir, config.data_dir, config.cache_dir)
    assert folders == tuple(str(home / name) for name in ("runs", "data", "cache"))
    assert find_study("study", "~/runs") == find_study("~/runs/study") == folder
    run = CliRunner().invoke
    assert "study" in run(main, ["list", where]).output
    assert run(main, ["show", "study", where]).exit_code == 0
    assert str(home / "cache") in run(main, ["cache", "--cache-dir=~/cache"]).output
    taken = run(main, ["search", "mnist_cnn", "--config", "a.toml", "--name", "study"])
    assert "study 'study' exists already" in taken.stderr
    assert not (tmp_path / "~").exists()


def test_files_in_settings_are_recorded_whole(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.keras", "w.h5", "MobileNet"):
        (tmp_path / name).touch()
    base, weights = "MobileNet, own.keras,gone.keras", "MobileNet=w.h5,MobileNetV2=imagenet"
    here = tmp_path
    for settings, expected in (
        ({"base": base, "weights": weights, "note": "w.h5"},
         {"base": f"MobileNet,{here}/own.keras,gone.keras",
          "weights": f"MobileNet={here}/w.h5,MobileNetV2=imagenet", "note": "w.h5"}),
        ({"base": ["own.keras", "VGG16"], "weights": {"own": "w.h5"}, "alpha": 0.5},
         {"base": [f"{here}/own.keras", "VGG16"], "weights": {"own": f"{here}/w.h5"},
          "alpha": 0.5}),
    ):  # fmt: skip
        config = whole_config(SearchConfig("transfer_head", settings=settings))
        assert config.settings == expected
    record = config_of(study, settings={"base": "own.keras"}, runs_dir="runs")
    monkeypatch.chdir("/")
    assert changed_config(record, study, {}).settings == {"base": f"{here}/own.keras"}
    # A folder that holds both, the study and the files, has moved.
    for gone, there in (("/gone/own.keras", "own.keras"), ("/gone/in/w.h5", "in/w.h5")):
        (here / there).parent.mkdir(exist_ok=True)
        (here / there).touch()
        record = config_of(
            study, settings={"base": gone, "weights": "/gone/no.h5"}, runs_dir="runs"
        )
        expected = {"base": f"{here}/{there}", "weights": "/gone/no.h5"}
        assert changed_config(record, study, {}).settings == expected


def test_files_of_settings_are_known_by_name_and_content_wherever_they_are(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        for name in ("own.keras", "w.h5"):
            (tmp_path / folder / name).write_text(name)

    def settings(folder: str) -> dict[str, Any]:
        place = tmp_path / folder
        weights: Any = {"A": str(place / "w.h5"), "B": "imagenet"}
        if folder == "there":
            weights = f"A={place / 'w.h5'},B=imagenet"
        return {"base": f"MobileNet, {place / 'own.keras'}", "weights": weights, "alpha": 0.5}

    found = space_files(settings("here"))
    assert list(found) == ["base own.keras", "weights A=w.h5"]
    record = {"space_files": found}
    assert changed_files(record, settings("there")) == []
    (tmp_path / "there" / "w.h5").write_text("others")
    assert changed_files(record, settings("there")) == ["weights A=w.h5"]
    (tmp_path / "there" / "w.h5").unlink()  # the space says so
    assert changed_files(record, settings("there")) == []


def test_a_file_of_settings_is_hashed_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        hashed.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    path = tmp_path / "own.keras"
    path.write_text("one")
    settings = {"base": str(path)}
    assert space_files(settings) == space_files(settings)
    assert len(hashed) == 1
    found = space_files(settings)
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert space_files(settings) != found


def test_relative_folders_of_earlier_studies_start_from_where_they_were_begun(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tmp_path / "cache" / "datasets").mkdir(parents=True)
    record = config_of(study, dataset="folder:pets", cache_dir="cache", runs_dir="runs")
    config = changed_config(record, study, {})
    assert config.dataset == f"folder:{tmp_path}/pets"
    assert config.cache_dir == f"{tmp_path}/cache"
    # Where the runs folder says nothing, they start from where one stands.
    apart = recorded({"dataset": "folder:pets", "runs_dir": "others"}, study)
    assert apart == {"dataset": "folder:/pets"}


def test_a_recorded_cache_folder_that_is_no_cache_is_not_written_to(
    study: Path, tmp_path: Path
) -> None:
    (tmp_path / "documents").mkdir()
    for named in (tmp_path / "documents", tmp_path / "nothing", "../../elsewhere"):
        record = config_of(study, cache_dir=str(named))
        assert changed_config(record, study, {}).cache_dir is None


def test_options_of_now_start_from_where_one_stands(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    record = config_of(study, cache_dir="cache", runs_dir="runs")
    assert changed_config(record, study, {"cache_dir": "mine"}).cache_dir == str(
        tmp_path / "elsewhere" / "mine"
    )


def test_a_model_that_has_moved_can_be_named(study: Path, tmp_path: Path) -> None:
    record = config_of(study, space=str(tmp_path / "gone/model.py"))
    moved = tmp_path / "model.py"
    moved.write_text("def build_model(hp):\n    pass\n")
    with pytest.raises(UserError, match=r"is not there any more: .* say where it is with --space"):
        changed_config(record, study, {})
    config = changed_config(record, study, {"space": str(moved)})
    assert find_finished(record, study, config, Display()) is None  # which resumes it


def test_images_that_have_moved_can_be_named(study: Path, tmp_path: Path) -> None:
    record = config_of(study, dataset="folder:/gone/pets")
    moved = changed_config(record, study, {"dataset": f"folder:{tmp_path}/pets"})
    assert moved.dataset == f"folder:{tmp_path}/pets"
    with pytest.raises(UserError, match="can't become mnist"):
        changed_config(record, study, {"dataset": "mnist"})


def test_a_study_is_opened_without_the_images_that_it_skipped(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets, cache = images(tmp_path / "pets"), str(tmp_path / "cache")
    record = config_of(study, dataset="folder:pets", space="mnist_cnn")
    config = changed_config(record, study, {"cache_dir": cache})
    broken = pets / "cat" / "0.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"no image")
    data = prepare_data(config, {}, _Silent())
    record["dataset"] |= {"fingerprint": data.fingerprint, "skipped": list(data.skipped)}
    (study / "study.json").write_text(json.dumps(record))
    broken.write_bytes(whole)
    opened = open_study(load_study(study), None, cache)
    assert opened.data.fingerprint == data.fingerprint
    (pets / "cat" / "1.png").unlink()
    with pytest.raises(UserError, match="is not what study 'study' saw"):
        open_study(load_study(study), None, cache)


def test_a_study_is_opened_without_a_class_that_it_skipped(study: Path, tmp_path: Path) -> None:
    pets, cache = images(tmp_path / "pets"), str(tmp_path / "cache")
    (pets / "fox").mkdir()
    (pets / "fox" / "0.png").write_bytes(b"no image")
    record = config_of(study, dataset="folder:pets", space="mnist_cnn")
    data = prepare_data(changed_config(record, study, {"cache_dir": cache}), {}, _Silent())
    record["dataset"] |= {"fingerprint": data.fingerprint, "skipped": list(data.skipped)}
    (study / "study.json").write_text(json.dumps(record))
    shutil.copy(pets / "cat" / "0.png", pets / "fox" / "0.png")  # too few to be split
    assert open_study(load_study(study), None, cache).data.class_names == ("cat", "dog")
    (pets / "cat" / "1.png").unlink()
    with pytest.raises(UserError, match="no image of class 'fox'"):
        open_study(load_study(study), None, cache)


def test_moved_images_are_taken_if_they_are_the_same(study: Path, tmp_path: Path) -> None:
    pets = images(tmp_path / "pets")
    record = config_of(study, dataset="folder:pets", space="mnist_cnn")
    config = changed_config(record, study, {"cache_dir": str(tmp_path / "cache")})
    record["dataset"]["fingerprint"] = prepare_data(config, {}, _Silent()).fingerprint
    (study / "study.json").write_text(json.dumps(record))
    moved = pets.rename(tmp_path / "moved")
    cache = str(tmp_path / "cache")
    with pytest.raises(UserError, match="there is no folder"):
        open_study(load_study(study), None, cache)
    assert open_study(load_study(study), None, cache, dataset=f"folder:{moved}").data.counts
    (moved / "cat" / "0.png").unlink()
    with pytest.raises(UserError, match="is not what study 'study' saw"):
        open_study(load_study(study), None, cache, dataset=f"folder:{moved}")


class _Silent:
    def preparing(self, *args: Any) -> None:
        """Says nothing."""


def test_tensorflow_datasets_are_taken_from_where_they_are_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"dataset": "tfds:beans/default", "data_dir": str(tmp_path / "then")}
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert recorded(options, tmp_path)["data_dir"] is None
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "now"))
    assert recorded(options, tmp_path)["data_dir"] == str(tmp_path / "now")
    (tmp_path / "then" / "beans").mkdir(parents=True)
    assert recorded(options, tmp_path)["data_dir"] == str(tmp_path / "then")


def test_the_digits_are_the_same_in_every_release(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(known: str | None = None) -> str:
        shape = (8, 8, 1)
        return prepare("digits", lambda _: shape, cache_dir, sample=100, recorded=known).fingerprint

    now = prepared()
    monkeypatch.setattr("sklearn.__version__", "9.9.9")
    assert prepared() == now
    # A study that was begun under another release, when the release was part of the name.
    raw = resolve("digits")
    then = fingerprint(raw, make_splits(raw, 100, 0), "digits/scikit-learn-1.5.2")
    assert then != now
    assert prepared(then) == then


@pytest.mark.parametrize("text", ["a" * 300, "a\0b"])
def test_what_can_be_no_path_is_no_file(text: str, tmp_path: Path) -> None:
    settings = {"base": f"{text}.keras", "weights": f"MobileNet={text}.h5"}
    config = SearchConfig("transfer_head", settings=settings, runs_dir=str(tmp_path))
    assert whole_config(config).settings == settings
    for call in (
        lambda: check_space(text),
        lambda: find_model(text, tmp_path),
        lambda: find_study(text, tmp_path),
        lambda: Tuner(print, "loss", project_name=text, directory=tmp_path).search(),
        lambda: warm_start([f"{text}.csv"], HyperParameters(), parse_objective("loss"), tmp_path),
        lambda: warm_start([text], HyperParameters(), parse_objective("loss"), tmp_path),
    ):
        with pytest.raises(UserError):
            call()
