"""Trainings of finalists: through an executor, each kept as soon as it has ended.

A training has a folder of its own in `artifacts/finalists/` until all are done: `result.json`, its
best epoch's weights, and, while it runs, the snapshot that it goes on from. So a search that is
interrupted among its finalists repeats none of those that had ended.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.display.base import Display
from experiments.executors.attempts import STOPPING, Attempt, Fate, after_failure, after_loss
from experiments.executors.base import Executor, Job, Loss
from experiments.process.interrupt import Interruption
from experiments.record.durations import REPORT_SECONDS, clock
from experiments.record.errors import UserError
from experiments.record.files import write_json
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder
from experiments.record.reading import as_dict, read_json
from experiments.record.status_file import StatusFile
from experiments.training.task import Answer, Execution, TrialResult, TrialTask

_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Training:
    """One training of a finalist.

    Args:
        trial_id: The finalist.
        seed: Its seed.
        task: What to train, without a place for its files.
    """

    trial_id: str
    seed: int
    task: TrialTask

    @property
    def key(self) -> str:
        """Names it."""
        return f"{self.trial_id}-{self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """What a kept result has to be of to be that of this training."""
        task = self.task
        facts = {"seed": self.seed, "max_epochs": task.epochs, "patience": task.patience}
        return {"trial_id": self.trial_id} | facts


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Args:
        training: The training.
        execution: Its record; `None` if it failed.
        weights: File of its best epoch's weights; `None` if they are not there any more.
        failure: Why it failed, in one line.
        test: What it came to on test, if that is known: metrics, and `test_size`.
        numerics: What decided its numbers beside its seed, see `numerics.numerics`; empty where
            that is not recorded.
    """

    training: Training
    execution: Execution | None = None
    weights: Path | None = None
    failure: str | None = None
    test: dict[str, Any] | None = None
    numerics: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """Its score on validation; `None` if it failed."""
        return None if self.execution is None else self.execution.score


class OutOfTimeError(RuntimeError):
    """The deadline came before all trainings were done; a later session goes on with them."""


