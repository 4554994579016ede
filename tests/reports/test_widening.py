"""The next search: a range whose end holds the optimum is wider in it, and it runs as written."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.config import SearchConfig
from experiments.hyperparameters.ranges import searched_space
from reports import load_study
from reports.analysis.health import health
from reports.analysis.widening import wider
from search_spaces.mnist_cnn import MnistCnn
from tests.reports import synthetic
from tests.reports.synthetic import Synthetic, write_study


def number(low: float, high: float, **options: Any) -> dict[str, Any]:
    return {"kind": "Float", "min_value": low, "max_value": high} | options


@pytest.mark.parametrize(
    ("hp", "lower", "upper"),
    [
        (number(1e-4, 1e-2, sampling="log"), "1e-05:0.01", "0.0001:0.1"),
        (number(1e-4, 1e-3, sampling="log"), "3.16227766e-05:0.001", "0.0001:0.00316227766"),
        (number(1e-6, 1, sampling="log"), "1e-07:1", "1e-06:10"),
        (number(0.0, 0.5, step=0.1), None, "0:0.7"),
        (number(0.0, 0.6, step=0.1), None, "0:0.9"),
        (number(0.5, 0.9, step=0.1), "0.3:0.9", None),  # a share: 1 would be all of it
        (number(0.2, 0.8), "0.1:0.8", "0.2:0.9"),
        (number(0.0, 2.0), None, "0:3"),
        (number(-2.0, 2.0), "-4:2", "-2:4"),
        (number(16, 64, kind="Int", sampling="log", step=2), "8:64", "16:128"),
        (number(1, 4, kind="Int", sampling="log", step=2), None, "1:8"),
        (number(3, 12, kind="Int", sampling="log", step=2), None, "3:24"),
        (number(10, 1000, kind="Int", sampling="log"), "1:1000", "10:10000"),
        (number(1, 3, kind="Int", step=1), None, "1:4"),
        (number(64, 256, kind="Int", step=64), None, "64:384"),
        (number(128, 256, kind="Int", step=64), "64:256", "128:320"),
        (number(0, 1, kind="Int", step=1), None, "0:2"),
        (number(2.0, 2.0), None, None),
    ],
)
def test_how_far_a_range_is_widened(
    hp: dict[str, Any], lower: str | None, upper: str | None
) -> None:
    assert (wider(hp, "lower"), wider(hp, "upper")) == (lower, upper)


def at_the_edge(runs: Path, **config: Any) -> Path:
    """A study of the real space whose best learning rates lie at the upper end of the range."""
    space = [hp for hp in synthetic.SPACE if hp["name"] != "learning_rate"]
    rate = next(hp for hp in synthetic.SPACE if hp["name"] == "learning_rate")
    narrow = rate | {"min_value": 1e-6, "max_value": 1e-2}
    record = synthetic._record(Synthetic(num_trials=40))
    changes = {"space": [narrow, *space], "config": record["config"] | config}
    return write_study(runs, Synthetic(num_trials=40, num_failed=0, changes=changes))


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    folder = at_the_edge(tmp_path / "runs", method="tpe")
    keep_below(folder, 1e-2)
    return folder


def keep_below(folder: Path, most: float) -> None:
    """Makes the learning rates of the record end at `most`, the best ones at it."""
    for path in folder.glob("trial_*/*.json"):
        record = json.loads(path.read_text())
        values = record.get("hyperparameters", {}).get("values")
        if values is not None:
            values["learning_rate"] = min(values["learning_rate"], most)
            values["dropout"] = round(values["dropout"], 1)  # the real space has steps
            record["score"] = 0.9 + values["learning_rate"]
            path.write_text(json.dumps(record))
    for path in folder.glob("trial_*/result.json"):
        record = json.loads(path.read_text())
        state = json.loads(path.with_name("trial.json").read_text())
        record["score"] = state["score"]
        path.write_text(json.dumps(record))


def test_the_next_search_is_wider_and_knows_the_trials_of_this_one(
    edge: Path, tmp_path: Path
) -> None:
    found = [f for f in health(load_study(edge)) if f.ranges]
    assert [f.ranges for f in found] == [{"learning_rate": "1e-06:0.1"}]
    assert found[0].advice == "widen it: --range learning_rate=1e-06:0.1"
    path = tmp_path / "next.toml"
    arguments = ["report", edge.name, "--runs-dir", str(edge.parent), "--next", str(path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    again = CliRunner().invoke(main, arguments)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    options = tomllib.loads(path.read_text())
    assert options["ranges"]["learning_rate"] == "1e-06:0.1"
    assert (options["sources"], options["try_default"]) == ([str(edge)], False)
    space = searched_space(MnistCnn((28, 28, 1), 10), SearchConfig(**options))
    assert next(h for h in space.space if h.name == "learning_rate").max_value == 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_the_next_search_runs_as_written(edge: Path, tmp_path: Path, cache_dir: Path) -> None:
    path = tmp_path / "next.toml"
    call = CliRunner().invoke
    call(main, ["report", str(edge), "--next", str(path)])
    small = ["--max-trials", "1", "--max-epochs", "1", "--sample", "100", "--confirm", "0"]
    here = ["--runs-dir", str(tmp_path / "new"), "--cache-dir", str(cache_dir), "--workers", "0"]
    result = call(main, ["search", "--config", str(path), *small, *here])
    assert result.exit_code == 0, result.output
    assert f"--from {edge}: 40 trials used" in result.output


def test_what_others_depend_on_is_not_widened_and_methods_that_learn_nothing_get_no_trials(
    tmp_path: Path,
) -> None:
    folder = at_the_edge(tmp_path / "runs")
    study = load_study(folder)
    assert not [f for f in health(study) if "conv_blocks" in f.ranges]
    path = tmp_path / "next.toml"
    CliRunner().invoke(main, ["report", str(folder), "--next", str(path)])
    assert "sources" not in tomllib.loads(path.read_text())
