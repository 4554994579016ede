"""Trainings of finalists that are lost or out of memory: told, repeated, counted over sessions."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.display.base import Display
from experiments.executors.base import Job, Listener, WorkerLost
from experiments.executors.inline import InlineExecutor
from experiments.finalists.trainings import Outcome, Training, Trainings
from experiments.record.objective import Objective
from experiments.training.task import Execution, TrialResult, TrialTask

KEY = "0003-7"
GONE = "the worker process was killed by SIGKILL"


class Killed(BaseException):
    """Ends the session in the midst of things, as `kill -9` would."""


class Notes(Display):
    """Keeps the notices."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, line: str) -> None:
        self.lines.append(line)


class Troubled(InlineExecutor):
    """Meets trouble in its first attempts: loses them, lacks memory, or ends the session."""

    isolates = True

    def __init__(self, *trouble: str) -> None:
        super().__init__(run)
        self.jobs: list[Job] = []
        self._trouble = list(trouble)

    def wait(self, listener: Listener, timeout: float) -> None:
        assert self._job is not None
        self.jobs.append(self._job)
        trouble = self._trouble.pop(0) if self._trouble else ""
        if not trouble:
            super().wait(listener, timeout)
            return
        job, self._job = self._job, None
        if trouble == "kill":
            raise Killed
        if trouble == "memory":
            failed = TrialResult("failed", cause="out_of_memory", message="no memory")
            listener.ended(job, failed, "w")
        else:
            listener.lost(job, WorkerLost(GONE, trouble == "killed for memory"), "w")


def run(task: TrialTask, report: Any, note: Any) -> TrialResult:
    Path(str(task.checkpoint)).touch()
    return TrialResult(executions=[Execution(task.seeds[0], {"val_accuracy": [0.5]}, 0, 0.5)])


def train(study: Path, executor: Troubled, display: Display | None = None) -> Outcome:
    data: Any = None
    task = TrialTask("s", {}, {}, data, Objective("val_accuracy", "max"), epochs=1, seeds=(7,))
    trainings = Trainings(study, executor, display or Display(), {})
    return trainings.run([Training("0003", 7, task)])[0]


def attempts(study: Path) -> Any:
    path = study / "artifacts" / "finalists" / KEY / "attempts.json"
    return [a["outcome"] for a in json.loads(path.read_text())] if path.exists() else None


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("memory", "no memory; it is run again, alone"),
        ("killed for memory", f"{GONE}; it is run again, alone"),
        ("lost", f"{GONE}; it is run again"),
    ],
)
def test_a_training_that_is_run_again_is_told(trouble: str, words: str, tmp_path: Path) -> None:
    notes, executor = Notes(), Troubled(trouble)
    assert train(tmp_path, executor, notes).score == 0.5
    assert notes.lines == [f"trial 0003 with seed 7: {words}"]
    assert [job.alone for job in executor.jobs] == [False, words.endswith("alone")]
    assert attempts(tmp_path) is None  # it has ended


def test_a_training_without_memory_alone_fails(tmp_path: Path) -> None:
    assert train(tmp_path, Troubled("memory", "memory")).failure == "no memory"


def test_losses_count_over_sessions(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, Troubled("lost", "kill"))
    assert attempts(tmp_path) == ["lost", None]
    with pytest.raises(Killed):
        train(tmp_path, Troubled("lost", "kill"))
    assert attempts(tmp_path) == ["lost", "interrupted", "lost", None]
    last = Troubled("lost")
    assert train(tmp_path, last).failure == GONE
    assert [job.attempt for job in last.jobs] == [5]
    assert attempts(tmp_path) is None


def test_a_training_that_wants_all_memory_has_it_in_the_next_session(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, Troubled("memory", "kill"))
    later = Troubled()
    assert train(tmp_path, later).score == 0.5
    assert [job.alone for job in later.jobs] == [True]
