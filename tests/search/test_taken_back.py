"""Refused requests leave nothing behind, and options of a study can be reset."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import experiments.search.run as search_module
from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.record.formatting import NO_END
from experiments.search.resume import changed_config


@pytest.fixture
def study(study_folder: Path, tmp_path: Path) -> Path:
    """A copy of a finished study, of which nothing is left to do."""
    kept = shutil.ignore_patterns("report")
    return Path(shutil.copytree(study_folder, tmp_path / "runs" / "study", ignore=kept))


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "ray" else find(name, *rest)
    )


def call(command: str, study: Path, *options: str) -> Result:
    arguments = [command, study.name, "--runs-dir", str(study.parent), *options]
    return CliRunner().invoke(main, arguments)


def edit(study: Path, change: Any) -> dict[str, Any]:
    path = study / "study.json"
    record: dict[str, Any] = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return record


def record_of(study: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((study / "study.json").read_text())
    return record


def small(runs: Path, cache_dir: Path, **options: Any) -> SearchConfig:
    tiny = {"sample": 100, "max_trials": 1, "max_epochs": 1, "confirm": 0, "method": "random"}
    folders = {"runs_dir": str(runs), "cache_dir": str(cache_dir), "name": "study"}
    return SearchConfig(**{"space": "mnist_cnn", "dataset": "digits", **tiny, **folders, **options})


@pytest.mark.usefixtures("without_ray", "without_report")
def test_ray_that_is_not_there_is_refused_before_a_study_is_touched(study: Path) -> None:
    before = (study / "study.json").read_bytes()
    result = call("resume", study, "--ray", "local", "--max-trials", "4")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --ray local needs Ray: install")
    assert (study / "study.json").read_bytes() == before
    assert call("resume", study, "--quiet").exit_code == 0


@pytest.mark.usefixtures("without_ray", "without_report")
def test_ray_that_was_asked_can_be_taken_back(study: Path) -> None:
    # So did studies become of which `resume --ray local` was asked where there was none.
    edit(study, lambda record: record["config"].update(ray="local"))
    result = call("resume", study)
    assert result.exit_code == 2
    assert "--ray none" in result.stderr
    assert call("resume", study, "--ray", "none", "--quiet").exit_code == 0
    assert record_of(study)["config"]["ray"] is None


@pytest.mark.usefixtures("without_ray")
def test_a_search_that_ray_refuses_leaves_no_folder(tmp_path: Path, cache_dir: Path) -> None:
    with pytest.raises(UserError, match="needs Ray"):
        run_search(small(tmp_path / "runs", cache_dir, ray="local"))
    assert not (tmp_path / "runs").exists()


def test_a_cluster_that_refuses_when_it_is_reached_leaves_no_folder_either(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise UserError("--ray auto: no node has room")

    monkeypatch.setattr("experiments.executors.make_executor", refuse)
    with pytest.raises(UserError, match="no node has room"):
        run_search(small(tmp_path / "runs", cache_dir))
    assert not (tmp_path / "runs").exists()


def test_what_a_session_refuses_before_it_begins_leaves_no_folder(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> None:
        raise UserError("--try: there is no such point")

    monkeypatch.setattr("experiments.search.session.given_points", refuse)
    with pytest.raises(UserError, match="no such point"):
        run_search(small(tmp_path / "runs", cache_dir, method="tpe"))
    assert not (tmp_path / "runs" / "study").exists()


def test_a_recorded_address_of_a_cluster_is_not_connected_to(study: Path) -> None:
    record = edit(study, lambda record: record["config"].update(ray="ray://10.0.0.9:10001"))
    with pytest.raises(UserError, match=r"10001 to resume there, or --ray none"):
        changed_config(record, study, {"max_trials": 9})
    assert changed_config(record, study, {"ray": "none"}).ray is None
    assert changed_config(record, study, {"ray": "auto"}).ray == "auto"


def test_fewer_trials_than_have_begun_are_refused_as_what_they_are(study: Path) -> None:
    result = call("resume", study, "--max-trials", "2")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --max-trials 2: study 'study' has begun 3 trials, which stay: give 3 or more\n"
    )


@pytest.fixture
def interrupted_restoring(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.search.session.restore", interrupt)


@pytest.mark.usefixtures("interrupted_restoring")
def test_an_interrupt_while_restoring_says_nothing_of_the_session_before(study: Path) -> None:
    before = record_of(study)
    result = call("resume", study, "--max-trials", "4")
    assert result.exit_code == 130
    assert "interrupted; resume with: experiments resume study" in result.stderr
    assert record_of(study) == before


@pytest.mark.usefixtures("interrupted_restoring")
def test_an_interrupt_before_the_first_session_is_no_crash(tmp_path: Path, cache_dir: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="resume with: experiments resume study"):
        run_search(small(tmp_path / "runs", cache_dir))
    assert "sessions" not in record_of(tmp_path / "runs" / "study")


@pytest.mark.usefixtures("interrupted_restoring")
def test_an_interrupted_search_by_deadline_goes_on_by_deadline(
    tmp_path: Path, cache_dir: Path
) -> None:
    timed = small(tmp_path / "runs", cache_dir, method="tpe", max_trials=NO_END, deadline="7m")
    with pytest.raises(KeyboardInterrupt) as stopped:
        run_search(timed)
    assert str(stopped.value).endswith(" --deadline 7m")
    assert " --deadline 7m" in call("status", tmp_path / "runs" / "study").output


class BegunError(Exception):
    """A search has come as far as its trials."""


@pytest.fixture
def without_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search ends where its trials would begin."""

    def begun(plan: Any, folder: Path, *more: Any) -> None:
        raise BegunError(folder.name)

    monkeypatch.setattr("experiments.search.run._run", begun)


@pytest.mark.usefixtures("without_trials")
def test_a_search_that_was_killed_before_it_had_begun_leaves_its_name(
    tmp_path: Path, cache_dir: Path
) -> None:
    left = tmp_path / "study"
    left.mkdir()
    for name in (".lock", ".holder.json", ".tmp-half.json"):
        (left / name).touch()
    refused = call("resume", left)
    assert (refused.exit_code, "had begun" in refused.stderr) == (2, True)
    with pytest.raises(BegunError, match="study"):
        run_search(small(tmp_path, cache_dir))
    assert (left / "study.json").is_file()
    with pytest.raises(UserError, match="exists already"):
        run_search(small(tmp_path, cache_dir))


@pytest.mark.usefixtures("without_trials")
def test_a_search_that_is_interrupted_before_it_has_begun_leaves_nothing(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.search.run.write_study", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_search(small(tmp_path, cache_dir))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_trials")
def test_of_two_searches_that_begin_under_one_name_the_slower_is_refused(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = search_module._make_folder

    def quicker(config: SearchConfig) -> Path:
        folder = real(config)
        (folder / "study.json").write_text("{}")  # of the other one, which has ended by now
        return folder

    monkeypatch.setattr(search_module, "_make_folder", quicker)
    with pytest.raises(UserError, match="exists already"):
        run_search(small(tmp_path, cache_dir))
    assert (tmp_path / "study" / "study.json").read_text() == "{}"
