"""Study folders that others wrote: hostile ones, those of newer versions, those of other code."""

import json
import os
import subprocess
import sys
from ast import literal_eval
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from experiments import SearchConfig, UserError
from experiments.cli.main import main
from experiments.config import ScriptConfig
from experiments.hyperparameters.source import space_source
from experiments.methods.oracles.stored_trial import TrialReader
from experiments.methods.warm_start import warm_start
from experiments.record import study as record_study
from experiments.record.alike import changed, source_of
from experiments.record.layout import TrialFolder
from experiments.record.objective import Objective
from experiments.record.passwords import hidden
from experiments.record.study import environment, read_study, write_study
from experiments.search.repair import _read
from experiments.search.resume import changed_config
from experiments.search.script_folder import as_before
from experiments.studies.reopen import Opened
from experiments.studies.reproduce import Link, _chain, _differences
from reports import load_study
from reports.analysis.facts import command_line, facts
from tests.reports.synthetic import Synthetic
from tests.reports.synthetic import write_study as write_synthetic

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "postgresql://me:s3cret@host/db"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_synthetic(tmp_path / "runs", Synthetic(num_trials=3, num_failed=0, name="study"))


def call(command: str, study: Path, *options: str) -> Result:
    arguments = [command, str(study), "--runs-dir", str(study.parent), *options]
    return CliRunner().invoke(main, arguments)


def edit(path: Path, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(record))
    return record


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "command", ["resume", "status", "show", "free-disk", "report", "reproduce"]
)
def test_a_study_of_a_newer_version_is_refused_and_left_as_it_is(command: str, study: Path) -> None:
    edit(study / "study.json", format=2)
    (study / "trial_0" / "checkpoint.weights.h5").write_bytes(b"weights")
    before = files_of(study)
    result = call(command, study, *(["0"] if command == "reproduce" else []))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: study 'study' was written by a newer version")
    assert result.stderr.count("\n") == 1
    assert files_of(study) == before


def test_trials_of_a_newer_version_inform_no_search(study: Path) -> None:
    edit(study / "study.json", format=2)
    with pytest.raises(UserError, match="newer version"):
        warm_start([str(study)], cast(Any, SimpleNamespace(space=[])), _objective(), "runs")


def _objective() -> Objective:
    return Objective("val_accuracy", "max")


@pytest.mark.parametrize("stated", [1, 0, None, "one", [3], True])
def test_other_formats_are_no_newer_ones(stated: Any, study: Path) -> None:
    edit(study / "study.json", format=stated)
    assert read_study(study)["format"] == stated
    assert len(load_study(study).trials) == 3


def test_the_source_of_a_space_is_all_that_it_is_made_of() -> None:
    source = space_source("transfer_head")
    assert {"search_spaces.transfer_head", "search_spaces.base", "search_spaces._backbone"} <= {
        *source
    }
    assert not any(name.startswith(("keras", "experiments")) for name in source)
    assert "search_spaces._backbone" not in space_source("mnist_cnn")


def test_a_change_of_the_source_is_known_by_module_and_by_trial() -> None:
    old, new = {"a": "1", "b": "1"}, {"a": "2", "b": "1", "c": "1"}
    assert changed(old, new) == ["a", "c"]
    assert changed({}, new) == []  # it was not recorded then
    sessions = [{"first_trial": 0}, {"first_trial": 4, "space_source": new}]
    record = {"space_source": old, "sessions": sessions}
    assert source_of(record, 3) == old
    assert source_of(record, 4) == source_of(record) == new


def test_reproduce_says_that_the_source_has_changed() -> None:
    source = space_source("mnist_cnn") | {"search_spaces.base": "another"}
    record = {"environment": environment(), "space_source": source}
    opened = SimpleNamespace(study=SimpleNamespace(record=record), config=_config())
    link = Link("0000", {}, {"values": {}})
    assert list(_differences(cast(Opened, opened), [link]))[:1] == [
        "code of the space: search_spaces.base has changed since"
    ]


def _config() -> SearchConfig:
    return SearchConfig("mnist_cnn", "digits")


def test_the_commit_is_that_of_the_suite_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    asked = record_study._git.__wrapped__  # conftest asks once for all tests
    monkeypatch.setattr(record_study, "_git", asked)
    here = environment()["git"]
    git("init")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "-m", "another project")
    monkeypatch.chdir(tmp_path)
    assert environment()["git"] == here
    # Installed into a folder of that project, the suite is no part of it.
    installed = tmp_path / "site-packages" / "study.py"
    installed.parent.mkdir()
    installed.write_text("")
    monkeypatch.setattr("experiments.record.study.__file__", str(installed))
    assert environment()["git"] is None


