"""Resuming a study with no work left: what it loads, and that the result is the same."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine.trial import Trial

from experiments import SearchConfig
from experiments.display.base import Display
from experiments.hyperparameters.ranges import searched_space
from experiments.record.ended_trials import read_ended
from experiments.record.files import finite, write_json
from experiments.search.finished import find_finished
from experiments.search.resume import changed_config
from experiments.search.resuming import resume_search
from experiments.search.run import describe_space
from experiments.search.search_result import SearchResult
from search_spaces import space_class

_HEAVY = ("tensorflow", "keras", "keras_tuner")
_RESUME = f"""
import sys, reports
reports.write_report = lambda study: getattr(study, "folder", study) / "report/index.html"
from experiments.cli.main import main
try:
    main(["resume", *sys.argv[1:]])
finally:
    print(*sorted({set(_HEAVY)} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def study(study_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(study_folder, tmp_path / "small")
    return tmp_path / "small"


def resume(study: Path, *options: str) -> subprocess.CompletedProcess[str]:
    folders = [study.name, "--runs-dir", str(study.parent)]
    return subprocess.run(
        [sys.executable, "-c", _RESUME, *folders, *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def record_of(study: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((study / "study.json").read_text())
    return record


def files_of(study: Path) -> dict[str, bytes]:
    """Returns the content of all files, except for times of access."""
    changing = ("study.json", "status.json", "oracle.json", ".lock", ".index.json")
    files = [p for p in sorted(study.rglob("*")) if p.is_file() and p.name not in changing]
    return {str(p.relative_to(study)): p.read_bytes() for p in files}


def test_a_study_with_nothing_left_to_do_loads_no_tensorflow_and_stays_as_it_is(
    study: Path,
) -> None:
    before, files = record_of(study), files_of(study)
    before["sessions"][-1]["threads"] = 7  # nothing is trained now that could have others
    write_json(study / "study.json", before)
    done = resume(study)
    assert done.stderr.splitlines()[-1] == ""
    assert "best trial: " in done.stdout
    after = record_of(study)
    *sessions, last = after.pop("sessions")
    assert sessions == before.pop("sessions")
    assert last["first_trial"] == last["num_trials"] == 3
    assert last["threads"] == 7
    before["config"]["runs_dir"] = str(study.parent)
    assert after == before  # it has ended when it had
    assert files_of(study) == files


@pytest.mark.usefixtures("without_drawing")
def test_a_study_with_nothing_to_do_and_a_report_of_it_is_not_written_to(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resume_search(study)  # records the place of the copy, and writes its report
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in study.rglob("*") if p.is_file()}
    del before[study / ".lock"]
    with monkeypatch.context() as patched:
        patched.setattr("reports.write_report", None)
        result = resume_search(study)
    assert result.report == study / "report/index.html"
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before}
    assert after == before
    record = study / "study.json"
    os.utime(record, ns=(result.report.stat().st_mtime_ns + 1,) * 2)
    num_sessions = len(record_of(study)["sessions"])
    assert resume_search(study).report.stat().st_mtime_ns > before[result.report][1]
    assert len(record_of(study)["sessions"]) == num_sessions + 1
    written = result.report.stat().st_mtime_ns
    looks = study / "artifacts/looks.json"  # as a comparison leaves it, after the page
    looks.write_text("[]")
    os.utime(looks, ns=(written + 1,) * 2)
    assert resume_search(study).report.stat().st_mtime_ns > written


# One that is extended loads it and trains: tests/cli/test_cli.py, of an output that is closed.


class Listening(Display):
    """Records the notices."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def search_started(self, name: str, config: Any, data: Any) -> None:
        self.said.append((name, config, replace(data, recipe=None)))

    def recalled(self, *so_far: Any) -> None:
        self.said.append(so_far)

    def notice(self, line: str) -> None:
        self.said.append(line)


def resumed(study: Path) -> tuple[SearchResult, list[Any], dict[str, Any], dict[str, bytes]]:
    """Resumes a study and returns all its results, without times."""
    display = Listening()
    result = resume_search(study, changes={"workers": 1}, display=display)
    record = record_of(study)
    for name in ("started", "search_ended", "ended"):
        assert record["sessions"][-1].pop(name)
    return result, display.said, record, files_of(study)


@pytest.mark.usefixtures("without_report")
def test_the_record_tells_what_the_oracle_would(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = study.with_name("kept")
    shutil.copytree(study, kept)
    told = resumed(study)
    shutil.rmtree(study)
    kept.rename(study)
    monkeypatch.setattr("experiments.search.resuming.find_finished", lambda *arguments: None)
    assert resumed(study) == told


def edited(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def edit(study: Path) -> None:
        content = json.loads((study / name).read_text())
        change(content)
        (study / name).write_text(json.dumps(content))

    return edit


UNSETTLED: dict[str, Callable[[Path], Any]] = {
    "a trial that runs": edited("trial_0001/trial.json", lambda t: t.update(status="RUNNING")),
    "a trial without a result": lambda study: (study / "trial_0001/result.json").unlink(),
    "a damaged trial": lambda study: (study / "trial_0002/trial.json").write_text("{"),
    "a trial too few": lambda study: shutil.rmtree(study / "trial_0002"),
    "a file half written": lambda study: (study / "trial_0000/.tmp-1").write_text(""),
    "another space": edited("study.json", lambda r: r["space"][0].update(default=5)),
    "other code": edited("study.json", lambda r: r["space_source"].update({"a.b": "c"})),
    "code unknown": edited("study.json", lambda r: r.pop("space_source")),
    "another Keras": edited("study.json", lambda r: r["environment"]["packages"].update(keras="1")),
    "a failure of the cache": edited(
        "trial_0001/result.json",
        lambda r: r.update(
            status="failed",
            cause="error",
            message="FileNotFoundError: [Errno 2] No such file or directory: "
            f"'/cache/features/{'0' * 32}/output.npy'",
        ),
    ),
    "other data": edited("study.json", lambda r: r["dataset"].update(fingerprint="another")),
    "an interruption": edited(
        "study.json", lambda r: r["sessions"][-1].update(ended_by="interrupted")
    ),
    "a kill": edited("study.json", lambda r: r["sessions"][-1].pop("ended")),
    "finalists not done": lambda study: (study / "artifacts/finalists.json").unlink(),
    "trainings left over": lambda study: (study / "artifacts/finalists").mkdir(),
}


def found(study: Path, **changes: Any) -> Any:
    record = record_of(study)
    return find_finished(record, study, changed_config(record, study, changes), Display())


@pytest.mark.parametrize("what", UNSETTLED)
def test_what_the_record_does_not_settle_is_asked_of_the_oracle(what: str, study: Path) -> None:
    assert found(study) is not None
    UNSETTLED[what](study)
    assert found(study) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"max_trials": 4},
        {"max_epochs": 4},
        {"seeds": 3},
        {"confirm": 3},
        {"keep": 2},
        {"race": True},
    ],
    ids=str,
)
def test_what_is_asked_anew_is_asked_of_the_oracle(changes: dict[str, Any], study: Path) -> None:
    if "race" in changes:
        changes = changes | {"seeds": 9}
    assert found(study, **changes) is None
    assert found(study, workers=2, deadline="1h", max_failures=9) is not None


@pytest.mark.parametrize(
    ("name", "fix", "ranges"),
    [
        ("mnist_cnn", {"dropout": 0.2, "batch_norm": True, "pooling": "max"}, {}),
        ("mnist_cnn", {}, {"kernel_size": "5,7", "learning_rate": "1e-4:1e-3"}),
        ("transfer_head", {"learning_rate": 1e-3}, {}),
        ("transfer_head", {}, {}),
    ],
)
def test_the_space_in_a_trials_file_is_that_of_the_record(
    name: str, fix: dict[str, Any], ranges: dict[str, Any], study: Path
) -> None:
    cls = space_class(name)
    config = SearchConfig(name, dataset="digits", fix=fix, ranges=ranges)
    space = searched_space(cls(cls.required_shape(3, {}), 3), config)
    trial = Trial(space, "0002", "COMPLETED")
    state = json.loads((study / "trial_0002/trial.json").read_text())
    hyperparameters = trial.get_state()["hyperparameters"]
    write_json(study / "trial_0002/trial.json", state | {"hyperparameters": hyperparameters})
    trials = read_ended(study, config.parsed_objective)
    assert trials is not None
    assert trials.space == finite(describe_space(space))


def test_a_method_that_had_no_more_before_its_limit_is_not_asked_again(study: Path) -> None:
    assert record_of(study)["sessions"][-1]["num_trials"] == 3
    edited("study.json", lambda record: record["config"].update(max_trials=9))(study)
    assert found(study) is not None
    edited("study.json", lambda record: record["sessions"][-1].update(num_trials=2))(study)
    assert found(study) is None


def of_dataset(study: Path, name: str) -> None:
    def change(record: dict[str, Any]) -> None:
        record["config"]["dataset"] = record["dataset"]["name"] = name

    edited("study.json", change)(study)


def test_what_tensorflow_datasets_has_is_not_opened(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.data.prepare.resolve", None)
    of_dataset(study, "mnist")
    assert found(study).data.counts == record_of(study)["dataset"]["counts"]


@pytest.mark.parametrize("fingerprint", ["as it was", "another"])
def test_a_folder_of_images_is_looked_at_again(
    fingerprint: str, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = found(study).data
    now = data if fingerprint == "as it was" else replace(data, fingerprint=fingerprint)
    monkeypatch.setattr("experiments.search.finished.prepared", lambda *args, **kwargs: now)
    of_dataset(study, f"folder:{tmp_path}")
    assert (found(study) is not None) == (now is data)
