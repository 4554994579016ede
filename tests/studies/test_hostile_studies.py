"""Study folders of unknown origin, given to commands that change or resume studies."""

import errno
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from click.testing import CliRunner

from experiments import SearchConfig
from experiments.cli.main import main
from experiments.data.prepare import PreparedData
from experiments.executors.attempt_log import AttemptLog
from experiments.finalists.record import read_finalists
from experiments.methods.oracles.stored_trial import TrialReader
from experiments.methods.warm_start import warm_start
from experiments.record.ended_trials import read_ended
from experiments.record.errors import UserError
from experiments.record.files import check_own, check_writable
from experiments.record.layout import TrialFolder
from experiments.record.lock import holder, locked
from experiments.record.objective import Objective
from experiments.record.status_file import StatusFile, read_status
from experiments.record.study import read_study
from experiments.record.test_uses import note_look
from experiments.search.repair import _read
from experiments.studies.confirmed_files import ConfirmedRuns, read_confirmed
from experiments.studies.free_disk import free_disk
from experiments.studies.reopen import Opened
from experiments.studies.reproduce import reproduce
from experiments.training.snapshot import read_snapshot
from reports import load_study
from reports.analysis.verdict import verdict
from tests.reports.synthetic import Synthetic, write_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_study(tmp_path / "runs", Synthetic(3, num_failed=0, name="study", num_epochs=2))


@pytest.fixture
def no_hang() -> Iterator[None]:
    """Fails what waits for the other end of a pipe."""

    def hang(*arguments: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_a_status_that_finds_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        StatusFile(tmp_path).write({"phase": "searching"}, force=True)
    assert not list(tmp_path.iterdir())


def test_a_pipe_in_place_of_a_file_is_not_waited_for(study: Path, no_hang: None) -> None:
    trial = study / "trial_0"
    for name in ("status.json", ".holder.json", "trial_0/attempts.json", "trial_1/trial.json"):
        pipe(study / name)
    pipe(trial / "snapshot.npz")
    pipe(study / ".tmp-status.json")
    StatusFile(study).write({"phase": "searching"}, force=True)
    pipe(study / "status.json")
    with locked(study):
        assert holder(study) is not None
    assert holder(study) is None
    assert read_status(study) == {}
    assert read_finalists(pipe(study / "artifacts" / "finalists.json")) == []
    assert read_snapshot(trial / "snapshot.npz") is None
    attempts = AttemptLog(lambda name: TrialFolder(study / name))
    attempts.restore("trial_0", study / "trial_0/trial.json")
    assert len(attempts.of("trial_0")) == 1
    space = cast(Any, SimpleNamespace(space=[]))
    objective = Objective("val_accuracy", "max")
    _, lines = warm_start([str(study)], space, objective, study.parent)
    assert "1 damaged" in lines[0]
    with pytest.raises(UserError, match="nothing was removed"):
        free_disk(study, 1)
    assert _read(TrialFolder(study / "trial_1"), None, TrialReader()).mended
    assert (study / "trial_1" / "trial.json.damaged").is_fifo()
    pipe(study / "trial_2/trial.json")
    assert read_ended(study, objective) is None
    pipe(study / "study.json")
    result = CliRunner().invoke(main, ["status", str(study)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "content", ["[" * 200_000, '{"score": ' + "9" * 5000 + "}", "\ufeff{}", "[3]", ""]
)
def test_nonsense_in_a_trial_ends_prune_in_one_line(content: str, study: Path) -> None:
    (study / "trial_1" / "trial.json").write_text(content)
    with pytest.raises(UserError, match="nothing was removed") as refused:
        free_disk(study, 1)
    assert "UserError" not in str(refused.value)  # a name of this suite says nothing to a reader


_WRONG: list[tuple[str, Any]] = [
    ("config", 0.5), ("config", []), ("objective", "val_accuracy"), ("dataset", None),
    ("space", {"a": 1}), ("space", [1]), ("space", [{"name": "x"}]), ("sessions", {"0": 1}),
    ("sessions", [None]), ("sessions", [{"max_epochs": 3, "first_trial": -1}]),
    ("sessions", [{"max_epochs": 3, "factor": 1, "first_trial": 0}]),
    ("sessions", [{"max_epochs": 10**400, "factor": 3, "first_trial": 0}]),
    ("sessions", [{"max_epochs": True, "factor": 3, "first_trial": 0}]),
    ("sessions", [{"max_epochs": 3, "factor": 3, "first_trial": 0, "points": [1]}]),
    ("earlier", [{"values": {}, "score": "high"}]), ("earlier", [{"values": {}, "score": 10**400}]),
    ("earlier", [{"values": {}, "score": 1.0, "curve": [[1]]}]), ("earlier", 3),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrong"), _WRONG, ids=[str(n) for n in range(len(_WRONG))])
def test_what_a_resume_goes_on_from_is_refused_in_one_line(
    name: str, wrong: Any, study: Path
) -> None:
    path = study / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: wrong}))
    with pytest.raises(UserError, match=f"is damaged: .*{name.rstrip('s')}") as refused:
        read_study(study)
    assert len(str(refused.value)) < 600