def test_an_origin_that_is_a_path_is_no_trial(study: Path, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    edit(study / "trial_0" / "result.json", initial_epoch=1)
    state = json.loads((study / "trial_0" / "trial.json").read_text())
    state["hyperparameters"]["values"]["tuner/trial_id"] = elsewhere
    edit(study / "trial_0" / "trial.json", **state)
    place = study / f"trial_{elsewhere}"
    place.mkdir(parents=True)
    for name in ("result.json", "trial.json"):
        (place / name).write_bytes((study / "trial_1" / name).read_bytes())
    opened = Opened(load_study(study), _config(), cast(Any, None))
    with pytest.raises(UserError, match="trial_id should be digits"):
        _chain(opened, "0")


def test_a_file_of_another_trial_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "trial_0000"
    folder.mkdir()
    content = {"trial_id": "/../../0001", "hyperparameters": {}, "executions": []}
    (folder / "result.json").write_text(json.dumps(content | {"status": "failed"}))
    assert _read(TrialFolder(folder), None, TrialReader()).result is None
    assert (folder / "result.json.damaged").is_file()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (ADDRESS, "postgresql://me:***@host/db"),
        ("mysql+pymysql://me:p%40ss:w@host:3306/db#study", "mysql+pymysql://me:***@host:3306/db#study"),
        ("postgresql://host/db?user=me&password=s3cret", "postgresql://host/db?user=me&password=***"),
        ("experiments search --from postgresql://u:p@h/d --seed 1",
         "experiments search --from postgresql://u:***@h/d --seed 1"),
        ("postgresql://me:pa/ss@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://user@server:pw@host/db", "mysql+pymysql://user@server:***@host/db"),
        ("postgresql://me:p?a#s:s@host:5432/db#study", "postgresql://me:***@host:5432/db#study"),
        ("postgresql://me:p/a?s#s@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p@s/s@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:p@s#s@host/db#study", "postgresql://me:***@host/db#study"),
        ("redis://:s3cret@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://me:pw@host/db?email=a@b#home@c",
         "postgresql://me:***@host/db?email=a@b#home@c"),
        ("--from mysql://a:b/c@d/e --from mysql://f:g/h@i/j",
         "--from mysql://a:***@d/e --from mysql://f:***@i/j"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dpw%3BServer%3Ds",
         "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D***%3BServer%3Ds"),
        ("postgresql://host:5432/db#study", "postgresql://host:5432/db#study"),
        ("sqlite:///C:/data/me@home:x@y.db", "sqlite:///C:/data/me@home:x@y.db"),
        ("sqlite:////data/optuna.db", "sqlite:////data/optuna.db"),
        ("ray://10.0.0.1:10001", "ray://10.0.0.1:10001"),
        pytest.param("://a:" * 100_000, "://a:" * 100_000, id="hostile"),
        ("study", "study"),
    ],
)  # fmt: skip
def test_passwords_are_hidden(text: str, shown: str) -> None:
    assert hidden(text) == shown


def test_a_password_that_was_recorded_is_neither_repeated_nor_in_the_way() -> None:
    address = "postgresql://me:s3/cret@host/db"
    metric = "val_accuracy:max"
    config = ScriptConfig("model", "", "tpe", objective=metric, sources=(address,))
    study = {"name": "study", "config": config.as_dict()}
    assert as_before(config, study, seed_given=True).sources == (address,)
    with pytest.raises(UserError) as refused:
        as_before(replace(config, sources=("other",)), study, seed_given=True)
    assert "me:***@host" in str(refused.value)


def test_the_password_of_a_database_is_not_recorded(study: Path) -> None:
    record = read_study(study)
    record["config"] |= {"sources": [ADDRESS, "study"], "method": "tpe"}
    command = ["experiments", "search", "mnist_cnn", "--from", ADDRESS]
    record["environment"]["command_line"] = command
    record["sessions"] = [{"command_line": command, "first_trial": 0}]
    write_study(study, record)
    text = (study / "study.json").read_text()
    assert "s3cret" not in text
    assert text.count("me:***@host") == 3
    # The file of options that the study was begun with may be given again.
    changed_config(read_study(study), study, {"sources": [ADDRESS, "study"]})
    with pytest.raises(UserError) as refused:
        changed_config(read_study(study), study, {"sources": [ADDRESS.replace("host", "other")]})
    assert "s3cret" not in str(refused.value)


def test_the_password_is_on_no_line_and_no_page(study: Path) -> None:
    with pytest.raises(UserError, match="can't be read") as refused:
        warm_start([ADDRESS], cast(Any, SimpleNamespace(space=[])), _objective(), "runs")
    assert "s3cret" not in str(refused.value)
    command = ["experiments", "search", "mnist_cnn", "--from", ADDRESS]  # of an earlier commit
    record = read_study(study)
    record["environment"]["command_line"] = command
    (study / "study.json").write_text(json.dumps(record))
    assert command_line(load_study(study)).endswith("me:***@host/db")


