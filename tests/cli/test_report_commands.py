"""Commands that read studies and train again: compare, reproduce, export, measure."""

import csv
import json
import shutil
import sqlite3
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.studies import export_study
from experiments.studies.run_model import Runner
from experiments.training.costs import flops
from reports import load_study
from reports.analysis import test_predictions
from tests.reports.synthetic import Synthetic, write_study


@pytest.fixture(scope="module")
def runs(study_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shared study, which these tests add to."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(study_folder, folder / "small")
    return folder


def call(runs: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--runs-dir", str(runs)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(runs: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--runs-dir", str(runs)])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_a_trial_is_reproduced_exactly(runs: Path, cache_dir: Path) -> None:
    said = call(runs, "reproduce", "small", "1", "--cache-dir", str(cache_dir))
    assert "agrees, exactly" in said


def test_a_disagreement_names_what_differs(runs: Path, cache_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "small", tmp_path / "altered")
    trial_id = load_study(runs / "small").trial("1")["trial_id"]
    path = tmp_path / "altered" / f"trial_{trial_id}" / "result.json"
    result = json.loads(path.read_text())
    result["executions"][0]["history"]["val_accuracy"][0] += 0.2
    path.write_text(json.dumps(result))
    path = tmp_path / "altered" / "study.json"
    record = json.loads(path.read_text())
    record["environment"]["packages"]["keras"] = "3.0.0"
    path.write_text(json.dumps(record))
    arguments = ["reproduce", "altered", "1", "--cache-dir", str(cache_dir)]
    answer = CliRunner().invoke(main, [*arguments, "--runs-dir", str(tmp_path)])
    assert answer.exit_code == 1, answer.output
    assert "does NOT agree" in answer.stdout
    assert "keras: 3.0.0 then" in answer.stdout
    assert "no trial 'nine'" in refused(runs, "reproduce", "small", "nine")


@pytest.mark.usefixtures("without_drawing")
def test_arms_are_confirmed_once_and_compared(runs: Path, cache_dir: Path) -> None:
    arguments = ("compare", "small", "--default", "--seeds", "2", "--cache-dir", str(cache_dir))
    first = call(runs, *arguments)
    assert "best" in first.splitlines()[-1]
    study = load_study(runs / "small")
    assert {record["trial_id"] for record in study.confirmed} >= {"default"}
    # A finalist's trainings that were tested, with what they say of each image, are not repeated.
    winner, other = study.finalists
    assert winner["trial_id"] not in {record["trial_id"] for record in study.confirmed}
    for trial_id in {"default", winner["trial_id"], *(r["trial_id"] for r in study.confirmed)}:
        said = test_predictions.test_predictions(study, trial_id)
        assert said is not None
        tested = test_predictions.tested_runs(study, trial_id)
        assert said.seeds.tolist() == [run["seed"] for run in tested]
        assert len(tested) == 2
    # One that lost the ranking is tested with seeds that took no part in it.
    ranking = {run["seed"] for run in other["ranking"]}
    confirmed = {run["seed"] for record in study.confirmed for run in record["runs"]}
    assert not ranking & confirmed
    uses = study.test_uses
    assert [use["by"] for use in uses] == ["finalists"] + ["compare"] * (len(uses) - 1)
    again = call(runs, *arguments)
    assert "seed " not in again.partition("arm")[0].replace("with 2 seeds", "")
    assert load_study(runs / "small").test_uses == uses
    text = (runs / "small" / "report").glob("compare-best-vs-default.html")
    assert "of another training of its network on other images" in next(text).read_text()


def test_measured_costs_reach_the_report(runs: Path, cache_dir: Path) -> None:
    said = call(runs, "measure", "small", "--top", "2", "--cache-dir", str(cache_dir))
    assert said.count("FLOPs") == 2
    done = load_study(runs / "small").completed
    assert done["latency_ms"].notna().sum() == 2
    assert done["flops"].notna().all()  # every trial notes them


def test_what_was_measured_is_kept_when_a_later_network_fails(
    runs: Path, cache_dir: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "small", tmp_path / "small")
    last = load_study(tmp_path / "small").completed.iloc[-1]["trial_id"]
    path = tmp_path / f"small/trial_{last}/trial.json"
    state = json.loads(path.read_text())
    state["hyperparameters"]["values"]["pooling"] = "none"
    path.write_text(json.dumps(state))
    refused(tmp_path, "measure", "small", "--top", "9", "--cache-dir", str(cache_dir))
    done = load_study(tmp_path / "small").completed
    assert done["latency_ms"].notna().sum() == len(done) - 1


