"""Promoted trials are reproduced through the trials that they continued."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from experiments import SearchConfig, UserError, run_search
from experiments.cli.main import main
from experiments.studies.reopen import open_study
from experiments.studies.reproduce import _largest, reproduce
from experiments.training.task import Execution
from reports import load_study
from tests.one_structure import STRUCTURE
from tests.search_spaces.test_bases import own_backbone

pytestmark = pytest.mark.usefixtures("without_report")


def searched(runs: Path, cache_dir: Path, **options: Any) -> Path:
    config = SearchConfig(
        "mnist_cnn", dataset="digits", sample=150, name="s", confirm=0, runs_dir=str(runs),
        cache_dir=str(cache_dir), fix=STRUCTURE, starting_points=False, patience=None, **options,
    )  # fmt: skip
    return run_search(config).folder


def values_of(study: Path, trial_id: str) -> dict[str, Any]:
    record = json.loads((study / f"trial_{trial_id}" / "result.json").read_text())
    values: dict[str, Any] = record["hyperparameters"]
    return values


@pytest.mark.parametrize(
    ("recorded", "again", "largest"),
    [
        ([0.5, 0.25], [0.5, 0.5], 0.25),
        ([0.5, math.nan], [0.5, math.nan], 0.0),
        ([0.5, 0.5], [0.5, math.nan], math.inf),
        ([math.nan, 0.5], [0.5, 0.5], math.inf),
        ([], [], math.inf),
        ([0.5], [0.5, 0.5], math.inf),
    ],
)
def test_only_what_was_compared_agrees(
    recorded: list[float], again: list[float], largest: float
) -> None:
    made = Execution(seed=0, history={"val_loss": again})
    assert _largest([{"history": {"val_loss": recorded}}], [made], "val_loss") == largest


@pytest.mark.parametrize(
    "options",
    [
        {"method": "hyperband", "max_trials": 6, "max_epochs": 4},
        # The second one is stopped beside the first, and promoted once six have come so far.
        {
            "method": "tpe",
            "pruner": "asha",
            "max_trials": 7,
            "max_epochs": 3,
            "try_default": False,
            "tries": [{"learning_rate": r} for r in (1e-2, 8e-3, 1e-4, 1.1e-4, 1.2e-4, 1.3e-4)],
        },
    ],
)
def test_a_promoted_trial_is_trained_through_its_origins(
    options: dict[str, Any], tmp_path: Path, cache_dir: Path
) -> None:
    study = searched(tmp_path, cache_dir, **options)
    ids = [path.name.removeprefix("trial_") for path in sorted(study.glob("trial_*"))]
    promoted = [i for i in ids if "tuner/trial_id" in values_of(study, i)]
    assert promoted
    last = promoted[-1]
    origin = values_of(study, last)["tuner/trial_id"]
    call = ["reproduce", "s", last, "--runs-dir", str(tmp_path), "--cache-dir", str(cache_dir)]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert f"trial {last} agrees, exactly" in result.output
    assert f"trained through trial {origin}, as it was" in result.output
    # A promoted trial is not what its own seeds would have made of it from the first epoch on.
    path = study / f"trial_{origin}" / "result.json"
    record = json.loads(path.read_text())
    record["executions"][0]["seed"] += 1
    path.write_text(json.dumps(record))
    assert not reproduce(open_study(load_study(study)), last, tolerance=0).agrees
    record["status"], record["executions"] = "failed", []
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match=f"trial {origin} was not completed"):
        reproduce(open_study(load_study(study)), last)


@pytest.mark.slow
def test_a_trial_that_was_stopped_after_a_phase_ended_early_is_reproduced(
    tmp_path: Path, cache_dir: Path
) -> None:
    config = SearchConfig(
        "transfer_head", dataset="digits", sample=150, name="s", confirm=0, max_trials=1,
        max_epochs=6, patience=1, method="random", runs_dir=str(tmp_path),
        cache_dir=str(cache_dir),
        settings={"base": own_backbone(tmp_path / "mine.keras"), "image_size": "32"},
        fix={"unfreeze": True, "unfreeze_from": "stage2", "learning_rate": 1e-4},
    )  # fmt: skip
    study = run_search(config).folder
    path = study / "trial_0000" / "result.json"
    record = json.loads(path.read_text())
    (execution,) = record["executions"]
    assert 3 < len(execution["epoch_seconds"]) < 6  # else no phase ended early
    # As if a pruner had stopped it after its last epoch.
    record["status"] = "pruned"
    path.write_text(json.dumps(record))
    found = reproduce(open_study(load_study(study)), "0000")
    assert found.agrees, found.text
