"""Which weights stay: among equal trials existing ones, and full trainings before stopped ones."""

import json
import math
from pathlib import Path

import pytest

from experiments.record.layout import CHECKPOINT
from experiments.record.objective import Objective
from experiments.search.retention import Retention
from experiments.studies.free_disk import free_disk
from tests.reports.synthetic import Synthetic, write_study


def weights(folder: Path, *trials: str) -> None:
    for trial_id in trials:
        place = folder / f"trial_{trial_id}"
        place.mkdir(exist_ok=True)
        (place / CHECKPOINT).write_bytes(b"weights")


def kept(folder: Path) -> list[str]:
    return sorted(path.parent.name[6:] for path in folder.glob(f"trial_*/{CHECKPOINT}"))


def retention(folder: Path, num_kept: int) -> Retention:
    return Retention(folder, Objective("val_accuracy", "max"), num_kept)


def test_of_tied_trials_those_stay_that_have_weights(tmp_path: Path) -> None:
    # Four are equal; with two workers 3 and 1 ended before 0 and 2, so theirs were kept.
    weights(tmp_path, "3", "1")
    made = retention(tmp_path, 2)
    made.recall([(trial_id, 0.9, [0.9]) for trial_id in "0123"])
    assert kept(tmp_path) == ["1", "3"]


def test_a_trial_that_was_stopped_early_gives_way(tmp_path: Path) -> None:
    made = retention(tmp_path, 1)
    weights(tmp_path, "0")
    made.ended("0", 0.95, None)
    assert made.score_to_beat() is None
    assert made.score_to_beat(stopped=True) == 0.95
    weights(tmp_path, "1")
    made.ended("1", 0.7, [0.7])
    assert kept(tmp_path) == ["1"]
    assert made.score_to_beat() == 0.7
    assert made.score_to_beat(stopped=True) == math.inf
    weights(tmp_path, "2")
    made.ended("2", 0.99, None)
    assert kept(tmp_path) == ["1"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Three trials with weights: 0 and 1 whole, 2 stopped early with the best score."""
    folder = write_study(tmp_path, Synthetic(num_trials=3, num_failed=0, num_seeds=0))
    for trial_id, score, message in ((0, 0.8, None), (1, 0.9, None), (2, 0.99, "pruned after 1")):
        path = folder / f"trial_{trial_id}" / "trial.json"
        state = json.loads(path.read_text()) | {"score": score, "message": message}
        path.write_text(json.dumps(state))
        weights(folder, str(trial_id))
    return folder


def test_prune_keeps_the_best_of_the_whole_trials(study: Path) -> None:
    free_disk(study, 1)
    assert kept(study) == ["1"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_prune_ranks_as_finalists_are_chosen(number: int, study: Path) -> None:
    rounds = {"tuner/bracket": 1, "tuner/round": 0}
    for trial_id, score, values in (("0", 0.97, rounds), ("1", 0.9, {})):
        path = study / f"trial_{trial_id}" / "trial.json"
        state = json.loads(path.read_text()) | {"score": score}
        state["hyperparameters"]["values"] |= values
        path.write_text(json.dumps(state))
        path = path.with_name("result.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | {"score": score}))
    free_disk(study, number)
    assert kept(study) == sorted(["1", "0", "2"][:number])


@pytest.mark.parametrize("number", [1, 2])
def test_prune_keeps_trials_of_more_epochs_first(number: int, study: Path) -> None:
    for trial_id, epochs in (("0", 8), ("1", 2)):
        path = study / f"trial_{trial_id}" / "result.json"
        result = json.loads(path.read_text()) | {"asked": {"epochs": epochs}}
        path.write_text(json.dumps(result))
    free_disk(study, number)
    assert kept(study) == ["0", "1"][:number]


def test_prune_keeps_what_a_script_asks_for(study: Path) -> None:
    path = study / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"script": {"file": None}}))
    free_disk(study, 1)
    assert kept(study) == ["2"]


def test_prune_keeps_of_equal_trials_one_that_has_weights(study: Path) -> None:
    path = study / "trial_0" / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 0.9}))
    (study / "trial_0" / CHECKPOINT).unlink()
    free_disk(study, 1)
    assert kept(study) == ["1"]


def test_of_tied_trials_the_first_keeps_its_weights_whichever_ends_first(tmp_path: Path) -> None:
    made = retention(tmp_path, 1)
    for trial_id in ("10", "9"):  # with two workers
        weights(tmp_path, trial_id)
        made.ended(trial_id, 0.9, [0.9])
    assert kept(tmp_path) == ["9"]
    made.ended("8", 0.9, [0.9])  # its score was not enough for weights to be written
    assert kept(tmp_path) == ["9"]
