"""Studies as MLflow holds them: what a run says, and what MLflow's own server answers."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from experiments.cli.main import main
from experiments.studies.mlflow_runs import Point, runs_of, study_tags
from reports import load_study
from tests.reports.plain import PlainTrial, choice, number, write_plain
from tests.reports.synthetic import Synthetic, write_study

# What MLflow and its packages warn of, about one another.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
_UNREACHABLE = "http://127.0.0.1:9"  # the port of "discard": nothing listens


def written(runs: Path, name: str = "synthetic") -> Path:
    """Writes a study of 12 trials, one failed, with a page and a model."""
    folder = write_study(runs, Synthetic(name=name))
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("<h1>the page</h1>")
    (folder / "best_model.keras").write_bytes(b"the model")
    return folder


def export(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", str(folder), *arguments])


def refused(folder: Path, *arguments: str) -> str:
    result = export(folder, *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_a_run_says_what_the_study_knows_of_a_trial(tmp_path: Path) -> None:
    study = load_study(written(tmp_path))
    runs = list(runs_of(study))
    assert [run.tags["trial_id"] for run in runs] == list(study.trials["trial_id"])
    assert [run.status for run in runs] == ["FINISHED"] * 11 + ["FAILED"]
    first, row = runs[0], study.trials.iloc[0]
    assert (first.started, first.ended) == (1_700_000_000_000, 1_700_000_009_000)
    assert first.params["conv_blocks"] == str(int(row["conv_blocks"]))
    assert float(first.params["learning_rate"]) == row["learning_rate"]
    assert ("filters_1" in first.params) == (row["conv_blocks"] >= 2)
    curve = [p for p in first.metrics if p.key == "val_accuracy"]
    recorded = study.epochs_of(row["trial_id"])
    assert [p.value for p in curve] == list(recorded["val_accuracy"])
    assert [p.step for p in curve] == [1, 2, 3, 4, 5]
    times = [first.started, *(p.milliseconds for p in curve)]
    assert times == sorted(times)
    assert times[-1] <= first.ended
    score = Point("score", row["score"], first.ended, 5)
    assert score in first.metrics


def test_failed_and_pruned_trials_say_so(tmp_path: Path) -> None:
    folder = written(tmp_path)
    state = folder / "trial_00" / "result.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"status": "pruned"}))
    runs = list(runs_of(load_study(folder)))
    assert runs[0].status == "KILLED"
    assert runs[-1].status == "FAILED"
    assert runs[-1].tags["failure_cause"] == "nan"
    assert runs[-1].tags["failure_message"] == "NotANumberError: loss"
    assert "failure_cause" not in runs[1].tags


@pytest.mark.parametrize("is_running", [True, False])
def test_a_trial_without_an_end_runs_if_its_search_does(is_running: bool, tmp_path: Path) -> None:
    sessions = {"sessions": [{"started": 1.0} | ({} if is_running else {"ended": 2.0})]}
    folder = write_study(tmp_path, Synthetic(changes=sessions))
    state = folder / "trial_00" / "result.json"
    changes = {"status": "running", "ended": None, "score": None, "initial_epoch": 1e30}
    state.write_text(json.dumps(json.loads(state.read_text()) | changes))
    run = next(runs_of(load_study(folder)))
    assert run.status == ("RUNNING" if is_running else "KILLED")
    assert (run.ended is None) == is_running
    assert {point.step for point in run.metrics} == {2**31 - 1}  # a damaged record overflows none


def test_the_best_trial_has_test_scores_and_artifacts(tmp_path: Path) -> None:
    study = load_study(written(tmp_path))
    (best,) = [run for run in runs_of(study) if "best" in run.tags]
    assert best.tags["trial_id"] == study.finalists[0]["trial_id"]
    assert [path.name for path in best.artifacts] == ["index.html", "best_model.keras"]
    tested = [run["test"]["accuracy"] for run in study.finalists[0]["runs"]]
    values = {p.key: p.value for p in best.metrics}
    assert values["test/accuracy"] == pytest.approx(sum(tested) / len(tested))
    assert [v for k, v in values.items() if k.startswith("test_seed_") and "acc" in k] == tested
    others = [run for run in runs_of(study) if run is not best and "best" not in run.tags]
    assert not any(run.artifacts for run in others)
    assert not any(p.key.startswith("test") for run in others for p in run.metrics)


def test_a_linked_model_is_not_exported(tmp_path: Path) -> None:
    folder = written(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("of another user")
    (folder / "best_model.keras").unlink()
    (folder / "best_model.keras").symlink_to(secret)
    kept = [path.name for run in runs_of(load_study(folder)) for path in run.artifacts]
    assert kept == ["index.html"]


def test_names_that_mlflow_refuses_are_replaced_and_stay_apart(tmp_path: Path) -> None:
    names = ["a:b", "a?b", "../up", "layer/units"]
    values = {name: index / 8 for index, name in enumerate(names)}
    trial = PlainTrial(
        {"val_loss": ("min", 0.5)}, 0.5, values, space=[number(n, 0.0, 1.0) for n in names]
    )
    folder = write_plain(tmp_path / "plain", [trial])
    (run,) = runs_of(load_study(folder))
    assert run.params == {"a_b": "0.0", "a_b_2": "0.125", "___up": "0.25", "layer/units": "0.375"}
    assert run.started == 1  # plain Keras Tuner records no times


def test_a_choice_of_integers_that_not_all_trials_have_stays_one(tmp_path: Path) -> None:
    metrics, space = {"val_loss": ("min", 0.5)}, [choice("size", [16, 32])]
    trials = [PlainTrial(metrics, 0.5, values, space=space) for values in ({"size": 16}, {})]
    runs = list(runs_of(load_study(write_plain(tmp_path / "plain", trials))))
    assert [run.params for run in runs] == [{"size": "16"}, {}]


def test_tags_of_the_study(tmp_path: Path) -> None:
    tags = study_tags(load_study(written(tmp_path)))
    assert tags == {
        "study": "synthetic", "objective": "val_accuracy:max", "space": "mnist_cnn",
        "dataset": "digits", "method": "random", "seed": "0",
    }  # fmt: skip


def test_without_mlflow_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    folder = written(tmp_path / "runs")
    for out in (str(tmp_path / "out"), str(tmp_path / "new" / "out"), _UNREACHABLE):
        said = refused(folder, "--to", "mlflow", "--out", out)
        assert "pip install 'keras-tuner-experiments[mlflow]'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("to", "out", "words"),
    [
        ("csv", "http://127.0.0.1:9", "--to csv takes a path"),
        ("mlflow", "ftp://u:secret@host", "a path or the http(s) address of a server"),
    ],
)
def test_an_address_that_fits_no_format_is_refused(
    to: str, out: str, words: str, tmp_path: Path
) -> None:
    said = refused(written(tmp_path), "--to", to, "--out", out)
    assert words in said
    assert "secret" not in said


# With MLflow itself ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `--to mlflow` wrote, and that was moved since."""
    runs = tmp_path_factory.mktemp("runs")
    result = export(written(runs), "--to", "mlflow", "--out", str(runs / "a folder?" / "made"))
    assert result.exit_code == 0, result.output
    assert [path.name for path in (runs / "a folder?").iterdir()] == ["made"]
    moved = runs / "moved"
    (runs / "a folder?" / "made").rename(moved)
    return moved


