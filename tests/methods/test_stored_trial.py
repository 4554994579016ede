"""Trials of earlier sessions: equal to those that Keras Tuner makes of their files, but cheaper."""

import json
from pathlib import Path
from typing import Any

import pytest
from keras_tuner.engine import trial as trial_module

from benchmarks.simulated import Simulation
from experiments.methods.oracles.stored_trial import StoredTrial, TrialReader
from experiments.record.errors import UserError


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of three trials that have ended."""
    folder = tmp_path_factory.mktemp("study")
    Simulation(folder, max_trials=3, epochs=2).run()
    return sorted(folder.glob("trial_*/trial.json"))


def read(reader: TrialReader, path: Path) -> Any:
    return reader.trial(json.loads(path.read_text()), path)


def test_it_is_what_keras_tuner_makes_of_the_file(paths: list[Path]) -> None:
    reader = TrialReader()
    for path in paths:
        trial = read(reader, path)
        expected = trial_module.Trial.from_state(json.loads(path.read_text()))
        assert isinstance(trial, StoredTrial)
        assert trial.get_state() == expected.get_state()
        assert trial.metrics.get_history("val_accuracy") == expected.metrics.get_history(
            "val_accuracy"
        )


def test_spaces_are_shared_and_epochs_are_read_when_asked_for(
    paths: list[Path], tmp_path: Path
) -> None:
    reader = TrialReader()
    copies = [tmp_path / path.parent.name for path in paths]
    for copy, path in zip(copies, paths, strict=True):
        copy.write_text(path.read_text())
    one, two, _ = [read(reader, copy) for copy in copies]
    assert all(
        a is b for a, b in zip(one.hyperparameters.space, two.hyperparameters.space, strict=True)
    )
    copies[0].unlink()
    assert one.score is not None  # nothing of it needs the file
    with pytest.raises(UserError, match="can't be read"):
        _ = one.metrics
    metrics = two.metrics
    copies[1].unlink()
    assert two.metrics is metrics


def test_what_one_trial_gets_the_others_do_not(paths: list[Path]) -> None:
    reader = TrialReader()
    one, two, _ = [read(reader, path) for path in paths]
    one.hyperparameters.Int("more", 1, 3)
    one.hyperparameters.values["units"] = 1
    assert "more" not in two.hyperparameters
    assert "more" not in [hp.name for hp in two.hyperparameters.space]
    assert two.hyperparameters.values["units"] != 1
    assert "more" not in read(reader, paths[2]).hyperparameters


def test_a_trial_of_another_space_has_its_own(paths: list[Path], tmp_path: Path) -> None:
    reader = TrialReader()
    first = read(reader, paths[0])
    state = json.loads(paths[1].read_text())
    state["hyperparameters"]["space"][0]["config"]["max_value"] = 1.0
    other = reader.trial(state, paths[1])
    assert other.hyperparameters.space[0].max_value == 1.0
    assert first.hyperparameters.space[0].max_value == 0.1
    assert read(reader, paths[2]).hyperparameters.space[0].max_value == 0.1


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state["metrics"]["metrics"]["val_accuracy"].pop("direction"),
        lambda state: state["metrics"]["metrics"]["val_accuracy"]["observations"][0].pop("step"),
        lambda state: state["metrics"].update(metrics=[1]),
        lambda state: state["hyperparameters"].pop("values"),
        lambda state: state.pop("best_step"),
    ],
)
def test_damage_shows_when_it_is_read_not_when_it_is_asked_for(
    paths: list[Path], damage: Any
) -> None:
    state = json.loads(paths[0].read_text())
    damage(state)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        TrialReader().trial(state, paths[0])


def test_one_that_has_not_ended_is_keras_tuners_own(paths: list[Path]) -> None:
    state = json.loads(paths[0].read_text()) | {"status": "RUNNING"}
    assert type(TrialReader().trial(state, paths[0])) is trial_module.Trial
