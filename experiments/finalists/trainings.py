"""Runs trainings of recorded trials through an executor; each is kept as soon as it has ended.

A training has its own folder in `artifacts/finalists/` until all are done. It holds `result.json`,
the weights of the best epoch and, until the training ends, its attempts and the snapshot to resume
from. So a search that is interrupted among its finalists repeats no training that had ended.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.display.base import Display
from experiments.display.job_listener import JobListener
from experiments.executors.attempt_log import AttemptLog
from experiments.executors.base import Executor, Job
from experiments.record.durations import REPORT_SECONDS, clock
from experiments.record.files import write_json
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder, TrialFolder
from experiments.record.reading import as_dict, read_dict
from experiments.training.task import Answer, Execution, TrialResult, TrialTask

_TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Training:
    """One training of a finalist, or of another recorded trial.

    Args:
        trial_id: The trial.
        seed: Its seed; the first of several.
        task: What to train, without a place for its files.
        how: Further facts that a kept result has to match; plain data.
        stop_after: Epochs after which it is stopped; it is trained to its end if `None`.
    """

    trial_id: str
    seed: int
    task: TrialTask
    how: Mapping[str, Any] = field(default_factory=dict)
    stop_after: int | None = None

    @property
    def key(self) -> str:
        """The key of the training."""
        return f"{self.trial_id}-{self.seed}"

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that a kept result has to match."""
        task = self.task
        facts = {"seed": self.seed, "max_epochs": task.epochs, "patience": task.patience}
        return {"trial_id": self.trial_id} | facts | dict(self.how)

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether a record has these facts; a fact that is `None` may be missing in it."""
        return all(record.get(name) == value for name, value in self.facts.items())


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Args:
        training: The training.
        execution: Its record; `None` if it failed.
        weights: File of its best epoch's weights; `None` if they were removed.
        failure: Why it failed, in one line.
        test: Its test result, if known: metrics, and `test_size`.
        numerics: Its numerical conditions besides the seed, see `numerics.numerics`; empty where
            they are not recorded.
        result: Everything that its process returned; empty where that is not kept.
    """

    training: Training
    execution: Execution | None = None
    weights: Path | None = None
    failure: str | None = None
    test: dict[str, Any] | None = None
    numerics: dict[str, Any] = field(default_factory=dict)
    result: TrialResult = field(default_factory=TrialResult)

    @property
    def record(self) -> dict[str, Any]:
        """The record of the training, with its test where it is known; it did not fail."""
        assert self.execution is not None
        numerics = {"numerics": self.numerics} if self.numerics else {}
        return asdict(self.execution) | numerics | (self.test or {})

    @property
    def score(self) -> float | None:
        """Its score on validation; `None` if it failed."""
        return None if self.execution is None else self.execution.score


class OutOfTimeError(RuntimeError):
    """The deadline came before all trainings were done; a later session continues them."""


