"""What a terminal does to a search: it is closed, its Ctrl-C reaches workers that start."""

import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import SearchConfig, run_search
from experiments.display import PlainDisplay
from experiments.executors.base import Answer, Job, Loss
from experiments.executors.processes import ProcessExecutor
from experiments.live import LiveDisplay
from experiments.trial import TrialResult


@pytest.fixture
def hang_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A terminal as standard output and error; what is called closes it."""
    ours, theirs = pty.openpty()
    error = os.dup(theirs)
    output = os.fdopen(theirs, "w")
    complaints = os.fdopen(error, "w")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", complaints)
    yield lambda: os.close(ours)
    monkeypatch.undo()
    output.close()
    complaints.close()


@pytest.mark.parametrize("display", [PlainDisplay, LiveDisplay])
def test_a_search_goes_on_when_its_terminal_is_closed(
    display: type[PlainDisplay | LiveDisplay], hang_up: Callable[[], None]
) -> None:
    with display() as shown:
        shown.notice("seen")
        hang_up()
        shown.notice("seen by nobody")
        shown.notice("nor is this")
    sys.stdout.flush()


def hello(task: Any, report: Any, note: Any) -> TrialResult:
    report(0, 0, {})
    return TrialResult(message=f"hello, {task}")


class Ends:
    """Waits for the end of one job."""

    def __init__(self) -> None:
        self.messages: list[str | None] = []

    def epoch_ended(self, *arguments: Any) -> Answer:
        return Answer.GO

    def noted(self, *arguments: Any) -> None:
        """Nothing is said before an epoch here."""

    def ended(self, job: Job, result: Any, worker: str) -> None:
        self.messages.append(result.message)

    def lost(self, job: Job, loss: Loss, worker: str) -> None:
        self.messages.append(f"lost: {loss.message}")


@pytest.mark.slow
def test_ctrl_c_while_workers_start_reaches_none(capfd: pytest.CaptureFixture[str]) -> None:
    executor, ends = ProcessExecutor(hello, 1), Ends()
    executor.submit(Job("0000", 1, "world"))
    (worker,) = executor._workers.values()
    for _ in range(5):  # as the terminal sends it to the whole group
        os.kill(int(str(worker.process.pid)), signal.SIGINT)
        time.sleep(0.02)
    while not ends.messages:
        executor.wait(ends, 1.0)
    executor.close()
    assert ends.messages == ["hello, world"]
    assert "Traceback" not in capfd.readouterr().err
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


SCRIPT = """
with open("runs.log", "a") as log:
    print("run", file=log)
from experiments.errors import UserError
from experiments.executors import make_executor
from experiments.executors.base import Job
executor = make_executor(1, run=print)
try:
    executor.submit(Job("0000", 1, "task"))
    while True:
        executor.wait(None, 1.0)
except UserError as error:
    print(error)
"""


def test_a_script_without_a_guard_is_told_at_the_first_death(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ran.stdout.startswith("the worker process ended with exit code 1 before it could begin")
    assert "`if __name__ == '__main__':`" in ran.stdout
    assert ran.stderr == ""
    # Once by the user, once by the only worker that was started.
    assert (tmp_path / "runs.log").read_text().split() == ["run", "run"]


def test_a_search_begins_in_no_worker_that_still_imports_its_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit) as ended:
        run_search(SearchConfig("mnist_cnn", dataset="digits", runs_dir=str(tmp_path / "runs")))
    assert ended.value.code == 1
    assert not (tmp_path / "runs").exists()
