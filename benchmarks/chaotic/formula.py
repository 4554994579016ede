"""A formula where a search trains, tests, exports and draws; all else of it is the suite's own.

So a whole `experiments search` takes seconds: command line, locks, study record, oracle, driver,
worker processes, snapshots, checkpoints and finalists are real, and every epoch takes as long as it
is told. Nothing here imports Keras: workers start in half a second.
"""

import json
import math
import os
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from simulated import score

from experiments.record.bookkeeping import own_values
from experiments.record.files import atomic
from experiments.record.seeds import derive_seed
from experiments.training import run as trial
from experiments.training.snapshot import Snapshot, SnapshotStore
from experiments.training.task import Answer, TrialResult, TrialTask

SECONDS, LOG = "CHAOTIC_EPOCH_SECONDS", "CHAOTIC_LOG"  # environment variables


def install() -> None:
    """Puts the formula in the places of what takes long; processes forked afterwards have it.

    They have all modules that a search imports, too.
    """
    from experiments.process.quiet import import_keras_quietly

    import_keras_quietly()
    import optuna  # noqa: F401
    import sklearn.datasets
    import sklearn.gaussian_process  # noqa: F401

    import experiments.display.live
    import experiments.executors.copies
    import experiments.executors.worker
    import experiments.finalists.artifacts
    import experiments.finalists.confirm
    import experiments.finalists.ranking
    import experiments.search.run
    import experiments.training.forecast
    import reports

    experiments.executors.worker.run_trial_quietly = run
    experiments.executors.copies._IMPORTS = __name__
    experiments.finalists.ranking.build_network = Network
    experiments.finalists.ranking.load_weights = Network.load
    experiments.finalists.confirm.tested = _tested
    experiments.finalists.confirm.export = _export
    experiments.finalists.artifacts.write_artifacts = lambda folder, model, data: None
    reports.write_report = lambda study: study.folder / "report" / "index.html"


def run(task: TrialTask, report: Any, note: Any = None) -> TrialResult:
    """Runs a trial; failures are told apart as in any trial."""
    trial._run_executions = _run_executions
    return trial.run_trial(task, report, note)


def _run_executions(task: TrialTask, result: TrialResult, report: Any, note: Any) -> None:
    values = own_values(task.hyperparameters["values"])
    result.trainable_parameters = 100 * values["dense_layers"] + 7 * values["filters_0"]
    result.frozen_parameters = result.flops = 0
    for index, seed in enumerate(task.seeds):
        training = _Training(task, values, SnapshotStore(task, index, seed), report, index)
        result.executions.append(training.execution)
        training.run()
        training.finish(result)


