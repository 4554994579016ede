"""The record of trials: `result.json`, written before the oracle is told, and attempts."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from keras_tuner.engine import trial as trial_module

from experiments.executors.attempt_log import AttemptLog
from experiments.executors.attempts import Attempt
from experiments.executors.base import Job
from experiments.executors.deadline import Cost
from experiments.record.durations import attempt_seconds, epoch_seconds, num_epochs, trial_seconds
from experiments.record.fidelity import epochs_asked
from experiments.record.files import write_json
from experiments.record.formatting import plural
from experiments.record.layout import PRUNED, StudyFolder
from experiments.record.objective import objective_values, objectives_of
from experiments.record.reading import as_number, dicts, dig, measured, read_json
from experiments.training.task import TrialResult

Status = trial_module.TrialStatus
_ASKED = ("epochs", "patience", "counts_before")


class TrialRecord:
    """Writes the outcome of each trial into its folder.

    Its attempts are in `attempts.json` until its end, when `result.json` takes them in.

    Args:
        folder: The study folder.
        oracle: Receives results once they are written.
        clock: A monotonic clock in seconds; it measures attempts.
    """

    def __init__(
        self, folder: Path, oracle: Any, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._study = StudyFolder(folder)
        self._oracle = oracle
        self.attempts = AttemptLog(self._study.trial, clock)
        self._cost: dict[str, Cost] = {}

    def cost(self, trial_id: str) -> Cost:
        """Returns what a trial that has ended took."""
        return self._cost.pop(trial_id)

    def earlier_costs(self, count: int) -> dict[str, Cost]:
        """Returns the cost of each of the last `count` trials that earlier sessions ended."""
        found = {}
        for trial_id in self._oracle.end_order[-count:]:
            try:
                found[trial_id] = _cost(read_json(self._study.trial(trial_id).result))
            except (OSError, ValueError, AttributeError):
                continue
        return found

    def finish(self, job: Job, result: TrialResult) -> float | None:
        """Writes the result, tells the oracle, and returns the score."""
        trial = self._oracle.trials[job.trial_id]
        attempts = self.attempts.of(job.trial_id)
        score = result.score
        record = result.as_dict() | {
            "trial_id": job.trial_id,
            "hyperparameters": dict(trial.hyperparameters.values),
            "score": score,
            "started": attempts[0].started,
            "ended": time.time(),
            "worker": attempts[-1].worker,
            "attempts": [asdict(attempt) for attempt in attempts],
            "seconds": _seconds(attempts, result),
            "asked": {name: getattr(job.task, name, None) for name in _ASKED},
        }
        self._cost[job.trial_id] = _cost(record)
        objectives = objectives_of(self._oracle)
        if len(objectives) > 1:
            record["objectives"] = objective_values(objectives, record)
        folder = self._study.trial(job.trial_id)
        write_json(folder.result, record)
        tell(self._oracle, trial, record)
        self.attempts.forget(job.trial_id)
        return score


def _seconds(attempts: Sequence[Attempt], result: TrialResult) -> float:
    """Returns the seconds of all attempts; for a killed attempt, those of its epochs alone."""
    spent = [attempt_seconds(asdict(attempt)) for attempt in attempts]
    return max(sum(s for s in spent if s >= 0), epoch_seconds(result.as_dict()))


def _cost(record: dict[str, Any]) -> Cost:
    whole, training = trial_seconds(record), epoch_seconds(record)
    computed = (dig(e, "seconds", "features") for e in dicts(record.get("executions")))
    features = sum(s for s in map(as_number, computed) if s >= 0)
    besides = max(0.0, whole - training - features) if whole >= 0 else 0.0
    return Cost(num_epochs(record), training, features, besides)


def tell(oracle: Any, trial: Any, record: dict[str, Any]) -> None:
    """Ends `trial` in the oracle as `record` says; metrics reported before are replaced."""
    note_asked(oracle, record)
    oracle.clear_metrics(trial.trial_id)
    if record["status"] == "failed":
        trial.status, trial.message = (
            Status.FAILED,
            record.get("traceback") or record.get("message"),
        )
    else:
        _report(oracle, trial.trial_id, record)
        trial.status = Status.COMPLETED
        if record["status"] == "pruned":
            trial.message = f"{PRUNED} after {plural(_total_epochs(record), 'epoch')}"
    oracle.end_trial(trial)


def note_asked(oracle: Any, record: dict[str, Any]) -> None:
    """Passes the oracle the number of epochs that an ended trial was asked for."""
    asked = epochs_asked(record)
    if asked is not None:
        oracle.asked[record["trial_id"]] = asked


def _total_epochs(record: dict[str, Any]) -> int:
    """Returns the epochs that a network was trained for, including those before a promotion."""
    return _initial_epoch(record) + len(record["executions"][-1]["epoch_seconds"])


def _initial_epoch(record: dict[str, Any]) -> int:
    return int(record.get("initial_epoch", 0))


def check_reports(oracle: Any, record: dict[str, Any]) -> None:
    """Checks that a result has a value of each of the oracle's objectives.

    Args:
        oracle: The oracle.
        record: The content of `result.json`, checked as such.

    Raises:
        ValueError: It has not: no trial that has ended otherwise than by failing lacks one.
    """
    if record["status"] == "failed":
        return
    objectives = objectives_of(oracle)
    values = objective_values([o for o in objectives if o.is_cost], record)
    metrics = {o.name for o in objectives if not o.is_cost}
    known = all(metrics <= execution["history"].keys() for execution in record["executions"])
    if None in values.values() or not known:
        raise ValueError("an objective is not in it")


def _report(oracle: Any, trial_id: str, record: dict[str, Any]) -> None:
    executions = record["executions"]
    costs: dict[str, Any] = objective_values(
        [o for o in objectives_of(oracle) if o.is_cost], record
    )
    if len(executions) > 1:
        for execution in executions:  # Keras Tuner averages the observations of one step
            best = {
                n: measured(v[execution["best_epoch"]]) for n, v in execution["history"].items()
            }
            oracle.update_trial(trial_id, best | costs, step=0)
        return
    history = executions[0]["history"]
    for index in range(len(executions[0]["epoch_seconds"])):
        metrics = {name: measured(values[index]) for name, values in history.items()}
        oracle.update_trial(trial_id, metrics | costs, step=_initial_epoch(record) + index)