def test_status_takes_no_other_folder_for_a_study(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    result = call("status", tmp_path / "other")
    assert result.exit_code == 2
    assert "is no study" in result.stderr


_WRONG: list[Any] = ["many", [1], {"a": 1}, None, True, 1e400, "1" * 400]


@pytest.mark.parametrize("wrong", _WRONG, ids=[str(n) for n in range(len(_WRONG))])
def test_status_reads_texts_where_numbers_belong(
    wrong: Any, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.studies.status.is_running", lambda folder: None)
    several = [{"name": "val_accuracy", "direction": "max"}, {"name": "params", "direction": "min"}]
    edit(
        study / "study.json", objective=wrong, objectives=[*several, wrong, {"name": wrong}],
        sessions=wrong, config=wrong,
    )  # fmt: skip
    for trial_id, key in ((0, "score"), (1, "status"), (2, "trial_id")):
        edit(study / f"trial_{trial_id}" / "trial.json", **{key: wrong})
        values = {"val_accuracy": wrong, "params": wrong} if trial_id else wrong
        edit(study / f"trial_{trial_id}" / "result.json", objectives=values, trial_id=wrong)
    metrics = {"epoch": wrong, "metrics": {"loss": wrong}}
    running = {"0": wrong, "1": metrics, "2": {"metrics": wrong}}
    (study / "status.json").write_text(
        json.dumps({"running": running, "written": wrong, "phase": wrong})
    )
    (study / ".holder.json").write_text(json.dumps({"since": wrong, "pid": wrong, "host": wrong}))
    result = call("status", study)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("study study: ")
    (study / "status.json").write_text(json.dumps({"running": wrong}))
    edit(study / "study.json", sessions=[{"ended": wrong, "ended_by": wrong}])
    assert call("status", study).exit_code == 0
    monkeypatch.undo()
    assert call("status", study).exit_code == 0


def test_commands_of_every_session_are_on_the_page(study: Path) -> None:
    begun = ["experiments", "search", "mnist_cnn"]
    longer = ["experiments", "resume", "study", "--max-trials", "9"]
    sessions = [
        {"command_line": command, "started": start, "ended": start + 60.0}
        for command, start in ((begun, 0.0), (longer, 86_400.0), (longer, 90_000.0))
    ]
    edit(study / "study.json", sessions=sessions, started=0.0, ended=90_060.0)
    loaded = load_study(study)
    assert command_line(loaded) == (
        "experiments search mnist_cnn\nexperiments resume study --max-trials 9"
    )
    assert dict(facts(loaded))["took"] == "3.0 min in 3 sessions"
    assert not loaded.running


@pytest.mark.parametrize(
    ("arguments", "recorded"),
    [
        (["-m", "told", "a b"], ["python", "-m", "told", "a b"]),
        (["-B", "told.py", "--epochs", "3"], ["python", "-B", "told.py", "--epochs", "3"]),
        (["told", "search"], ["told", "search"]),  # as an installed script begins
        (["-c", "import told"], ["python", "-c", "import told"]),
        (["-"], []),
    ],
)
def test_the_command_is_recorded_as_it_was_given(
    arguments: list[str], recorded: list[str], tmp_path: Path
) -> None:
    text = "from experiments.record.study import command_line\nprint(command_line())\n"
    for name in ("told", "told.py"):
        (tmp_path / name).write_text(text)
    asked = subprocess.run(
        [sys.executable, *arguments], input=text, cwd=tmp_path, check=True, capture_output=True,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert literal_eval(asked.stdout) == recorded


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (["experiments", "search", "mnist_cnn"], "experiments search mnist_cnn"),
        (["python", "-m", "experiments", "search", "a b"], "python -m experiments search 'a b'"),
        # As earlier commits recorded them.
        (["__main__.py", "search", "mnist_cnn"], "python -m experiments search mnist_cnn"),
        (["__main__.py", "--epochs", "3"], "python __main__.py --epochs 3"),
        (["train.py", "--epochs", "3"], "python train.py --epochs 3"),
        (["ipykernel_launcher.py", "-f", "kernel.json"], ""),
        (["-c"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_the_command_on_the_page_can_be_given_again(
    recorded: list[str], shown: str, study: Path
) -> None:
    edit(study / "study.json", environment={"command_line": recorded}, sessions=[{}])
    assert command_line(load_study(study)) == shown


def test_a_study_runs_while_its_last_session_has_not_ended(study: Path) -> None:
    # As earlier commits wrote an extension that goes on: the study's own end is that of before.
    sessions: list[dict[str, Any]] = [{"first_trial": 0, "ended": 1.0}, {"first_trial": 3}]
    edit(study / "study.json", sessions=sessions, ended=1.0)
    assert load_study(study).running
    edit(study / "study.json", sessions=[sessions[0]], ended=1.0)
    assert not load_study(study).running
