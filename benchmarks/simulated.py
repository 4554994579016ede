"""Searches on simulated trials: all of the machinery, a formula instead of training."""

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.display.base import Display
from experiments.record.files import atomic
from experiments.training.task import Answer, Execution, TrialResult


@dataclass(frozen=True)
class SimulatedTask:
    """A trial whose epochs take a given time.

    Args:
        trial_id: The trial.
        values: Its hyperparameters.
        epochs: Epochs to reach.
        state: File that holds the epochs done, to resume from; none is kept if `None`.
        start: State of the trial that it continues.
        seconds: Seconds of an epoch.
        log: File that gets a line for every epoch that is run.
    """

    trial_id: str
    values: Mapping[str, Any]
    epochs: int
    state: str | None = None
    start: str | None = None
    seconds: float = 0.0
    log: str | None = None


def score(values: Mapping[str, Any], epoch: int) -> float:
    """Returns what a trial with `values` has reached after `epoch` epochs; at most about 1."""
    peak = 1 - 0.1 * abs(math.log10(float(values["learning_rate"])) + 2.5)
    peak -= 0.05 * (values["units"] < 64) + 0.02 * bool(values.get("extra") == 3)
    return peak * (1 - math.exp(-0.5 * epoch))


def train(task: SimulatedTask, report: Any, note: Any = None) -> TrialResult:
    """Runs a simulated trial; resumes from its state if there is one."""
    before = _read(task.start)["epochs"] if task.start else 0
    own = _read(task.state)
    history, first = list(own["history"]), int(own.get("first", before))
    result = TrialResult(initial_epoch=first)
    answer = Answer.GO
    for index, value in enumerate(history):  # as training does: the driver has not kept them
        answer = report(0, first + index, {"val_accuracy": value})
    if answer != Answer.GO and first + len(history) < task.epochs:
        result.status = "pruned" if answer == Answer.STOP else "paused"
    while answer == Answer.GO and first + len(history) < task.epochs:
        epoch = first + len(history)
        time.sleep(task.seconds)
        if task.log:
            with open(task.log, "a", encoding="utf-8") as log:
                log.write(f"{task.trial_id} {epoch} {os.getpid()}\n")
        history.append(score(task.values, epoch + 1))
        _write(task.state, {"epochs": epoch + 1, "first": first, "history": history})
        answer = report(0, epoch, {"val_accuracy": history[-1]})
        if answer == Answer.PAUSE and epoch + 1 < task.epochs:
            result.status = "paused"
            break
        if answer == Answer.STOP:
            result.status = "pruned"
            break
    result.executions = [_execution(history, task.seconds)]
    return result


def _execution(history: list[float], seconds: float) -> Execution:
    best = max(range(len(history)), key=lambda index: history[index], default=0)
    return Execution(
        seed=0,
        history={"val_accuracy": history},
        best_epoch=best,
        score=history[best] if history else None,
        epoch_seconds=[seconds] * len(history),
    )


def _read(path: str | None) -> dict[str, Any]:
    try:
        return dict(json.loads(Path(str(path)).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {"epochs": 0, "history": []}


def _write(path: str | None, state: dict[str, Any]) -> None:
    if path:
        with atomic(Path(path)) as temporary:
            temporary.write_text(json.dumps(state), encoding="utf-8")


def space() -> Any:
    """Returns a space of four hyperparameters, one of them conditional."""
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("units", [16, 32, 64, 128])
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Int("extra", 1, 3)
    return hp


class SimulatedSource:
    """Makes simulated tasks of an oracle's trials.

    Args:
        oracle: The oracle.
        folder: The study folder.
        epochs: Epochs of a trial, where the method does not decide.
        seconds: Seconds of an epoch.
        keeps_state: Whether trials can be resumed.
    """

    def __init__(
        self, oracle: Any, folder: Path, epochs: int, seconds: float, keeps_state: bool = True
    ) -> None:
        self.oracle = oracle
        self.log = folder / "epochs.log"
        self._folder, self._epochs, self._seconds = folder, epochs, seconds
        self._keeps_state = keeps_state

    def _state(self, trial_id: str) -> str:
        return str(self._folder / f"trial_{trial_id}" / "state.json")

    def task(self, trial: Any) -> Any:
        """Returns the task of a trial."""
        values = dict(trial.hyperparameters.values)
        origin = values.get("tuner/trial_id")
        return SimulatedTask(
            trial.trial_id,
            values,
            int(values.get("tuner/epochs", self._epochs)),
            self._state(trial.trial_id) if self._keeps_state else None,
            self._state(origin) if origin else None,
            self._seconds,
            str(self.log) if self._keeps_state else None,
        )


@dataclass(frozen=True)
class Simulation:
    """A search on simulated trials.

    Args:
        folder: The study folder.
        method: Search method.
        max_trials: Trials at most.
        epochs: Epochs of a trial.
        seconds: Seconds of an epoch.
        workers: Worker processes; 0 for none.
        keeps_state: Whether interrupted trials resume from their last epoch.
        seed: Seed of the search.
        pruner: What stops hopeless trials.
    """

    folder: Path
    method: str = "random"
    max_trials: int = 20
    epochs: int = 3
    seconds: float = 0.0
    workers: int = 0
    keeps_state: bool = True
    seed: int = 0
    pruner: str | None = None

    def run(
        self, run: Any = train, executor: Any = None, observer: Any = None, **limits: Any
    ) -> Any:
        """Runs or resumes the search; returns its driver and what was restored."""
        from experiments.config import SearchConfig
        from experiments.executors import make_executor
        from experiments.executors.deadline import Deadline
        from experiments.methods.make import make_oracle
        from experiments.search.driver import Driver
        from experiments.search.repair import restore
        from experiments.search.retention import Retention
        from experiments.search.trial_record import TrialRecord

        config = SearchConfig(
            "mnist_cnn",
            method=self.method,
            max_trials=self.max_trials,
            max_epochs=self.epochs,
            seed=self.seed,
            pruner=self.pruner,
        )
        oracle = make_oracle(config, space())
        oracle._set_project_dir(str(self.folder.parent), self.folder.name)
        record = TrialRecord(self.folder, oracle, limits.pop("clock", time.monotonic))
        restored = restore(self.folder, record, oracle)
        driver = Driver(
            SimulatedSource(oracle, self.folder, self.epochs, self.seconds, self.keeps_state),
            runner := executor or make_executor(self.workers, run=run),
            record,
            observer or Display(),
            Retention(self.folder, config.parsed_objective, 1),
            deadline=limits.pop("deadline", Deadline(None, self.epochs, 0)),
            max_failures=limits.pop("max_failures", 10),
        )
        try:
            driver.run()
        finally:
            runner.close(at_once=True)
        return driver, restored

    def table(self) -> list[tuple[Any, ...]]:
        """Returns the final table."""
        return table(self.folder)


def table(folder: Path) -> list[tuple[Any, ...]]:
    """Returns the table of a study: of each trial its id, status, values, score and epochs."""
    rows = []
    for path in sorted(folder.glob("trial_*/trial.json")):
        trial = json.loads(path.read_text(encoding="utf-8"))
        result = json.loads(path.with_name("result.json").read_text(encoding="utf-8"))
        epochs = [len(e["epoch_seconds"]) for e in result["executions"]]
        values = tuple(sorted(trial["hyperparameters"]["values"].items()))
        rows.append((trial["trial_id"], trial["status"], values, trial["score"], *epochs))
    return rows
