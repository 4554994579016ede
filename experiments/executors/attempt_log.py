"""The attempts at jobs that have not ended, in memory and on the disk."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from experiments.executors.attempts import Attempt
from experiments.executors.base import Job
from experiments.record.files import write_json
from experiments.record.layout import TrialFolder
from experiments.record.reading import read_json


class AttemptLog:
    """Records attempts until their job ends; a later session counts them too.

    A job's folder has `attempts.json` from its second attempt on, or once its first was paused or
    lost. Until then, the job's first file tells when its first attempt began.

    Args:
        folder_of: Returns the folder of a job by its id.
        clock: A monotonic clock in seconds; it measures attempts.
    """

    def __init__(
        self, folder_of: Callable[[str], TrialFolder], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder_of, self._clock = folder_of, clock
        self._begun: dict[str, float] = {}  # id -> when its running attempt began
        self._attempts: dict[str, list[Attempt]] = {}

    def of(self, trial_id: str) -> list[Attempt]:
        """Returns the attempts at a job so far."""
        return self._attempts.setdefault(trial_id, [])

    def restore(self, trial_id: str, first: Path) -> None:
        """Reads the attempts of earlier sessions.

        Args:
            trial_id: The job, which has not ended.
            first: The file that it began with.
        """
        self._attempts[trial_id] = _read(self._folder_of(trial_id).attempts, first)

    def begin(self, job: Job) -> None:
        """Records that an attempt begins."""
        attempt = Attempt(job.attempt, started=time.time(), alone=job.alone)
        self.of(job.trial_id).append(attempt)
        self._begun[job.trial_id] = self._clock()
        if job.attempt > 1:
            self.write(job.trial_id)

    def end(self, job: Job, outcome: str, worker: str, message: str | None) -> None:
        """Records how an attempt ended, in memory alone."""
        attempts = self.of(job.trial_id)
        attempts[-1] = replace(
            attempts[-1],
            ended=time.time(),
            seconds=self._clock() - self._begun[job.trial_id],
            outcome=outcome,
            worker=worker,
            message=message,
        )

    def write(self, trial_id: str) -> None:
        """Writes the attempts at a job.

        Raises:
            OSError: There is no room on the disk.
        """
        attempts = [asdict(attempt) for attempt in self.of(trial_id)]
        write_json(self._folder_of(trial_id).attempts, attempts)

    def forget(self, trial_id: str) -> None:
        """Removes the attempts at a job whose result is recorded."""
        self._attempts.pop(trial_id, None)
        self._folder_of(trial_id).attempts.unlink(missing_ok=True)


def _read(path: Path, first: Path) -> list[Attempt]:
    """Returns the attempts of a job that has not ended, the last one as interrupted."""
    try:
        if path.is_file():
            attempts = [Attempt.from_dict(record) for record in read_json(path)]
        else:
            attempts = [Attempt(1, started=first.stat().st_mtime)]
    except (ValueError, TypeError, AttributeError):
        return []
    if attempts and attempts[-1].outcome is None:
        message = "the search was ended"
        attempts[-1] = replace(attempts[-1], outcome="interrupted", message=message)
    return attempts
