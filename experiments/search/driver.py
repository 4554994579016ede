"""Drives a search: asks the oracle for trials, hands them to an executor, keeps the record.

Only this process and one thread of it use the oracle. Each trial is recorded exactly once:
messages of attempts other than the running one are ignored.
"""

from contextlib import suppress
from typing import Any, Protocol

from keras_tuner.engine import trial as trial_module

from experiments.display.base import Display
from experiments.display.job_listener import JobListener
from experiments.executors.base import Executor, Job
from experiments.executors.deadline import NUM_REMEMBERED, Deadline
from experiments.methods.oracles.halving import origins
from experiments.record.fidelity import is_left_behind
from experiments.record.formatting import plural
from experiments.search.retention import Retention
from experiments.search.trial_record import TrialRecord
from experiments.training.task import Answer, TrialResult, TrialTask

Status = trial_module.TrialStatus
_TICK_SECONDS = 0.5
_IDLE_SECONDS = 0.02


class TaskMaker(Protocol):
    """Supplies the driver with tasks of trials; the suite's tuner is one."""

    oracle: Any

    def task(self, trial: Any) -> TrialTask: ...


class Driver(JobListener):
    """Runs trials until the oracle has no more, or something else ends the search.

    Args:
        source: Makes tasks of the oracle's trials.
        executor: Runs them; whoever opened it closes it.
        record: Writes the events.
        display: Receives the events.
        retention: Decides which weights are kept.
        deadline: Decides whether a trial can still be started.
        max_failures: Failures in a row that end the search.
    """

    def __init__(
        self,
        source: TaskMaker,
        executor: Executor,
        record: TrialRecord,
        display: Display,
        retention: Retention,
        *,
        deadline: Deadline,
        max_failures: int,
    ) -> None:
        super().__init__(record.folder, "searching", executor, record.attempts, display)
        self._source, self._oracle = source, source.oracle
        self._record = record
        self._retention = retention
        self._deadline = deadline
        self._max_failures = max_failures
        self._failures_in_a_row = 0
        self.ended_by: str | None = None  # why the search ended before the oracle was done
        self._exhausted = False  # the oracle had no more trials when it was last asked
        self._reported: dict[str, int] = {}  # running trial -> its last epoch
        self._is_full = False  # another trial would not end in time; those that run may

    def run(self) -> None:
        """Drives the search to its end.

        Raises:
            KeyboardInterrupt: It was interrupted; it can be resumed.
            DiskFullError: There is no room on the disk; it can be resumed.
            MissingDataError: The images are gone; it can be resumed.
        """
        self._recall()
        try:
            with self._interruption:
                self._loop()
        finally:
            with suppress(OSError):  # both can be rebuilt; the error that is raised matters more
                self._oracle.flush()
                self._write_status(force=True)
        if self._interruption.requested:
            raise KeyboardInterrupt

    def _recall(self) -> None:
        """Loads the results of earlier sessions, and removes weights that they left behind."""
        ended = (Status.COMPLETED, Status.FAILED)
        trials = [trial for trial in self._oracle.trials.values() if trial.status in ended]
        self._retention.recall([(t.trial_id, t.score, self._values(t)) for t in trials])
        self._retention.release(wanted_states(self._oracle))
        if self._deadline.is_set:
            for trial_id, cost in self._record.earlier_costs(NUM_REMEMBERED).items():
                values = self._values(self._oracle.trials[trial_id])
                self._deadline.learn(cost, self._gain(values), earlier=True)

    def _values(self, trial: Any) -> list[float] | None:
        """Returns a trial's values by objective; `None` unless it was fully trained."""
        if trial.status != Status.COMPLETED or is_left_behind(trial):
            return None
        values: list[float] = self._oracle.values_of(trial)
        return values

    def _gain(self, values: list[float] | None) -> float | None:
        """Returns how good a trial is, larger is better; of several objectives all are equal."""
        if values is None:
            return None
        if len(values) > 1:
            return 0.0
        return -values[0] if self._oracle.objective.direction == "min" else values[0]

    def _loop(self) -> None:
        while True:
            if not self.is_ending():
                self._exhausted = self._fill()
            if not self._queue.running and (self._exhausted or self.is_ending()):
                return
            self._wait(_TICK_SECONDS if self._queue.running else _IDLE_SECONDS)

    def is_ending(self) -> bool:
        if self._interruption.requested:
            self.ended_by = "interrupted"
        elif self.ended_by is None and self._deadline.is_due() and not self._is_done():
            self.ended_by = "deadline"
        return self.ended_by is not None

    def _is_done(self) -> bool:
        return not self._queue.running and bool(self._oracle.is_done())

    def _fill(self) -> bool:
        """Starts as many trials as there is room for; returns whether the oracle has no more."""
        while self._queue.has_room():
            if not self._deadline.fits() and not self._exhausted:
                self._is_full = True
            if self._is_full:
                if self._oracle.is_done():
                    return True
                if not self._queue.running:
                    self.ended_by = "deadline"
                return False
            trial = self._created()
            if trial.status != Status.RUNNING:
                return bool(trial.status == Status.STOPPED)
            self._begin(trial)
        return False

    def _created(self) -> Any:
        return self._oracle.create_trial(self._free_slot())

    def _free_slot(self) -> str:
        taken = self._oracle.ongoing_trials
        return next(s for s in (f"slot{n}" for n in range(len(taken) + 1)) if s not in taken)

    def _begin(self, trial: Any) -> None:
        task = self._source.task(trial)
        self._display.trial_started(trial.trial_id, dict(trial.hyperparameters.values), task.epochs)
        self._queue.begin(trial.trial_id, task)

    def _answer(self, job: Job, execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
        self._deadline.epoch_ended(job.trial_id)
        if self.is_ending():
            return Answer.PAUSE
        if execution == 0:
            if epoch <= self._reported.get(job.trial_id, -1):  # it was tried again from its begin
                self._oracle.clear_metrics(job.trial_id)
            self._reported[job.trial_id] = epoch
            trial = self._oracle.update_trial(job.trial_id, metrics, step=epoch)
            if trial.status == Status.STOPPED:
                return Answer.STOP
        return Answer.GO

    def _repeated(self, job: Job, why: str) -> None:
        self._display.notice(f"trial {job.trial_id}: {why}")
        self._oracle.clear_metrics(job.trial_id)

    def _finish(self, job: Job, result: TrialResult) -> None:
        score = self._record.finish(job, result)
        values = self._values(self._oracle.trials[job.trial_id])
        self._retention.ended(job.trial_id, score, values)
        self._retention.release(wanted_states(self._oracle))
        self._deadline.learn(self._record.cost(job.trial_id), self._gain(values))
        self._status.ended(job.trial_id)
        self._reported.pop(job.trial_id, None)
        if values is not None and len(values) > 1:
            self._display.measured(job.trial_id, values)
        self._display.trial_ended(job.trial_id, result.status, score, result.message)
        self._count_failure(result)

    def _count_failure(self, result: TrialResult) -> None:
        failed = result.status == "failed"
        self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        if self._failures_in_a_row >= self._max_failures and self.ended_by is None:
            self.ended_by = "failures"
            self._display.notice(
                f"{plural(self._failures_in_a_row, 'trial')} in a row failed, the last one: "
                f"{result.message}; the search ends (--max-failures)"
            )


def wanted_states(oracle: Any) -> set[str]:
    """Returns the trials whose training a running or a later trial continues."""
    unfinished = [*oracle.ongoing_trials.values(), *(oracle.trials[i] for i in oracle._retry_queue)]
    wanted: set[str] = oracle.wanted()
    return origins(unfinished) | wanted
