"""The command line as a user meets it."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from experiments.cli.main import main
from experiments.record.errors import UserError
from search_spaces import names
from tests.reports.synthetic import Synthetic, write_study

SMALL = ("--dataset", "digits", "--sample", "100", "--cache-dir", "cache")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture
def quick(tmp_path: Path, cache_dir: Path) -> tuple[str, ...]:
    return (
        "--dataset", "digits", "--sample", "100", "--max-trials", "1", "--max-epochs", "1",
        "--runs-dir", str(tmp_path / "runs"), "--cache-dir", str(cache_dir), "--workers", "0",
    )  # fmt: skip


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Searches end where their first trial would begin; what they have recorded is kept here."""
    records: dict[str, Any] = {}

    def end(plan: Any, folder: Path, *others: Any) -> None:
        records[folder.name] = json.loads((folder / "study.json").read_text())
        raise UserError("begun, and ended")

    monkeypatch.setattr("experiments.search.run._run", end)
    return records


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["search"], ["no search space"]),
        (["prune", "digits", "--keep", "1"], ["experiments free-disk"]),
        (["search", "mnist_cn"], ["'mnist_cn'", ", ".join(names())]),
        (["search", "mnist_cnn", "--dataset", "mnits"], ["'mnits'", "cats_vs_dogs"]),
        (["search", "mnist_cnn", "--dataset", "folder:"], ["unknown dataset"]),
        (["search", "mnist_cnn", "--dataset", "folder:/no/such"], ["no folder '/no/such'"]),
        (["search", "mnist_cnn", "--method", "evolution"], ["'evolution'", "hyperband"]),
        (["search", "mnist_cnn", "--fix", "filter=3"], ["--fix filter", "filters_0"]),
        (["search", "mnist_cnn", "--fix", "filters_0"], ["NAME=VALUE"]),
        (["search", "mnist_cnn", "--fix", "kernel_size=4"], ["one of 3, 5"]),
        (["search", "mnist_cnn", "--fix", "learning_rate=7"], ["from 0.0001 to 0.01"]),
        (["search", "mnist_cnn", "--fix", "filters_0=65"], ["from 16 to 64"]),
        (["search", "mnist_cnn", "--fix", "dropout=0", "--fix", "dropout=0.1"], ["given twice"]),
        (
            ["search", "mnist_cnn", "--fix", "filters_3=32", "--fix", "conv_blocks=1"],
            ["--fix filters_3", "only where conv_blocks is 4", "fixed at 1"],
        ),
        (["search", "mnist_cnn", "--fix", "learning_rate=nan"], ["from 0.0001 to 0.01"]),
        (["search", "mnist_cnn", "--set", "image_size=28.7"], ["whole number from 1 to 4096"]),
        (["search", "mnist_cnn", "--set", "alpha=1"], ["no such setting"]),
        (["search", "transfer_head", "--set", "alpha=0.4"], ["0.35"]),
        (["search", "transfer_head", "--set", "image_size=8"], ["32x32"]),
        (["search", "transfer_head", "--set", "base=mobilenetv2"], ["did you mean MobileNetV2?"]),
        (
            ["search", "mnist_cnn", "--objective", "val_acuracy"],
            ["did you mean val_accuracy?", "say the direction"],
        ),
        (["search", "mnist_cnn", "--objective", "val_recall:max"], ["no model of this space"]),
        (["search", "mnist_cnn", "--objective", "val_loss:up"], ["max or min"]),
        (["search", "mnist_cnn", "--objective", ""], ["names no metric"]),
        (["search", "mnist_cnn", "--objective", "val_loss:"], ["max or min"]),
        (["search", "mnist_cnn", "--patience", "-1"], ["--patience", "0 or more"]),
        (["search", "mnist_cnn", "--sample", "10"], ["--sample is too small"]),
        (["search", "mnist_cnn", "--runs-dir", ""], ["--runs-dir is empty"]),
        (["search", "mnist_cnn", "--cache-dir", "/proc/nowhere"], ["choose another --cache-dir"]),
        (["search", "mnist_cnn", "--dataset", "tfds:no_such"], ["has no such dataset"]),
        (["search", "mnist_cnn", "--dataset", "tfds:mnist:9.9.9"], ["version 9.9.9"]),
        (["search", "mnist_cnn", "--max-trials", "0"], ["--max-trials", "1 or more"]),
        (["search", "mnist_cnn", "--max-trials", "-3"], ["--max-trials", "got -3"]),
        (["search", "mnist_cnn", "--max-trials", "many"], ["not a valid integer"]),
        (["search", "mnist_cnn", "--seed", "-1"], ["--seed"]),
        (["search", "mnist_cnn", "--method", "hyperband", "--max-epochs", "1"], ["2 or more"]),
        (["search", "mnist_cnn", "--name", "../up"], ["not a path"]),
        (["search", "mnist_cnn", "--runs-dir", "/proc/nowhere"], ["/proc"]),
        (["search", "mnist_cnn", "--config", "/no/such.toml"], ["can't be read"]),
        (["search", "mnist_cnn", "--frobnicate"], ["--frobnicate"]),
        (["frobnicate"], ["frobnicate"]),
        (["report", "nothing"], ["no study 'nothing'"]),
        (["show", "nothing"], ["no study 'nothing'"]),
        (["list"], ["no runs folder 'runs'"]),
        (["search", "~no-user.py"], ["~no-user.py: there is no such file"]),
        (["spaces", "nothing"], ["mnist_cnn"]),
        (["report", "digits", "--watch", "nan"], ["--watch", "'nan'"]),
        (["reproduce", "digits", "1", "--tolerance", "nan"], ["--tolerance", "finite number"]),
        (["reproduce", "digits", "1", "--tolerance", "inf"], ["--tolerance", "finite number"]),
        (["compare", "a", "b", "--difference", "nan"], ["--difference", "finite number"]),
        (["export", "a", "--model", "tflite", "--out", "http://u:p@host/x"], ["--model", "u:***@"]),
        (["cache", "--prune", "--max-size", "9" * 400], ["--max-size", "expected a size"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if arguments[:2] == ["search", "mnist_cnn"] and "--dataset" not in arguments:
        arguments = [*arguments[:2], *SMALL, *arguments[2:]]
    refused(call(*arguments), *words)
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_trials = [", ["no valid TOML"]),
        ("trials = 3", ["unknown key 'trials'", "max_trials"]),
        ("max_trials = 'three'", ["--max-trials", "'three'"]),
        ("fix = 3", ["fix should be a table"]),
        ("settings = {image_size = [28, 28]}", ["image_size=[28, 28]", "whole number"]),
        ("runs_dir = 3", ["runs_dir should be a text"]),
    ],
)
def test_bad_config_files(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "search.toml"
    path.write_text(text)
    refused(call("search", "mnist_cnn", "--config", str(path)), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [("runs_dir = 5", ["runs_dir should be a text"]), ("runs_dir = ''", ["--runs-dir is empty"])],
)
def test_a_resume_checks_where_studies_are(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "resume.toml"
    path.write_text(text)
    refused(call("resume", "digits", "--config", str(path)), *words)


def test_a_config_that_is_wrong_is_refused_whatever_the_options(tmp_path: Path) -> None:
    path = tmp_path / "search.toml"
    path.write_text("fix = 3")
    arguments = ["search", "mnist_cnn", "--config", str(path), "--fix", "dropout=0"]
    refused(call(*arguments), "fix should be a table")


def test_no_command_shows_the_commands() -> None:
    result = call()
    assert (result.exit_code, result.stdout) == (2, "")
    assert {"search", "report", "spaces"} <= {x.split()[0] for x in result.stderr.splitlines() if x}


def test_config_file_and_options_meet(
    tmp_path: Path, quick: tuple[str, ...], begun: dict[str, Any]
) -> None:
    path = tmp_path / "search.toml"
    path.write_text('space = "mnist_cnn"\nconfirm = 0\n[fix]\nconv_blocks = 1\npooling = "max"\n')
    result = call(
        "search", "--config", str(path), "--fix", "pooling=average", "--name", "t", *quick
    )
    assert "begun, and ended" in result.stderr, result.output
    assert begun["t"]["config"]["fix"] == {"conv_blocks": 1, "pooling": "average"}


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_search_then_list_show_report(tmp_path: Path, quick: tuple[str, ...]) -> None:
    result = call("search", "mnist_cnn", "--name", "first", *quick, "--confirm", "0")
    assert result.exit_code == 0, result.output
    assert "trial 0000 (1/1)" in result.stdout
    assert "best trial: 0000, val_accuracy" in result.stdout
    runs = str(tmp_path / "runs")
    assert (tmp_path / "runs" / "first" / "report" / "index.html").is_file()
    listed = call("list", "--runs-dir", runs).stdout
    assert "mnist_cnn on digits" in listed
    assert "best trial 0000" in call("show", "first", "--runs-dir", runs).stdout
    assert "learning_rate" in call("show", "first", "0", "--runs-dir", runs).stdout
    refused(call("show", "first", "5", "--runs-dir", runs), "there are 0")
    written = call("report", "first", "--runs-dir", runs)
    assert written.stdout.strip().endswith("index.html")
    refused(call("search", "mnist_cnn", "--name", "first", *quick), "exists already")


@pytest.mark.slow
@pytest.mark.usefixtures("without_drawing")
def test_quiet_prints_nothing(quick: tuple[str, ...]) -> None:
    result = call("search", "mnist_cnn", "--quiet", "--confirm", "0", *quick)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "x", "space": 3, "objective": 1}'])
def test_a_damaged_study_is_one_line(tmp_path: Path, content: str, study_folder: Path) -> None:
    folder = tmp_path / "damaged"
    (folder / "trial_0000").mkdir(parents=True)
    (folder / "study.json").write_text(content)
    (folder / "trial_0000" / "trial.json").write_text(
        (study_folder / "trial_0000" / "trial.json").read_text()
    )
    for command in ("report", "show"):
        refused(call(command, "damaged", "--runs-dir", str(tmp_path)), "damaged")
    assert not (folder / "report").exists()


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("study.json", "{}"),
        ("artifacts/finalists.json", "[1]"),
        ("artifacts/predictions.npz", "PK"),
        ("trial_0001/result.json", "{"),
        ("trial_0001/result.json", "[]"),
    ],
)
def test_a_damaged_file_of_a_study_costs_itself_alone_and_is_named(
    tmp_path: Path, study_folder: Path, name: str, content: str
) -> None:
    folder = tmp_path / "hurt"
    shutil.copytree(study_folder, folder)
    (folder / name).write_text(content)
    written = call("report", "hurt", "--runs-dir", str(tmp_path))
    assert written.exit_code == 0, written.output
    page = Path(written.stdout.strip()).read_text(encoding="utf-8")
    assert "trial_0001" in page if name.startswith("trial_0001") else Path(name).name in page