def test_flops_by_hand() -> None:
    inner = keras.Sequential([keras.Input((6, 6, 4)), keras.layers.DepthwiseConv2D(3)])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),  # 6 x 6 outputs of 27 multiplications for 4 filters
            inner,  # 4 x 4 outputs of 9 multiplications for 4 channels
            keras.layers.Flatten(),
            keras.layers.Dense(10),  # 64 x 10
        ]
    )
    assert flops(model) == 2 * (36 * 27 * 4 + 16 * 9 * 4 + 640)


def test_flops_of_mobilenet_against_its_paper() -> None:
    # Sandler et al. 2018, table 4: 300 million multiply-adds, 3.4 million parameters.
    model = keras.applications.MobileNetV2(weights=None)
    assert flops(model) == pytest.approx(2 * 300e6, rel=0.01)


def test_optuna_and_its_dashboard_open_the_export(runs: Path, tmp_path: Path) -> None:
    import optuna

    path = tmp_path / "study.db"
    call(runs, "export", "small", "--to", "optuna", "--out", str(path))
    study = load_study(runs / "small")
    loaded = optuna.load_study(study_name="small", storage=f"sqlite:///{path}")
    assert loaded.best_value == pytest.approx(study.completed.iloc[0]["score"])
    assert loaded.best_trial.user_attrs["trial_id"] == study.completed.iloc[0]["trial_id"]
    assert len(loaded.trials[0].intermediate_values) == 3
    assert "conv_blocks" in loaded.best_params
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    app, said = dashboard.wsgi(f"sqlite:///{path}"), []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "SERVER_NAME": "here",
        "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": sys.stdin,
        "wsgi.errors": sys.stderr,
    }  # fmt: skip
    body = b"".join(app(environ, lambda status, *rest: said.append(status)))
    assert said[0].startswith("200")
    assert json.loads(body)["study_summaries"][0]["study_name"] == "small"


@pytest.mark.parametrize("name", ["what?", "a%20b", "{x}"])
def test_a_database_is_written_to_any_folder(name: str, tmp_path: Path) -> None:
    write_study(tmp_path, Synthetic(3, num_seeds=0))
    out = tmp_path / name / "study.db"
    call(tmp_path, "export", "synthetic", "--to", "optuna", "--out", str(out))
    assert [path.name for path in out.parent.iterdir()] == ["study.db"]
    with closing(sqlite3.connect(out)) as database:
        assert database.execute("SELECT count(*) FROM trials").fetchone() == (3,)


