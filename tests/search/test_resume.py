"""Resuming studies: what may change and what may not, locks, full disks, status, free-disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import psutil
import pytest
from click.testing import CliRunner, Result

from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.display.base import Display
from experiments.hyperparameters.source import changed_source
from experiments.record.formatting import NO_END
from experiments.record.lock import is_running, locked
from experiments.search.resume import changed_config, check_end, may_be_picked_again
from experiments.search.resuming import resume_search
from experiments.training.snapshot import read_snapshot, write_snapshot
from reports import load_study
from reports.analysis.facts import facts
from tests.one_structure import STRUCTURE
from tests.reports.plain import PlainTrial, write_plain
from tests.search_spaces.backbones import own_backbone
from tests.stand_ins import unwritten


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A finished study of two trials; tests work on copies."""
    config = SearchConfig(
        space="mnist_cnn",
        dataset="digits",
        sample=100,
        method="random",
        max_trials=2,
        max_epochs=1,
        name="study",
        confirm=0,
        keep=2,
        fix=STRUCTURE,
        runs_dir=str(tmp_path_factory.mktemp("finished")),
        cache_dir=str(cache_dir),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("reports.write_report", unwritten)
        return run_search(config).folder


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "study")
    return tmp_path / "study"


def call(command: str, study: Path, *options: str) -> Result:
    arguments = [command, study.name, "--runs-dir", str(study.parent), *options]
    return CliRunner().invoke(main, arguments)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*.json"))}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--objective", "val_loss"), "--objective val_accuracy:max, "),
        (("--method", "grid"), "--method random, which can't become grid"),
        (("--dataset", "mnist"), "--dataset digits, "),
        (("--seed", "3"), "--seed 0, "),
        (("--split-seed", "3"), "--split-seed 0, "),
        (("--fix", "conv_blocks=2"), "--fix conv_blocks=1, filters_0=16, "),
        (("--executions-per-trial", "2"), "--executions-per-trial 1, "),
        (("--max-trials", "0"), "--max-trials"),
        (("--deadline", "soon"), "--deadline 'soon'"),
        (("--workers", "many"), "--workers should be auto or 0 or more"),
        (("--method-set", "beta=1"), "method random has no such setting"),
    ],
)
def test_what_can_not_change_is_refused_and_named(
    options: tuple[str, ...], named: str, study: Path
) -> None:
    before = files_of(study)
    result = call("resume", study, *options)
    assert result.exit_code == 2
    assert named in result.stderr
    assert result.stderr.count("\n") == 1
    assert files_of(study) == before


def test_points_and_options_that_are_none_are_refused_by_their_own_names(study: Path) -> None:
    def begun_with_a_point(record: dict[str, Any]) -> None:
        record["config"] |= {"tries": [{"kernel_size": "3"}], "method": "tpe"}

    edit(study, begun_with_a_point)
    with pytest.raises(UserError, match=r"^tries should be a list of tables"):
        resume_search(study, changes={"tries": ["conv_blocks=1"]})
    with pytest.raises(UserError, match=r"^changes: unknown key 'max_trial'; there are cache_dir"):
        resume_search(study, changes={"max_trial": 40})


def edit(study: Path, change: Any) -> None:
    path = study / "study.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_space_that_has_changed_is_refused(study: Path) -> None:
    edit(study, lambda r: next(h for h in r["space"] if h["name"] == "dropout").update(step=0.05))
    with pytest.raises(UserError, match=r"'dropout' was .*step 0.05"):
        resume_search(study)


def test_data_that_has_changed_is_refused(study: Path) -> None:
    edit(study, lambda r: r["dataset"].update(fingerprint="another"))
    with pytest.raises(UserError, match="fingerprint another"):
        resume_search(study)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"config": 3}'])
def test_a_damaged_study_record_is_refused(content: str, study: Path) -> None:
    (study / "study.json").write_text(content)
    result = call("resume", study)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "study.json" in result.stderr


def test_a_project_of_plain_keras_tuner_is_not_resumed(study: Path) -> None:
    (study / "study.json").unlink()
    result = call("resume", study)
    assert result.exit_code == 2
    assert "only a study that this suite began can be resumed" in result.stderr