@pytest.fixture(scope="module")
def server(exported: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of MLflow's server on the exported folder."""
    command = _server_command()
    if command is None:
        say = pytest.fail if request.config.getoption("--strict-extras") else pytest.skip
        say("MLflow's server is not installed: MLFLOW_SERVER names its command")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = exported.parent / "server.log"
    arguments = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    ours = ("MLFLOW_", "PYTHONPATH")
    settings = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *arguments], cwd=exported, stdout=file, stderr=file,
            env=settings | {"MLFLOW_DISABLE_TELEMETRY": "true"}, start_new_session=True,
        )  # fmt: skip
        try:
            _wait(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


def _server_command() -> list[str] | None:
    if "MLFLOW_SERVER" in os.environ:
        return [os.environ["MLFLOW_SERVER"]]
    return [sys.executable, "-m", "mlflow"] if find_spec("flask") and find_spec("mlflow") else None


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        try:
            _get(f"{address}/health")
            return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        content: bytes = answer.read()
    return content


def _post(url: str, query: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def _experiments(server: str) -> dict[str, str]:
    query = {"max_results": 100, "view_type": "ACTIVE_ONLY"}
    found = _post(f"{server}/api/2.0/mlflow/experiments/search", query)["experiments"]
    return {experiment["name"]: experiment["experiment_id"] for experiment in found}


def _runs(server: str, study: str, **query: Any) -> list[dict[str, Any]]:
    ids = {"experiment_ids": [_experiments(server)[study]]}
    found = _post(f"{server}/api/2.0/mlflow/runs/search", ids | query)["runs"]
    return list(found)


def _check_artifacts(server: str, run: dict[str, Any]) -> None:
    for name, content in (("index.html", b"<h1>the page</h1>"), ("best_model.keras", b"the model")):
        query = urllib.parse.urlencode({"run_uuid": run["info"]["run_id"], "path": name})
        assert _get(f"{server}/get-artifact?{query}") == content


@pytest.mark.mlflow
def test_the_server_shows_every_trial_of_an_exported_folder(server: str) -> None:
    assert b"<title>MLflow</title>" in _get(server)
    found = _runs(server, "synthetic", order_by=["metrics.score DESC"])
    assert len(found) == 12
    best = found[0]
    tags = {tag["key"]: tag["value"] for tag in best["data"]["tags"]}
    assert tags["best"] == "true"
    assert tags["mlflow.runName"] == f"trial {tags['trial_id']}"
    assert best["info"]["status"] == "FINISHED"
    assert best["info"]["end_time"] - best["info"]["start_time"] == 9000
    (failed,) = _runs(server, "synthetic", filter="attributes.status = 'FAILED'")
    assert {"key": "failure_cause", "value": "nan"} in failed["data"]["tags"]
    query = urllib.parse.urlencode({"run_id": best["info"]["run_id"], "metric_key": "val_accuracy"})
    history = json.loads(_get(f"{server}/api/2.0/mlflow/metrics/get-history?{query}"))["metrics"]
    assert [point["step"] for point in history] == [1, 2, 3, 4, 5]
    _check_artifacts(server, best)


@pytest.mark.mlflow
def test_a_study_is_exported_to_a_server(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = written(tmp_path, "other")
    with monkeypatch.context() as patched:
        patched.setattr("experiments.studies.export_mlflow.runs_of", _of_damage)
        assert isinstance(export(other, "--to", "mlflow", "--out", server).exception, OverflowError)
    assert set(_experiments(server)) == {"Default", "synthetic"}
    result = export(other, "--to", "mlflow", "--out", server)
    assert (result.exit_code, result.stdout) == (0, f"{server}\n"), result.output
    assert set(_experiments(server)) == {"Default", "synthetic", "other"}
    found = _runs(server, "other", filter="tags.best = 'true'")
    _check_artifacts(server, found[0])
    assert "has an experiment 'other' already" in refused(other, "--to", "mlflow", "--out", server)


def _of_damage(study: Any) -> Iterator[Any]:
    yield from list(runs_of(study))[:2]
    raise OverflowError("in the middle")


@pytest.mark.mlflow
def test_an_existing_folder_and_a_dead_server_are_refused(exported: Path, tmp_path: Path) -> None:
    folder = written(tmp_path)
    said = refused(folder, "--to", "mlflow", "--out", str(exported))
    assert "exists already" in said
    said = refused(folder, "--to", "mlflow", "--out", "http://me:secret@127.0.0.1:9")
    assert "MLflow could not export to 'http://me:***@127.0.0.1:9'" in said
    assert "secret" not in said


@pytest.mark.mlflow
def test_an_interrupted_export_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "runs")
    monkeypatch.setattr("experiments.studies.export_mlflow.runs_of", _of_damage)
    out = tmp_path / "out" / "made"
    assert isinstance(export(folder, "--to", "mlflow", "--out", str(out)).exception, OverflowError)
    assert list(out.parent.iterdir()) == []
