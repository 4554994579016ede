"""Trials of fewer epochs, and trials that continue others: counted from the first epoch."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from benchmarks.simulated import Simulation
from experiments.finalists.choose import finalists
from experiments.methods.oracles.optuna_oracle import OptunaOracle
from experiments.record.fidelity import is_left_behind
from experiments.record.objective import Objective
from experiments.training.recorder import EpochRecorder
from experiments.training.snapshot import Snapshot, read_snapshot, write_snapshot
from experiments.training.task import Answer, Execution, append
from reports import load_study
from reports.analysis.networks import networks, population

NAME = "val_accuracy"


def test_a_trial_of_an_early_round_is_no_finalist(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path / "study", method="hyperband", max_trials=30, epochs=9)
    driver, _ = simulation.run()
    trials = driver._oracle.trials
    short = [t for t in trials.values() if t.hyperparameters.values["tuner/epochs"] < 9]
    assert short
    for trial in short:  # as luck may have it
        trial.score = 2.0
    assert all(is_left_behind(trial) for trial in short)
    found = finalists(driver._oracle, 3)
    assert len(found) == 3
    assert {t.hyperparameters.values["tuner/epochs"] for t in found} == {9}


def test_trials_of_before_more_epochs_come_after_those_that_had_them(tmp_path: Path) -> None:
    before = Simulation(tmp_path / "study", max_trials=6, epochs=2)
    before.run()
    driver, _ = replace(before, max_trials=9, epochs=8).run()
    trials = driver._oracle.trials
    for trial_id in ("0000", "0001"):
        trials[trial_id].score = 2.0 + int(trial_id)
    order = [trial.trial_id for trial in finalists(driver._oracle, 9)]
    assert sorted(order[:3]) == ["0006", "0007", "0008"]
    assert order[3:5] == ["0001", "0000"]  # they are ranked, after them
    again, _ = replace(before, max_trials=9, epochs=8).run()  # rebuilt from the files
    again._oracle.trials["0000"].score = 2.0
    assert {t.trial_id for t in finalists(again._oracle, 3)} == {"0006", "0007", "0008"}


def test_reports_compare_after_equal_epochs(tmp_path: Path) -> None:
    before = Simulation(tmp_path / "study", max_trials=6, epochs=2)
    before.run()
    replace(before, max_trials=9, epochs=8).run()
    stated = {"objective": {"name": NAME, "direction": "max"}, "ended": 1.0}
    (before.folder / "study.json").write_text(json.dumps(stated))
    study = load_study(before.folder)
    assert list(networks(study)["status"]) == ["fewer"] * 6 + ["completed"] * 3
    assert population(study).epoch == 2
    assert len(population(study).frame) == 9


def test_epochs_in_messages_are_those_of_the_network(tmp_path: Path) -> None:
    simulation = Simulation(
        tmp_path / "study", method="tpe", max_trials=60, epochs=27, pruner="asha"
    )
    simulation.run()
    found = 0
    for path in simulation.folder.glob("trial_*/result.json"):
        result, trial = (json.loads(p.read_text()) for p in (path, path.with_name("trial.json")))
        if result["status"] == "pruned" and result["initial_epoch"]:
            epochs = result["initial_epoch"] + len(result["executions"][0]["epoch_seconds"])
            assert trial["message"] == f"pruned after {epochs} epochs"
            found += 1
    assert found


def test_a_promoted_trial_is_as_good_as_it_was_at_its_promotion(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    options: dict[str, Any] = {"pruner": "asha", "max_epochs": 9, "seed": 1}
    made = OptunaOracle(
        "qmc", objective=keras_tuner.Objective("s", "max"), hyperparameters=hp, **options
    )
    made.verbose = 0
    made._set_project_dir(str(tmp_path), "project")

    def feed(scores: list[float], begin: int = 0) -> Any:
        trial = made.create_trial("one")
        for step, score in enumerate(scores, begin):
            made.update_trial(trial.trial_id, {"s": score}, step=step)
        trial.status = "COMPLETED"
        trial.message = "pruned" if begin + len(scores) < 9 else None
        made.end_trial(trial)
        return trial

    feed([0.5] * 9)
    for level in (0.4, 0.1, 0.1, 0.1, 0.1):
        feed([level])
    promoted = feed([0.2, 0.3], begin=1)
    assert promoted.hyperparameters.values["tuner/trial_id"] == "0001"
    assert made._halving is not None
    assert made._halving._reached(promoted, made.trials) == {2: 0.4, 3: 0.4}


class MemoryStore:
    """Holds a record as the real one does, and keeps what it is given in memory."""

    keeps_last = False

    def __init__(self, own: Snapshot | None = None) -> None:
        self.own = own
        self.execution = own.execution if own else Execution(1)
        self.measured = list(own.measured) if own else []
        self.kept: list[Snapshot] = []

    def add(self, metrics: Mapping[str, float]) -> None:
        append(self.execution.history, metrics, len(self.execution.epoch_seconds))
        self.measured.append(list(metrics))

    def is_due(self) -> bool:
        return True

    def keep(self, snapshot: Snapshot) -> None:
        self.kept.append(snapshot)


class Model:
    """Has no weights."""

    weights, variables = (), ()
    stop_training = False

    class optimizer:  # noqa: N801
        variables = ()


def recorder(snapshots: MemoryStore, answers: Any = None, **options: Any) -> EpochRecorder:
    made = EpochRecorder(
        Objective(NAME, "max"), snapshots, answers or (lambda e, m: Answer.GO), **options
    )
    made.set_model(Model())
    return made


def train(made: EpochRecorder, scores: list[float], begin: int = 0) -> int:
    """Trains until it is told to stop; returns the number of epochs."""
    for count, score in enumerate(scores, 1):
        made.on_epoch_begin(begin + count - 1)
        made.on_epoch_end(begin + count - 1, {NAME: score, "loss": 1.0, "val_loss": 1.0})
        if made.model.stop_training:
            return count
    return len(scores)


def origin(scores: list[float], **facts: Any) -> Snapshot:
    execution = Execution(1, {NAME: scores}, epoch_seconds=[1.0] * len(scores))
    first = facts.pop("initial_epoch", 0)
    same: dict[str, Any] = {"phase": 0, "phase_start": 0, "best": []} | facts
    same["measured"] = [[NAME]] * len(scores)
    return Snapshot(execution, first, first + len(scores), variables=[], optimizer=[], **same)


@pytest.mark.parametrize(
    ("counts_before", "expected"),
    [(True, 2), (False, 4)],  # as it was: the first epoch was a better one, by itself
)
def test_patience_counts_from_before_a_promotion(counts_before: bool, expected: int) -> None:
    taken_up = origin([0.9, 0.5])  # one epoch without a better one
    made = recorder(MemoryStore(), patience=3, counts_before=counts_before)
    made.begin(taken_up)
    made.begin_phase(0, 0, Model(), taken_up)
    assert train(made, [0.6] * 9, begin=2) == expected


def test_patience_counts_over_two_promotions(tmp_path: Path) -> None:
    first = origin([0.9, 0.5])
    snapshots = MemoryStore()
    made = recorder(snapshots, patience=9)
    made.begin(first)
    made.begin_phase(0, 0, Model(), first)
    train(made, [0.6, 0.6], begin=2)
    write_snapshot(tmp_path / "snapshot-0.npz", snapshots.kept[-1])
    second = read_snapshot(tmp_path / "snapshot-0.npz")
    assert second is not None
    assert second.before == (0.9, 0.5)
    made = recorder(MemoryStore(), patience=4)
    made.begin(second)
    made.begin_phase(0, 0, Model(), second)
    assert train(made, [0.6] * 9, begin=4) == 1
    made = recorder(MemoryStore(), patience=4)  # another phase begins: its patience is its own
    made.begin(second)
    made.begin_phase(1, 1, Model(), None)
    assert train(made, [0.6] * 9, begin=4) == 5


@pytest.mark.parametrize("decided", [True, False])
def test_what_was_decided_before_a_rebuild_is_not_decided_again(decided: bool) -> None:
    own = origin([0.5, 0.6, 0.7], decided=decided)
    asked: list[int] = []

    def others_are_better_by_now(epoch: int, metrics: Any) -> Answer:
        asked.append(epoch)
        return Answer.STOP

    made = recorder(MemoryStore(own), others_are_better_by_now)
    made.begin(own)
    assert asked == [0, 1, 2]  # all are told to the oracle, which has forgotten them
    assert made.answer == (Answer.GO if decided else Answer.STOP)


def test_a_snapshot_says_that_the_training_was_told_to_go_on() -> None:
    snapshots = MemoryStore()
    answers = iter([Answer.GO, Answer.PAUSE])
    made = recorder(snapshots, lambda epoch, metrics: next(answers))
    train(made, [0.5, 0.6])
    made.on_train_end()
    assert [(s.epochs, s.decided) for s in snapshots.kept] == [(1, True), (2, False)]