class Trainings(JobListener):
    """Trains finalists, as many in parallel as the executor has room for.

    Args:
        study: The study folder.
        executor: Runs them.
        display: Shows how it goes.
        known: Trainings of an earlier session, by key, whose weights are gone. Untested ones are
            reused only where their score is enough.
        end: Time of the deadline, by `deadline.clock`; `None` for no deadline.
        place: Folder in `artifacts/` that keeps them.
    """

    def __init__(
        self,
        study: Path,
        executor: Executor,
        display: Display,
        known: dict[str, Outcome],
        end: float | None = None,
        place: str = "finalists",
    ) -> None:
        self._end, self._known = end, known
        self._folder = StudyFolder(study).artifacts / place
        self._attempts = AttemptLog(self._place)
        self._trainings: dict[str, Training] = {}
        self._counted: set[str] = set()  # keys of those that are done or have begun
        super().__init__(study, "confirming", executor, self._attempts, display)

    def run(self, wanted: Sequence[Training], to_test: bool = False) -> list[Outcome]:
        """Trains those of `wanted` that have not been trained before.

        Args:
            wanted: The trainings.
            to_test: Whether they are to be tested, so that scores alone are not enough.

        Returns:
            The outcome of each, in order.

        Raises:
            KeyboardInterrupt: It was interrupted; what has ended is kept.
            OutOfTimeError: There is no time for the rest before the deadline; likewise.
            DiskFullError: There is no room on the disk.
        """
        self._trainings |= {training.key: training for training in wanted}
        waiting = [training for training in wanted if self.outcome(training, to_test) is None]
        self._counted |= {training.key for training in wanted if training not in waiting}
        with self._interruption:
            while (waiting or not self._queue.is_empty) and not self._is_over():
                self._fill(waiting)
                self._wait(_TICK_SECONDS)
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

    def _place(self, key: str) -> TrialFolder:
        return TrialFolder(self._folder / key)

    def tested(self, trainings: Sequence[Training]) -> list[Outcome]:
        """Returns the outcomes of those trainings that an earlier session tested."""
        found = [self._recalled(training, to_test=True) for training in trainings]
        return [outcome for outcome in found if outcome is not None]

    def _recalled(self, training: Training, to_test: bool) -> Outcome | None:
        known = self._known.get(training.key)
        return None if known is None or (to_test and known.test is None) else known

    def outcome(self, training: Training, to_test: bool = False) -> Outcome | None:
        """Returns the outcome of a training; `None` if there is none that matches the request."""
        folder = self._place(training.key)
        try:
            record = read_dict(folder.result)
            if not training.matches(record):
                return self._recalled(training, to_test)
            if record["status"] == "failed":
                return Outcome(training, failure=str(record["message"]))
            result = TrialResult.from_dict(record)
            execution = result.executions[0]
        except (ValueError, KeyError, TypeError, IndexError):
            return self._recalled(training, to_test)
        if not folder.checkpoint.is_file():
            return self._recalled(training, to_test)
        return Outcome(
            training, execution, folder.checkpoint, None, None, as_dict(result.numerics), result
        )

    def remove(self, training: Training | None = None) -> None:
        """Removes what was kept, of all or of one training, once it is in the record."""
        shutil.rmtree(self._folder / (training.key if training else ""), ignore_errors=True)

    def close(self) -> None:
        """Writes how far they are; the executor is closed by whoever opened it."""
        with suppress(OSError):
            self._write_status(force=True)

    def _is_over(self) -> bool:
        return self.is_ending() and not self._queue.running

    def is_ending(self) -> bool:
        """Whether trainings must stop: interrupted, or the remaining time is for the report."""
        is_due = self._end is not None and clock() + REPORT_SECONDS > self._end
        return self._interruption.requested or is_due

    def _fill(self, waiting: list[Training]) -> None:
        while not self.is_ending() and self._queue.has_room() and waiting:
            self._begin(waiting.pop(0))

    def _begin(self, training: Training) -> None:
        folder = self._place(training.key)
        folder.path.mkdir(parents=True, exist_ok=True)
        if self._is_kept(training):
            self._attempts.restore(training.key, folder.facts)
        else:  # it is new, or of other epochs, another patience or other code than now
            for leftover in folder.path.iterdir():
                leftover.unlink()
            write_json(folder.facts, training.facts)
        task = replace(training.task, snapshots=str(folder.path), checkpoint=str(folder.checkpoint))
        self._counted.add(training.key)
        self._display.confirming(training.trial_id, training.seed, len(self._counted))
        self._queue.begin(training.key, task)

    def _is_kept(self, training: Training) -> bool:
        return training.matches(read_dict(self._place(training.key).facts))

    def _answer(self, job: Job, execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
        last = self._trainings[job.trial_id].stop_after
        if last is not None and epoch + 1 >= last:
            return Answer.STOP
        return Answer.PAUSE if self.is_ending() else Answer.GO

    def _repeated(self, job: Job, why: str) -> None:
        self._display.notice(f"{_named(self._trainings[job.trial_id])}: {why}")

    def _finish(self, job: Job, result: TrialResult) -> None:
        training = self._trainings[job.trial_id]
        folder = self._place(training.key)
        write_json(folder.result, result.as_dict() | training.facts)
        for path in () if training.task.keep_snapshots else folder.snapshots():
            path.unlink()
        self._attempts.forget(training.key)
        self._status.ended(training.key)
        score = result.executions[0].score if result.status != "failed" else None
        self._display.confirmed(training.trial_id, training.seed, score)
        if score is None:
            self._display.notice(f"{_named(training)} failed: {result.message}")


def _named(training: Training) -> str:
    return f"trial {training.trial_id} with seed {training.seed}"