class Trainings:
    """Trains finalists, as many at once as the executor has room for.

    Args:
        study: The study folder.
        executor: Runs them.
        display: Shows how it goes.
        known: Trainings of an earlier session, by key, whose weights are gone. Those that were not
            tested serve where their score is all that is wanted.
        end: When the search should be done, by `deadline.clock`; `None` for whenever.
    """

    def __init__(
        self,
        study: Path,
        executor: Executor,
        display: Display,
        known: dict[str, Outcome],
        end: float | None = None,
    ) -> None:
        self._end = end
        self._study = StudyFolder(study)
        self._executor, self._display, self._known = executor, display, known
        self._status = StatusFile(study)
        self._jobs: dict[str, Job] = {}  # key -> its running attempt
        self._attempts: dict[str, list[Attempt]] = {}
        self._again: list[Job] = []
        self._trainings: dict[str, Training] = {}
        self._interruption = Interruption(display.notice)

    def run(self, wanted: Sequence[Training], to_test: bool = False) -> list[Outcome]:
        """Trains those of `wanted` that have not been trained before.

        Args:
            wanted: The trainings.
            to_test: Whether they are to be tested, so that scores alone are not enough.

        Returns:
            What each came to, in order.

        Raises:
            KeyboardInterrupt: It was interrupted; what has ended is kept.
            OutOfTimeError: There is no time for the rest before the deadline; likewise.
            DiskFullError: There is no room on the disk.
        """
        self._trainings |= {training.key: training for training in wanted}
        waiting = [training for training in wanted if self.outcome(training, to_test) is None]
        with self._interruption:
            while (waiting or self._jobs or self._again) and not self._is_over():
                self._fill(waiting)
                self._executor.wait(self, _TICK_SECONDS)
                self._status.write(self._state())
        if self._interruption.requested:
            raise KeyboardInterrupt
        missing = sum(self.outcome(training, to_test) is None for training in wanted)
        if missing:
            raise OutOfTimeError(
                f"the deadline came when {missing} of {plural(len(wanted), 'training')} of "
                f"finalists {'was' if missing == 1 else 'were'} left to be done; those that are "
                "done are kept"
            )
        found = [self.outcome(training, to_test) for training in wanted]
        return [outcome for outcome in found if outcome is not None]

    def tested(self, trainings: Sequence[Training]) -> list[Outcome]:
        """Returns what those came to that an earlier session has tested."""
        found = [self._recalled(training, to_test=True) for training in trainings]
        return [outcome for outcome in found if outcome is not None]

    def _recalled(self, training: Training, to_test: bool) -> Outcome | None:
        known = self._known.get(training.key)
        return None if known is None or (to_test and known.test is None) else known

    def outcome(self, training: Training, to_test: bool = False) -> Outcome | None:
        """Returns what a training came to; `None` if it has not been trained as is wanted now."""
        folder = self._study.training(training.key)
        try:
            record = read_json(folder.result)
            if {name: record[name] for name in training.facts} != training.facts:
                return self._recalled(training, to_test)
            if record["status"] == "failed":
                return Outcome(training, failure=str(record["message"]))
            execution = Execution(**record["executions"][0])
        except (ValueError, KeyError, TypeError, IndexError):
            return self._recalled(training, to_test)
        if not folder.checkpoint.is_file():
            return self._recalled(training, to_test)
        return Outcome(
            training, execution, folder.checkpoint, numerics=as_dict(record.get("numerics"))
        )

    def remove(self) -> None:
        """Removes what was kept, once all of it is in the record."""
        shutil.rmtree(self._study.trainings, ignore_errors=True)

    def close(self, at_once: bool) -> None:
        """Ends the executor."""
        self._executor.close(at_once)
        with suppress(OSError):
            self._status.write(self._state(), force=True)

    def _state(self) -> dict[str, Any]:
        return {"phase": "confirming", "running": sorted(self._jobs)}

    def _is_over(self) -> bool:
        return self._ending() and not self._jobs

    def _ending(self) -> bool:
        """Whether no training may go on: interrupted, or the rest of the time is the report's."""
        is_due = self._end is not None and clock() + REPORT_SECONDS > self._end
        return self._interruption.requested or is_due

    def _fill(self, waiting: list[Training]) -> None:
        while self._executor.free() > 0 and not self._ending():
            if any(job.alone for job in self._jobs.values()):
                return
            if self._again:
                if self._again[0].alone and self._jobs:
                    return
                self._start(self._again.pop(0))
            elif waiting:
                self._begin(waiting.pop(0))
            else:
                return

    def _begin(self, training: Training) -> None:
        folder = self._study.training(training.key)
        folder.path.mkdir(parents=True, exist_ok=True)
        if not self._is_kept(training):  # of other epochs or another patience than now
            for leftover in folder.path.iterdir():
                leftover.unlink()
            write_json(folder.facts, training.facts)
        task = replace(training.task, snapshots=str(folder.path), checkpoint=str(folder.checkpoint))
        self._display.confirming(training.trial_id, training.seed)
        self._start(Job(training.key, 1, task))

    def _is_kept(self, training: Training) -> bool:
        try:
            facts = read_json(self._study.training(training.key).facts)
            return bool(facts == training.facts)
        except UserError:
            return False

    def _start(self, job: Job) -> None:
        self._jobs[job.trial_id] = job
        attempts = self._attempts.setdefault(job.trial_id, [])
        attempts.append(Attempt(job.attempt, started=time.time(), alone=job.alone))
        self._executor.submit(job)

    def _is_current(self, job: Job) -> bool:
        current = self._jobs.get(job.trial_id)
        return current is not None and current.attempt == job.attempt

    def epoch_ended(
        self, job: Job, execution: int, epoch: int, metrics: dict[str, float]
    ) -> Answer:
        """Shows an epoch, and answers whether to go on."""
        if not self._is_current(job):
            return Answer.STOP
        self._display.epoch_ended(execution, epoch, metrics, job.trial_id)
        self._status.epoch(job.trial_id, execution, epoch, metrics)
        self._status.write(self._state())
        return Answer.PAUSE if self._ending() else Answer.GO

    def noted(self, job: Job, what: str, done: int, total: int) -> None:
        """Shows progress before the first epoch."""
        self._display.computing(what, done, total)

    def ended(self, job: Job, result: TrialResult, worker: str) -> None:
        """Keeps a result, unless the training is to be run again."""
        if not self._is_current(job):
            return
        if result.cause in STOPPING:
            raise STOPPING[result.cause](result.message)
        outcome = "out_of_memory" if result.cause == "out_of_memory" else result.status
        self._end_attempt(job, outcome, worker)
        if result.status == "paused":
            return
        if result.status == "failed":
            attempts = self._attempts[job.trial_id]
            if after_failure(attempts, result.cause, self._executor.isolates) == Fate.ALONE:
                self._again.append(replace(job, attempt=job.attempt + 1, alone=True))
                return
        self._finish(job, result)

    def lost(self, job: Job, loss: Loss, worker: str) -> None:
        """Runs a training again whose process is gone, or gives it up."""
        if not self._is_current(job):
            return
        self._end_attempt(job, "out_of_memory" if loss.out_of_memory else "lost", worker)
        attempts = self._attempts[job.trial_id]
        fate = after_loss(attempts, loss.out_of_memory, self._executor.isolates)
        if fate == Fate.FAILED:
            self._finish(job, TrialResult(status="failed", message=loss.message))
            return
        self._display.notice(f"{_named(self._trainings[job.trial_id])}: {loss.message}; again")
        again = replace(job, attempt=job.attempt + 1, alone=fate == Fate.ALONE)
        self._again.append(again)

    def _end_attempt(self, job: Job, outcome: str, worker: str) -> None:
        del self._jobs[job.trial_id]
        self._status.ended(job.trial_id)
        attempts = self._attempts[job.trial_id]
        attempts[-1] = replace(attempts[-1], ended=time.time(), outcome=outcome, worker=worker)

    def _finish(self, job: Job, result: TrialResult) -> None:
        training = self._trainings[job.trial_id]
        folder = self._study.training(training.key)
        write_json(folder.result, result.as_dict() | training.facts)
        for path in folder.snapshots():
            path.unlink()
        score = result.executions[0].score if result.status == "completed" else None
        self._display.confirmed(training.trial_id, training.seed, score)
        if score is None:
            self._display.notice(f"{_named(training)} failed: {result.message}")


def _named(training: Training) -> str:
    return f"finalist {training.trial_id} with seed {training.seed}"
