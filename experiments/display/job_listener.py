"""What listens to the jobs of a queue: it shows them, and writes `status.json`."""

from abc import ABC, abstractmethod
from pathlib import Path

from experiments.display.base import Display
from experiments.executors.attempt_log import AttemptLog
from experiments.executors.base import Executor, Job, WorkerLost
from experiments.executors.queue import Queue
from experiments.process.interrupt import Interruption
from experiments.record.status_file import StatusFile
from experiments.training.task import Answer, TrialResult


class JobListener(ABC):
    """Shows the jobs of a queue; subclasses decide how they continue, and record their results.

    Args:
        folder: The study folder.
        phase: What `status.json` calls the work.
        executor: Runs the jobs.
        attempts: Records their attempts.
        display: Shows how it goes.
    """

    def __init__(
        self,
        folder: Path,
        phase: str,
        executor: Executor,
        attempts: AttemptLog,
        display: Display,
    ) -> None:
        self._phase, self._executor, self._display = phase, executor, display
        self._status = StatusFile(folder)
        self._queue = Queue(executor, attempts, self._repeated)
        self._interruption = Interruption(display.notice)

    @abstractmethod
    def _answer(self, job: Job, execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
        """Decides how the training of a job continues after an epoch."""

    @abstractmethod
    def _finish(self, job: Job, result: TrialResult) -> None:
        """Records the result of a job."""

    @abstractmethod
    def is_ending(self) -> bool:
        """Returns whether jobs must stop, for a later session to continue them."""

    @abstractmethod
    def _repeated(self, job: Job, why: str) -> None:
        """Announces that a job is run again."""

    def _wait(self, seconds: float) -> None:
        self._executor.wait(self, seconds)
        self._write_status()

    def _write_status(self, force: bool = False) -> None:
        state = {"phase": self._phase, "running": sorted(self._queue.running)}
        self._status.write(state, force)

    def epoch_ended(
        self, job: Job, execution: int, epoch: int, metrics: dict[str, float]
    ) -> Answer:
        """Shows an epoch, and answers how to continue; attempts that do not run any more stop."""
        if not self._queue.is_current(job):
            return Answer.STOP
        self._display.epoch_ended(execution, epoch, metrics, job.trial_id)
        self._status.epoch(job.trial_id, execution, epoch, job.task.epochs, metrics)
        self._write_status()
        return self._answer(job, execution, epoch, metrics)

    def noted(self, job: Job, what: str, done: int, total: int) -> None:
        """Shows progress before the first epoch."""
        self._display.computing(what, done, total)

    def ended(self, job: Job, result: TrialResult, worker: str) -> None:
        """Finishes a job, unless it is to be run again."""
        self._settle(job, self._queue.ended(job, result, worker))

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> None:
        """Runs a job again whose process was lost, or finishes it as failed."""
        self._settle(job, self._queue.lost(job, loss, worker))

    def _settle(self, job: Job, result: TrialResult | None) -> None:
        if result is not None:
            self._finish(job, result)
