"""The queue of attempts: starts jobs as there is room, and repeats attempts that were lost."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from experiments.executors.attempt_log import AttemptLog
from experiments.executors.attempts import Fate, after_attempt
from experiments.executors.base import Executor, Job, WorkerLost
from experiments.training.task import STOPPING, TrialResult


class Queue:
    """Holds the jobs that run and those that wait, and decides what follows an attempt.

    Args:
        executor: Runs the attempts.
        attempts: Records them.
        repeated: Called with a job that is run again, and why, before it is.
    """

    def __init__(
        self, executor: Executor, attempts: AttemptLog, repeated: Callable[[Job, str], None]
    ) -> None:
        self.running: dict[str, Job] = {}  # id -> its running attempt
        self._waiting: list[Job] = []  # to be started as soon as there is room
        self._executor, self._attempts, self._repeated = executor, attempts, repeated

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs or waits."""
        return not self.running and not self._waiting

    def has_room(self) -> bool:
        """Starts the jobs that wait, and returns whether there is room for another one."""
        while self._executor.free() > 0 and not any(j.alone for j in self.running.values()):
            if not self._waiting:
                return True
            if self._waiting[0].alone and self.running:
                return False
            self._start(self._waiting.pop(0))
        return False

    def begin(self, trial_id: str, task: Any) -> None:
        """Queues a job, as the attempt that follows those that are recorded."""
        earlier = self._attempts.of(trial_id)
        isolates = self._executor.isolates
        alone = any(a.alone or (isolates and a.outcome == "out_of_memory") for a in earlier)
        self._waiting.append(Job(trial_id, len(earlier) + 1, task, alone))
        self.has_room()

    def _start(self, job: Job) -> None:
        self.running[job.trial_id] = job
        self._attempts.begin(job)
        self._executor.submit(job)

    def is_current(self, job: Job) -> bool:
        """Whether `job` is the running attempt; messages of other attempts are ignored."""
        current = self.running.get(job.trial_id)
        return current is not None and current.attempt == job.attempt

    def ended(self, job: Job, result: TrialResult, worker: str) -> TrialResult | None:
        """Records the end of an attempt.

        Returns:
            The result of the job; `None` if it has none yet: it is paused or run again, or the
            attempt is not the running one.

        Raises:
            DiskFullError: There is no room on the disk.
            MissingDataError: The images are gone.
        """
        outcome = "out_of_memory" if result.cause == "out_of_memory" else result.status
        return self._settle(job, outcome, worker, result)

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> TrialResult | None:
        """Records an attempt that was lost with its process; returns what `ended` does."""
        outcome = "out_of_memory" if loss.out_of_memory else "lost"
        cause = "out_of_memory" if loss.out_of_memory else "worker_lost"
        result = TrialResult(status="failed", cause=cause, message=loss.message)
        return self._settle(job, outcome, worker, result)

    def _settle(
        self, job: Job, outcome: str, worker: str, result: TrialResult
    ) -> TrialResult | None:
        if not self.is_current(job):
            return None
        if result.cause in STOPPING:
            self._attempts.end(job, "interrupted", worker, result.message)
            raise STOPPING[result.cause](result.message)
        del self.running[job.trial_id]
        self._attempts.end(job, outcome, worker, result.message)
        fate = after_attempt(self._attempts.of(job.trial_id), self._executor.isolates)
        if fate == Fate.ENDED:
            return result
        self._attempts.write(job.trial_id)
        if fate != Fate.PAUSED:
            self._repeat(job, job.alone or fate == Fate.ALONE, str(result.message))
        return None

    def _repeat(self, job: Job, alone: bool, message: str) -> None:
        self._repeated(job, f"{message}; it is run again{', alone' if alone else ''}")
        self._waiting.append(replace(job, attempt=job.attempt + 1, alone=alone))