@pytest.mark.parametrize(
    ("to", "part", "at"), [("csv", "csv_of", 1), ("tensorboard", "_write_trial_events", 2)]
)
def test_an_export_that_was_broken_off_is_made_again(
    to: str, part: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(tmp_path, Synthetic(3, num_seeds=0))
    arguments = ["export", "synthetic", "--to", to, "--out", str(tmp_path / "out" / "made")]
    write, calls = getattr(export_study, part), []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == at:
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(export_study, part, interrupted)
    broken = CliRunner().invoke(main, [*arguments, "--runs-dir", str(tmp_path)])
    assert broken.exit_code == 130, broken.output
    assert list((tmp_path / "out").iterdir()) == []
    call(tmp_path, *arguments)
    assert len(list((tmp_path / "out" / "made").iterdir())) >= 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_tensorboard_opens_the_export(runs: Path, tmp_path: Path) -> None:
    from tensorboard import program

    call(runs, "export", "small", "--to", "tensorboard", "--out", str(tmp_path / "events"))
    board = program.TensorBoard()
    board.configure(argv=["", "--logdir", str(tmp_path / "events"), "--port", "0",
                          "--load_fast", "false"])  # fmt: skip
    url = board.launch()
    query = {"startIndex": 0, "sliceSize": 10, "allowedStatuses": ["STATUS_UNKNOWN"],
             "colParams": [{"metric": {"tag": "score"}}]}  # fmt: skip
    experiment = _ask(f"{url}data/plugin/hparams/experiment", {"experimentName": ""})
    assert "learning_rate" in {info["name"] for info in experiment["hparamInfos"]}
    groups = _ask(f"{url}data/plugin/hparams/session_groups", query)["sessionGroups"]
    study = load_study(runs / "small")
    assert len(groups) == len(study.trials)
    values = sorted(group["metricValues"][0]["value"] for group in groups)
    assert values == pytest.approx(sorted(study.trials["score"]), abs=1e-6)


def test_tensorboard_ranks_by_the_scores_of_the_study(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams import api, plugin_data_pb2

    study = load_study(write_study(tmp_path, Synthetic(4, num_failed=0, num_seeds=0)))
    (config,) = export_study.api_config(study, api).value
    content = plugin_data_pb2.HParamsPluginData.FromString(config.metadata.plugin_data.content)
    assert [info.name.tag for info in content.experiment.metric_infos] == ["score"]
    export_study.export_study(study, "tensorboard", tmp_path / "events")
    for _, row in study.trials.iterrows():
        (path,) = (tmp_path / "events" / f"trial_{row['trial_id']}").iterdir()
        events = [(e.step, v) for e in EventFileLoader(str(path)).Load() for v in e.summary.value]
        (score,) = [v.tensor.float_val[0] for step, v in events if (step, v.tag) == (0, "score")]
        assert score == pytest.approx(row["score"])


def _ask(url: str, query: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    for _ in range(50):
        with urllib.request.urlopen(request, timeout=20) as answer:
            found = json.loads(answer.read())
        if found.get("hparamInfos") or found.get("sessionGroups"):
            return found
        import time

        time.sleep(0.2)  # it reads its files in a thread of its own
    raise AssertionError(f"{url} answered {found}")


def test_csv_and_json(runs: Path, tmp_path: Path) -> None:
    call(runs, "export", "small", "--to", "csv", "--out", str(tmp_path / "tables"))
    table = (tmp_path / "tables" / "trials.csv").read_text()
    assert len(table.splitlines()) == 4
    rows = list(csv.DictReader(table.splitlines()))
    epochs = [row["epochs"] for row in rows]
    assert all(number.isdecimal() for number in epochs), epochs  # not 3.0
    call(runs, "export", "small", "--to", "json", "--out", str(tmp_path / "study.json"))
    content = json.loads((tmp_path / "study.json").read_text())
    assert len(content["trials"]["rows"]) == 3
    assert len(content["epochs"]["rows"]) == 9
    taken = refused(runs, "export", "small", "--to", "csv", "--out", str(tmp_path / "tables"))
    assert "exists already" in taken


def test_json_holds_every_value_as_it_was_recorded(tmp_path: Path) -> None:
    folder = write_study(tmp_path, Synthetic(4, num_seeds=0))
    path = folder / f"trial_{load_study(folder).completed['trial_id'].iloc[0]}" / "result.json"
    result = json.loads(path.read_text())
    result |= {"score": 1234.0123456789012, "flops": 2.0, "features": {"parts": ["base"]}}
    result["executions"][0] |= {"score": 1 / 3, "seconds": {"fit": 0.123}}
    path.write_text(json.dumps(result))
    call(tmp_path, "export", "synthetic", "--to", "json", "--out", str(tmp_path / "study.json"))
    text, study = (tmp_path / "study.json").read_text(), load_study(folder)
    trials = json.loads(text, parse_constant=pytest.fail)["trials"]
    assert trials["columns"] == list(study.trials.columns)
    rows = [dict(zip(trials["columns"], row, strict=True)) for row in trials["rows"]]
    failed = next(row for row in rows if row["status"] == "failed")
    assert (failed["score"], failed["scores"]) == (None, [])
    assert failed["traceback"] == study.trial(failed["trial_id"])["traceback"]
    row = next(row for row in rows if row["trial_id"] == path.parent.name.removeprefix("trial_"))
    assert row["learning_rate"] == study.trial(row["trial_id"])["learning_rate"]
    assert (row["score"], row["scores"][0]) == (1234.0123456789012, 1 / 3)
    assert (row["step_seconds"], row["kept_parts"]) == ({"fit": 0.123}, ["base"])
    assert str(row["flops"]) == "2.0"
    few = [row["filters_1"] for row in rows if row["conv_blocks"] == 1]
    assert set(few) == {None}
    assert all(isinstance(row["filters_1"], int) for row in rows if row["conv_blocks"] > 1)


def test_a_model_that_says_something_else_is_not_kept(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from experiments.studies import export_model

    wrong = Runner(lambda images: np.zeros((len(images), 10)), (None, 8, 8, 1))
    monkeypatch.setattr(export_model, "RUNNERS", {"saved_model": lambda path: wrong})
    out = tmp_path / "model"
    said = refused(runs, "export", "small", "--model", "saved_model", "--out", str(out))
    assert "does not predict as Keras does" in said
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "small"], "say what to export"),
        (["export", "small", "--to", "excel"], "unknown format 'excel'"),
        (["export", "small", "--model", "coreml"], "unknown model format"),
        (["report", "small", "--next", "/proc/nowhere/next.toml"], "/proc"),
        (["compare", "small", "--by", "nothing"], "no such hyperparameter"),
    ],
)
def test_bad_input_is_one_line(runs: Path, arguments: list[str], words: str) -> None:
    assert words in refused(runs, *arguments)