def test_nothing_of_a_study_is_written_through_a_link(study: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    check_own(study)
    for name, target in (
        (".lock", outside / "kept"), (".holder.json", outside / "kept"), ("trial_9", outside),
        ("trial_0/checkpoint.weights.h5", outside / "kept"), ("artifacts/finalists", outside),
        ("export", outside), (".tmp-status.json", outside / "new"),
        ("artifacts/confirmed/0-1", outside),
    ):  # fmt: skip
        link = study / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        with pytest.raises(UserError, match="is a link"), locked(study):
            pass
        with pytest.raises(UserError, match="is a link"):
            check_writable(study)
        assert not note_look(study, [["a", "0"]], {"trainings": {}, "images": 1, "digest": "d"})
        link.unlink()
    (study / "export").symlink_to(outside)
    line = ["export", str(study), "--to", "csv"]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "is a link" in result.stderr
    assert [p.name for p in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"


@pytest.mark.parametrize("status", [None, 3, "x" * 5000, ["COMPLETED"]])
@pytest.mark.parametrize("is_plain", [False, True])
def test_statuses_that_are_none_are_counted_by_from(
    status: Any, is_plain: bool, study: Path
) -> None:
    for path in study.glob("trial_*/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": status}))
    (study / "trial_2" / "trial.json").write_text("")
    if is_plain:
        (study / "study.json").unlink()
    space, objective = cast(Any, SimpleNamespace(space=[])), Objective("val_accuracy", "max")
    try:
        used, lines = warm_start([str(study)], space, objective, study.parent)
    except UserError as error:
        lines, used = [str(error)], []
    assert used == []
    assert len(lines[0]) < 600


def test_a_refusal_is_brief_however_long_what_it_quotes(study: Path) -> None:
    path = study / "study.json"
    record = json.loads(path.read_text())
    record["config"] |= {"space": "x" * 5000, "method": "y " * 5000}
    path.write_text(json.dumps(record))
    result = CliRunner().invoke(main, ["reproduce", str(study), "0"])
    assert result.exit_code == 2
    assert len(result.stderr) < 2000
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "config",
    [
        {"space": [{"class_name": "Int", "config": []}], "values": {}},
        {"space": [], "values": {"optimizer": "nan"}},
    ],
    ids=["a space that is none", "a value that is none"],
)
def test_hyperparameters_that_are_none_are_refused(config: dict[str, Any], study: Path) -> None:
    asked = SearchConfig(space="mnist_cnn", dataset="digits")
    data = PreparedData("", "digits", tuple("0123456789"), (8, 8, 1), {}, "")
    opened = Opened(load_study(study), asked, data)
    with pytest.raises(UserError, match="no network can be built of a trial's recorded"):
        opened.build(config)


def test_a_finalists_seed_that_is_no_number_is_text(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(4, num_epochs=2))
    path = folder / "artifacts/finalists.json"
    records = json.loads(path.read_text())
    records[0]["runs"][0]["seed"] = [7]
    path.write_text(json.dumps(records))
    assert verdict(load_study(folder)).tests


@pytest.mark.parametrize("seed", ["", [1], None, 1.5])
def test_a_seed_that_is_no_whole_number_is_damage(study: Path, seed: object) -> None:
    path = study / "trial_0" / "result.json"
    record = json.loads(path.read_text())
    record["executions"][0]["seed"] = seed
    path.write_text(json.dumps(record))
    opened = cast(Opened, SimpleNamespace(study=load_study(study)))
    with pytest.raises(UserError, match=r"damaged: executions: seed should be a whole number"):
        reproduce(opened, "0")


@pytest.mark.parametrize("seed", [[1], {"a": 1}])
def test_damaged_trainings_of_a_comparison_are_named(tmp_path: Path, seed: object) -> None:
    path, labels = tmp_path / "0001.json", np.zeros(3, np.int64)
    run = {"seed": 1, "score": 0.5}
    ConfirmedRuns("0001", labels, [run], {1: labels}).write(path)
    assert read_confirmed(path, "0001", labels).runs == [run]
    for record in ({"seed": seed, "score": 0.5}, {"seed": 1}, {"score": 0.5}):
        path.write_text(json.dumps([{"trial_id": "0001", "runs": [record]}]))
        with pytest.raises(UserError, match=r"0001.json' is damaged .* made again"):
            read_confirmed(path, "0001", labels)


def test_hyperparameters_of_the_wrong_kind_are_named(study: Path) -> None:
    path = study / "trial_0" / "trial.json"
    record = json.loads(path.read_text())
    record["hyperparameters"]["values"]["tuner/epochs"] = "many"
    path.write_text(json.dumps(record))
    opened = cast(Opened, SimpleNamespace(study=load_study(study)))
    with pytest.raises(UserError, match=r"trial.json' is damaged: .*tuner/epochs should be"):
        Opened.hyperparameters(opened, "0")