def test_a_folder_that_is_no_study_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(call("report", "empty", "--runs-dir", str(tmp_path)), "is no study")


def test_spaces_and_datasets_are_listed() -> None:
    spaces = call("spaces").stdout
    assert max(len(line) for line in spaces.splitlines()) <= 80
    for word in ("mnist_cnn", "transfer_head", "unfreeze_from", "log scale", "alpha = 1.0"):
        assert word in spaces
    assert "folder:<path>" in call("datasets").stdout


def test_shell_completion_knows_spaces() -> None:
    environment = os.environ | {
        "_EXPERIMENTS_COMPLETE": "bash_complete",
        "COMP_WORDS": "experiments search mn",
        "COMP_CWORD": "2",
    }
    script = Path(sys.executable).with_name("experiments")
    answer = subprocess.run(
        [str(script)], capture_output=True, text=True, env=environment, check=False
    )
    assert "plain,mnist_cnn" in answer.stdout


def test_the_package_runs_as_a_command(tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(3, name="few", num_seeds=0))
    answer = subprocess.run(
        [sys.executable, "-m", "experiments", "show", "few", "--runs-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "best trial" in answer.stdout


@pytest.mark.parametrize("package", ["tensorflow"])
def test_a_package_that_cannot_be_imported_is_one_line(package: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / package
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(
        "try:\n    raise ImportError('lib.so.2: cannot open')\n"
        "except ImportError:\n    raise ImportError('Traceback:\\n  of many lines')\n"
    )
    paths = os.pathsep.join([str(broken.parent), str(Path(__file__).parents[2])])
    answer = subprocess.run(
        [sys.executable, "-m", "experiments", "search", "mnist_cnn", "--dataset", "digits"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert answer.stderr.splitlines()[-1:] == [
        f"error: {package} can't be imported (ImportError: lib.so.2: cannot open): install the "
        "suite anew, in an environment of its own"
    ]
    assert "Traceback (most" not in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_reports_run_as_a_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    without_drawing: None,
) -> None:
    write_study(tmp_path, Synthetic(3, name="few", num_seeds=0))
    monkeypatch.setattr(sys, "argv", ["reports", "few", "--runs-dir", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("reports", run_name="__main__")
    assert "index.html" in capsys.readouterr().out


def test_the_command_of_reports_says_how_it_is_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reports", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("reports", run_name="__main__")
    assert "Usage: python -m reports [OPTIONS] STUDY" in capsys.readouterr().out


# A report is not what it is about.
_RESUME = """
import sys, reports
reports.write_report = lambda study: getattr(study, "folder", study) / "report/index.html"
from experiments.cli.main import main
assert not {"keras", "tensorflow"} & set(sys.modules)
main(["resume", *sys.argv[1:]])
"""


def test_a_search_whose_output_is_closed_goes_on(study_folder: Path, tmp_path: Path) -> None:
    """In a process of its own, which loads Keras when it trains."""
    shutil.copytree(study_folder, tmp_path / "runs" / "piped")
    arguments = ["piped", "--runs-dir", str(tmp_path / "runs"), "--max-trials", "4"]
    environment = {n: v for n, v in os.environ.items() if n != "TF_ENABLE_ONEDNN_OPTS"}
    with subprocess.Popen(
        [sys.executable, "-c", _RESUME, *arguments, "--confirm", "0", "--workers", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("study piped: ")
        process.stdout.close()  # as `head -1` does
        said = process.stderr.read()
    assert process.returncode == 0
    assert said.splitlines() == ["the output was closed: the search continues without it"]
    record = json.loads((tmp_path / "runs" / "piped" / "study.json").read_text())
    assert "ended" in record["sessions"][-1]
    trial = json.loads((tmp_path / "runs" / "piped" / "trial_0003" / "result.json").read_text())
    assert trial["status"] == "completed"
    assert trial["numerics"]["onednn"]  # as the user has not said no


def test_studies_that_are_named_in_the_same_second_get_one_folder_each(
    quick: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begun: dict[str, Any],
) -> None:
    monkeypatch.setattr("experiments.search.run.time.strftime", lambda text: "now")
    (tmp_path / "runs" / "mnist_cnn-now").mkdir(parents=True)
    result = call("search", "mnist_cnn", *quick, "--confirm", "0")
    assert "begun, and ended" in result.stderr, result.output
    record = begun["mnist_cnn-now-2"]
    assert record["name"] == record["config"]["name"] == "mnist_cnn-now-2"
    assert not list((tmp_path / "runs" / "mnist_cnn-now").iterdir())
