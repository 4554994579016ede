"""Where a search's time went, by step, and what kept features saved."""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.figures import time_spent
from reports.study.load import load_study
from tests.reports.synthetic import Synthetic, write_study

_POOLED = "MobileNetV2 1, pooled"


def studied(folder: Path, **plan: Any) -> Path:
    return write_study(folder, Synthetic(num_failed=0, num_seeds=0, **plan))


def edit(folder: Path, trial: int, steps: dict[str, Any], seconds: float, parts: list[str]) -> None:
    path = sorted(folder.glob("trial_*"))[trial] / "result.json"
    result = json.loads(path.read_text())
    result["executions"][0]["seconds"] = steps
    result["seconds"] = seconds
    result["features"] = {"cached": bool(parts), "parts": parts}
    path.write_text(json.dumps(result))


def test_steps_add_up_to_the_time_of_the_trials(tmp_path: Path) -> None:
    folder = studied(tmp_path, num_trials=2, num_epochs=4)
    steps = {"build": 1.0, "clear": 0.5, "features": 20.0, "fit": 6.0, "evaluate": 2.0}
    edit(folder, 0, steps, 30.0, [_POOLED])
    edit(folder, 1, steps | {"features": 0.0}, 9.0, [_POOLED])
    found = time_spent.info(load_study(folder))
    assert not isinstance(found, str)
    assert found.seconds == pytest.approx(
        {"features": 20.0, "training": 8.0, "validation": 4.0, "building": 3.0, "the rest": 4.0}
    )
    assert next(iter(found.seconds)) == "features"
    assert (found.num_trials, found.num_reused) == (2, 1)
    assert found.saved == pytest.approx(2 * 4 * 20.0 - 20.0)  # two trials of 4 epochs
    said = time_spent.finding(found)
    assert said.startswith("2 trials took 39.0 s of the workers' time, 51% of it for features.")
    assert "1 trial trained on features that were there" in said
    assert "some 2.3 min more" in said


def test_nothing_is_claimed_of_features_where_there_are_none(tmp_path: Path) -> None:
    folder = studied(tmp_path, num_trials=3)
    found = time_spent.info(load_study(folder))
    assert not isinstance(found, str)
    assert (found.num_reused, found.saved) == (0, 0)
    assert "features" not in time_spent.finding(found)


@pytest.mark.parametrize("steps", [{"fit": "long"}, {"fit": -5.0}, ["fit"], None, {}])
def test_steps_that_are_no_seconds_are_left_out(steps: Any, tmp_path: Path) -> None:
    folder = studied(tmp_path, num_trials=1)
    edit(folder, 0, steps, 9.0, [])
    assert time_spent.info(load_study(folder)) == "Seconds by step are not recorded."


def test_an_index_keeps_them(tmp_path: Path) -> None:
    folder = studied(tmp_path, num_trials=40)
    edit(folder, 3, {"features": 2.0004, "fit": 1.0}, 4.0, [_POOLED])
    for _ in range(2):  # from the files, then from the index
        trials = load_study(folder).trials
        row = trials[trials["number"] == 4].iloc[0]
        assert row["step_seconds"]["features"] == pytest.approx(2.0, abs=1e-3)
        assert row["kept_parts"] == (_POOLED,)
