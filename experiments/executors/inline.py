"""Runs trials in this process, one after another: to debug, and from scripts."""

import time

from experiments.executors.base import Job, Listener, Run
from experiments.process.numerics import threads_of
from experiments.training.task import Answer


class InlineExecutor:
    """Runs a job to its end within `wait`.

    Memory grows by some megabytes with each trial: TensorFlow keeps what it has traced until the
    process ends. Worker processes are retired before that matters.
    """

    isolates = False

    @property
    def threads(self) -> int:
        """Threads of a trial's operations: those of this process."""
        return threads_of(0)

    def __init__(self, run: Run) -> None:
        self._run = run
        self._job: Job | None = None

    def free(self) -> int:
        """Returns 1 if no job waits to be run."""
        return int(self._job is None)

    def submit(self, job: Job) -> None:
        """Keeps `job` for the next `wait`."""
        self._job = job

    def wait(self, listener: Listener, timeout: float) -> None:
        """Runs the job that was submitted."""
        job, self._job = self._job, None
        if job is None:
            time.sleep(timeout)
            return

        def report(execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
            return listener.epoch_ended(job, execution, epoch, metrics)

        def note(what: str, done: int, total: int) -> None:
            listener.noted(job, what, done, total)

        result: object = self._run(job.task, report, note)
        listener.ended(job, result, "inline")

    def close(self, at_once: bool = False) -> None:
        """Nothing is left to end."""