class _Training:
    """One execution, which keeps itself after every epoch; the rules are `EpochRecorder`'s."""

    def __init__(
        self,
        task: TrialTask,
        values: dict[str, Any],
        snapshots: SnapshotStore,
        report: Any,
        index: int,
    ) -> None:
        self._task, self._values, self._snapshots = task, values, snapshots
        self._report, self._index = report, index
        found = snapshots.resume_point([(0, task.epochs)])
        self.execution = snapshots.execution
        self._is_own = found is not None and found is snapshots.own
        self._decided = found is not None and found.decided
        self._first = 0 if found is None else found.initial_epoch if self._is_own else found.epochs
        self._answer: int = Answer.GO

    @property
    def _epochs(self) -> int:
        return self._first + len(self.execution.epoch_seconds)

    def run(self) -> None:
        if self._is_own:
            self._replay()
        while self._answer == Answer.GO and self._epochs < self._task.epochs:
            self._train_epoch()
        if self._answer == Answer.PAUSE or self._snapshots.keeps_last:
            self._keep(decided=False)

    def _replay(self) -> None:
        count = self._epochs - self._first
        for index in range(count):
            metrics = {name: values[index] for name, values in self.execution.history.items()}
            answer = self._report(self._index, self._first + index, metrics)
            if answer == Answer.PAUSE or (index == count - 1 and not self._decided):
                self._answer = answer
                return

    def _train_epoch(self) -> None:
        started, epoch = time.perf_counter(), self._epochs
        time.sleep(float(os.environ[SECONDS]))
        with open(os.environ[LOG], "a", encoding="utf-8") as log:
            log.write(f"{self._task.snapshots} {epoch}\n")
        metrics = _metrics(self._values, self.execution.seed, epoch)
        for name, value in metrics.items():
            self.execution.history.setdefault(name, []).append(value)
        self.execution.epoch_seconds.append(time.perf_counter() - started)
        reached = metrics[self._task.objective.name]
        if self._task.objective.better(reached, self.execution.score):
            self.execution.score = reached
            self.execution.best_epoch = len(self.execution.epoch_seconds) - 1
        self._answer = self._report(self._index, epoch, metrics)
        if self._answer == Answer.GO:
            self._keep(decided=True)

    def _keep(self, decided: bool) -> None:
        values = [np.arange(100.0) + self._epochs]
        self._snapshots.keep(
            Snapshot(self.execution, self._first, self._epochs, 0, 0, values, [], values, decided)
        )

    def finish(self, result: TrialResult) -> None:
        """Records how it ended, and writes the checkpoint that is asked for."""
        result.initial_epoch = self._first
        if self._epochs < self._task.epochs and self._answer != Answer.GO:
            result.status = "paused" if self._answer == Answer.PAUSE else "pruned"
        reached = self.execution.score
        if result.status == "paused" or reached is None:
            return
        if self._task.keeps(reached, None, stopped=result.status == "pruned"):
            weights = {"values": self._values, "seed": self.execution.seed, "score": reached}
            with atomic(Path(str(self._task.checkpoint))) as temporary:
                temporary.write_text(json.dumps(weights), encoding="utf-8")


def _metrics(values: dict[str, Any], seed: int, epoch: int) -> dict[str, float]:
    given = {"learning_rate": values["learning_rate"], "units": values["filters_0"]}
    luck = np.random.default_rng([seed, epoch]).normal(0.0, 0.003)
    reached = score(given, epoch + 1) - 0.02 * values["dense_layers"] + float(luck)
    metrics = {"accuracy": reached + 0.01, "loss": 0.9 - reached, "val_accuracy": reached}
    return metrics | {"val_loss": 1 - reached}


def expected_score(values: dict[str, Any], seed: int, number: int) -> float:
    """Returns the score of a trial of Hyperband, by its values, the search's seed and its number.

    It is trained from where its origin was, with a seed of its own.
    """
    own_seed = derive_seed(seed, 0, number, 0)
    epochs = range(values["tuner/initial_epoch"], values["tuner/epochs"])
    return max(_metrics(values, own_seed, epoch)["val_accuracy"] for epoch in epochs)


class Network:
    """Stands for the network of a training: its weights are the text of its checkpoint."""

    layers = ()  # none that needs code of its own

    def __init__(self, task: TrialTask) -> None:
        self.weights = ""

    def load(self, weights: Path) -> None:
        """Reads the weights of a training's best epoch."""
        self.weights = weights.read_text(encoding="utf-8")


def _tested(model: Network, data: Any) -> Any:
    """Predicts each test image by the weights; right in about three of four."""
    from experiments.finalists.testing import Tested

    labels = np.asarray(data.open("test").labels)
    rng = np.random.default_rng(zlib.crc32(model.weights.encode()))
    predicted = np.where(rng.random(len(labels)) < 0.75, labels, 0).astype(np.uint8)
    accuracy = float((predicted == labels).mean())
    return Tested({"accuracy": accuracy, "loss": -math.log(accuracy + 1e-9)}, predicted)


def _export(folder: Path, model: Network, metadata: Any) -> None:
    with atomic(folder / "best_model.keras") as temporary:
        temporary.write_text(model.weights, encoding="utf-8")