def test_a_second_process_is_refused_and_a_dead_one_is_not_in_the_way(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study / "trial_0001" / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "RUNNING"}))
    left = {"running": {"0001": {"epoch": 5}}, "written": 1.0}
    (study / "status.json").write_text(json.dumps(left))
    with locked(study):
        result = call("resume", study)
        assert result.exit_code == 2
        assert f"is being searched already by process {os.getpid()}" in result.stderr
        assert f"experiments status study --runs-dir {study.parent} --watch" in result.stderr
        assert is_running(study)
        created = psutil.Process.create_time  # the clock of the wall is set anew
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 5)
        assert is_running(study)
        status = call("status", study).stdout
        assert "epoch" not in status  # what a session before has left
    assert not is_running(study)
    assert "1 running" not in call("status", study).stdout
    holds = "import sys, time, pathlib; from experiments.record.lock import locked\n" + (
        "with locked(pathlib.Path(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holds, study], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_running(study)
        holder.send_signal(signal.SIGKILL)
    assert not is_running(study)
    with locked(study):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_with_more_trials_auto_picks_again(tmp_path: Path, cache_dir: Path) -> None:
    small = ["--dataset=digits", "--sample=100", "--max-trials=1", "--max-epochs=4", "--confirm=0"]
    small += ["--no-starting-points"]
    folders = [f"--runs-dir={tmp_path}", f"--cache-dir={cache_dir}", "--workers=0", "--name=study"]
    # Of one structure, trials are traced once.
    fixed = [f"--fix={name}={value}" for name, value in STRUCTURE.items()]
    begun = CliRunner().invoke(main, ["search", "mnist_cnn", *small, *fixed, *folders])
    assert "auto: --method qmc, because " in begun.stdout
    study = tmp_path / "study"
    first = load_study(study).trials.iloc[0]

    again = call("resume", study, "--workers=0", "--max-trials=2", "--method=auto")
    assert again.exit_code == 0, again.stderr
    assert "auto: " not in again.stdout
    more = call("resume", study, "--workers=0", "--max-trials=11")
    assert "auto: --method tpe --pruner asha, because 11 trials" in more.stdout
    assert "; trials so far: --method qmc" in more.stdout
    whole = load_study(study)
    assert set(whole.trials["status"]) == {"completed", "pruned"}
    assert len(whole.trials) == 11
    assert whole.trials.iloc[0]["score"] == first["score"]
    (method,) = [text for label, text in facts(whole) if label == "method"]
    assert method.startswith("tpe with asha (auto: --method qmc, because ")
    assert "; then auto: --method tpe --pruner asha, because " in method


def test_a_method_that_was_picked_is_kept_unless_trials_are_added(study: Path) -> None:
    def picked(record: dict[str, Any]) -> None:
        record["sessions"][0]["picked"] = "auto"
        record["config"] |= {"method": "tpe", "max_trials": 40}

    edit(study, picked)
    record = json.loads((study / "study.json").read_text())
    fewer = changed_config(record, study, {"max_trials": 10, "max_epochs": 9})
    assert not may_be_picked_again(record, fewer)
    assert may_be_picked_again(record, changed_config(record, study, {"max_trials": 41}))
    settings = {"max_trials": 41, "method_settings": {"startup_trials": "3"}}
    assert not may_be_picked_again(record, changed_config(record, study, settings))


def test_what_was_given_before_holds_on(study: Path) -> None:
    def given(record: dict[str, Any]) -> None:
        settings = {"factor": "4", "startup_trials": "5"}
        record["config"] |= {"method": "tpe", "pruner": "asha", "max_trials": 9}
        record["config"] |= {"method_settings": settings, "sources": ["a"], "tries": [{"x": 1}]}

    edit(study, given)
    record = json.loads((study / "study.json").read_text())
    changed = changed_config(record, study, {"method_settings": {"startup_trials": "8"}})
    assert changed.method_settings == {"factor": "4", "startup_trials": "8"}
    # A file that the study was begun with may be given again.
    again = {"sources": ["a"], "tries": [{"x": "1"}, {"x": "2"}], "method": "tpe"}
    assert changed_config(record, study, again).tries == ({"x": "1"}, {"x": "2"})
    with pytest.raises(UserError, match="--from a, which can't become b "):
        changed_config(record, study, {"sources": ["b"]})


@pytest.mark.usefixtures("without_drawing")
def test_a_finished_search_is_extended_and_reported(study: Path) -> None:
    before = load_study(study).trials
    result = resume_search(study, changes={"max_trials": 3, "max_epochs": 2})
    after = load_study(study)
    assert len(after.trials) == 3
    assert after.trials["score"].tolist()[:2] == before["score"].tolist()
    assert after.trials["epochs"].tolist() == [1, 1, 2]
    assert after.record["config"]["max_trials"] == 3
    assert [s["first_trial"] for s in after.record["sessions"]] == [0, 2]
    assert result.report.is_file()
    # Both trials of before had been kept; so are they now, and the third one with them.
    assert len(list(study.glob("trial_*/checkpoint.weights.h5"))) == 2


class Watching(Display):
    """Records the notices, and the content of the record when the search begins."""

    def __init__(self, study: Path) -> None:
        self.said: list[str] = []
        self.record: dict[str, Any] = {}
        self._study = study

    def search_started(self, *args: Any, **kwargs: Any) -> None:
        self.record = json.loads((self._study / "study.json").read_text())

    def notice(self, line: str) -> None:
        self.said.append(line)


def record_of(study: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((study / "study.json").read_text())
    return record


@pytest.mark.usefixtures("without_report")
def test_a_study_ends_anew_when_something_was_done(study: Path) -> None:
    then = record_of(study)
    idle = Watching(study)
    resume_search(study, display=idle)
    assert "ended" not in idle.record
    assert record_of(study)["ended"] == then["ended"]
    assert record_of(study)["search_ended"] == then["search_ended"]
    resume_search(study, changes={"max_trials": 3})
    assert record_of(study)["ended"] > record_of(study)["search_ended"] > then["ended"]
    assert not load_study(study).running


@pytest.mark.usefixtures("without_report")
def test_a_renamed_study_goes_on_by_its_new_name_and_other_code_is_said(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "search_spaces.mnist_cnn" in record_of(study)["space_source"]
    edit(study, lambda r: r["space_source"].update({"search_spaces.base": "another"}))
    edit(study, lambda r: r["config"].update(unknown="of another commit"))
    renamed = study.rename(study.with_name("renamed"))
    monkeypatch.chdir(renamed)
    display = Watching(renamed)
    result = resume_search(".", display=display)
    assert result.folder.resolve() == renamed
    record = record_of(renamed)
    assert (record["name"], record["config"]["name"]) == ("renamed", "renamed")
    assert record["config"]["unknown"] == "of another commit"
    (said,) = [line for line in display.said if line.startswith("the code of space mnist_cnn")]
    assert "(search_spaces.base)" in said
    assert "another" not in record["sessions"][-1]["space_source"].values()
    assert sorted(p.name for p in renamed.parent.iterdir()) == ["renamed"]
    assert not any(p.name.startswith("trial_") for p in (renamed / "renamed").glob("*"))
    again = Watching(renamed)
    resume_search(renamed, display=again)
    assert not any(line.startswith("the code") for line in again.said)


@pytest.mark.usefixtures("without_report")
def test_a_base_whose_file_has_changed_is_refused_unless_it_is_accepted(
    cache_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "own.keras"
    config = SearchConfig(
        space="transfer_head",
        dataset="digits",
        sample=40,
        method="random",
        max_trials=1,
        max_epochs=1,
        name="study",
        confirm=0,
        fix={"unfreeze": "false"},
        settings={"base": own_backbone(path, 32)},
        runs_dir=str(tmp_path),
        cache_dir=str(cache_dir),
    )
    study = run_search(config).folder
    recorded = record_of(study)["space_files"]
    assert list(recorded) == ["base own.keras"]
    assert call("resume", study).exit_code == 0
    model = keras.models.load_model(path)
    model.set_weights([2 * weight for weight in model.get_weights()])
    model.save(path)
    for options in ((), ("--max-trials", "2")):
        refused = call("resume", study, *options)
        assert refused.exit_code == 2, refused.output
        assert "(base own.keras): restore them, or take them as they are now" in refused.stderr
        assert refused.stderr.count("\n") == 1
    taken = call("resume", study, "--max-trials", "2", "--accept-changed-source")
    assert taken.exit_code == 0, taken.output
    assert "(base own.keras): what is trained from now on may be other networks" in taken.output
    record = record_of(study)
    assert record["space_files"] == recorded
    assert record["sessions"][-1]["space_files"] != recorded
    assert changed_source(record) is not None
    assert call("resume", study, "--max-trials", "2").exit_code == 0
    # Studies of before there was the record.
    edit(study, lambda r: [each.pop("space_files", None) for each in (r, *r["sessions"])])
    assert call("resume", study, "--max-trials", "2").exit_code == 0


class Interrupting(Display):
    """Presses Ctrl-C in the first epoch."""

    def epoch_ended(self, *args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("is_changed", [False, True])
def test_an_interrupted_search_says_how_to_go_on_which_its_trial_does_unless_code_has_changed(
    is_changed: bool, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("experiments.display.make_display", lambda quiet: Interrupting())
        result = call("resume", study, "--max-trials", "3", "--max-epochs", "2")
    assert result.exit_code == 130
    assert f"resume with: experiments resume study --runs-dir {study.parent}" in result.stderr
    assert "interrupted; resume with" in call("status", study).output
    path = study / "trial_0002" / "snapshot-0.npz"
    state = read_snapshot(path)
    assert state is not None
    state.execution.epoch_seconds[0] = 1e6
    write_snapshot(path, state)
    if is_changed:
        edit(study, lambda r: r["space_source"].update({"search_spaces.base": "another"}))
    result = call("resume", study, "--quiet")
    assert result.exit_code == 0, result.output
    trial = json.loads((study / "trial_0002" / "result.json").read_text())
    assert [a["outcome"] for a in trial["attempts"]] == ["paused", "completed"]
    seconds = trial["executions"][0]["epoch_seconds"]
    assert (len(seconds), seconds[0] == 1e6) == (2, not is_changed)
    assert "study study: ended" in call("status", study).output


def test_status_is_read_from_files_alone(study: Path) -> None:
    output = call("status", study).output
    best = load_study(study).completed.iloc[0]
    assert "trials: 2 completed, of 2 at most" in output
    assert f"best: trial {best['trial_id']}, val_accuracy {best['score']:.4f}" in output


def test_free_disk_removes_weights_and_leaves_the_record(study: Path) -> None:
    best = load_study(study).completed.iloc[0]["trial_id"]
    before = load_study(study).trials
    result = call("free-disk", study)
    assert result.output.startswith("removed 1 file, ")
    left = [path.parent.name for path in study.glob("trial_*/checkpoint.weights.h5")]
    assert left == [f"trial_{best}"]
    assert load_study(study).trials.equals(before)
    with locked(study):
        assert call("free-disk", study).exit_code == 2


def test_free_disk_leaves_a_project_of_plain_keras_tuner(tmp_path: Path) -> None:
    project = write_plain(tmp_path / "plain", [PlainTrial(score=0.5)])
    before = files_of(project)
    result = call("free-disk", project)
    assert result.exit_code == 2
    assert "has no study.json" in result.output
    assert files_of(project) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that can be made larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("without_report")
def test_a_full_disk_is_one_line_and_nothing_is_lost(study: Path, small_disk: Path) -> None:
    shutil.copytree(study, small_disk / "study", ignore=shutil.ignore_patterns("report"))
    full = small_disk / "study"
    before = load_study(full).trials
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(max(0, free - 20_000)))
    result = call("resume", full, "--max-trials", "4", "--max-epochs", "2", "--workers", "0")
    assert result.exit_code == 2
    assert "no space is left for study 'study'" in result.stderr
    assert f"resume with: experiments resume study --runs-dir {small_disk}" in result.stderr
    assert not list(full.rglob(".tmp-*"))
    subprocess.run(["mount", "-o", "remount,size=24m", small_disk], check=True)
    result = call("resume", full, "--max-trials", "4", "--max-epochs", "2", "--workers", "0")
    assert result.exit_code == 0, result.output
    after = load_study(full).trials
    assert after["status"].tolist() == ["completed"] * 4
    assert after["score"].tolist()[:2] == before["score"].tolist()


def test_a_search_that_its_deadline_limited_is_limited_again(study: Path) -> None:
    def open_ended(record: dict[str, Any]) -> None:
        record["config"] |= {"method": "tpe", "max_trials": NO_END}

    edit(study, open_ended)
    record = json.loads((study / "study.json").read_text())
    folder, recorded = study, record["config"]
    with pytest.raises(UserError, match=r"--deadline to go on, or --max-trials \d+ to finish"):
        resume_search(folder, changes={"max_epochs": 9})
    check_end(folder, recorded, {"deadline": "5m"})
    check_end(folder, recorded, {"max_trials": 30})
    check_end(folder, recorded | {"method": "grid"}, {})  # ends by itself
