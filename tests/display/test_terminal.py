"""Effects of a terminal on a search: it is closed, its Ctrl-C reaches starting workers."""

import errno
import io
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import click
import pytest

from experiments import SearchConfig, run_search
from experiments.cli.main import _Refusing
from experiments.display.live import LiveDisplay
from experiments.display.plain import PlainDisplay
from experiments.executors import worker
from experiments.executors.base import Job, WorkerLost
from experiments.executors.processes import ProcessExecutor
from experiments.training.task import Answer, TrialResult
from tests.search.in_workers import hello


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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("display", [PlainDisplay, LiveDisplay])
def test_a_search_goes_on_where_the_terminal_lacks_a_character(
    display: type[PlainDisplay | LiveDisplay], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    with display() as shown:
        shown.notice("class 漢…: 3 images")
        shown.preparing(1, 2, "reading 漢")
    assert b"class \\u6f22\\u2026: 3 images" in raw.getvalue()


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

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> None:
        self.messages.append(f"lost: {loss.message}")


@pytest.mark.slow
def test_a_terminals_signals_while_workers_start_reach_none(
    capfd: pytest.CaptureFixture[str],
) -> None:
    executor, ends = ProcessExecutor(hello, 1), Ends()
    executor.submit(Job("0000", 1, "world"))
    (started,) = executor._workers.values()
    for number in (*[signal.SIGINT] * 5, signal.SIGHUP):  # as it sends them to the whole group
        os.kill(int(str(started.process.pid)), number)
        time.sleep(0.02)
    while not ends.messages:
        executor.wait(ends, 1.0)
    executor.close()
    assert ends.messages == ["hello, world"]
    assert "Traceback" not in capfd.readouterr().err
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert not {signal.SIGINT, signal.SIGHUP} & held


def test_a_worker_whose_driver_is_gone_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "interrupts_ignored",
        "own_process",
        "_die_with_parent",
    ):  # this process is no worker
        monkeypatch.setattr(worker, name, lambda: None)
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    worker.work(theirs, hello, dict(os.environ))  # before it could say that it is ready

    ours, theirs = multiprocessing.Pipe()
    ours.send(Job("0000", 1, "world"))

    def left_alone(task: Any, report: Any, note: Any) -> TrialResult:
        ours.close()
        return hello(task, lambda *epoch: None, note)

    worker.work(theirs, left_alone, dict(os.environ))


SIGNALLED = """
import os, signal, sys
import click
from experiments.cli.main import _Refusing
from experiments.process.interrupt import Interruption

@click.command(cls=_Refusing)
def restoring():
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))

@click.command(cls=_Refusing)
def searching():
    with Interruption(print) as interruption:
        for _ in range(2):  # from the terminal, and from the shell that ends with it
            os.kill(os.getpid(), signal.SIGHUP)
        print("requested", interruption.requested)

@click.command(cls=_Refusing)
def ignoring():
    with Interruption(print) as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGHUP)
    print("requested", interruption.requested)

is_ignored = sys.argv[2] == "ignoring"
signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
globals()[sys.argv[2]]([])
"""


@pytest.mark.parametrize(
    ("signals", "when", "code", "said"),
    [
        ("SIGTERM", "restoring", 130, "interrupted"),
        ("SIGHUP", "restoring", 130, "interrupted"),
        ("SIGHUP", "searching", 0, "requested True"),
        ("SIGHUP", "ignoring", 0, "requested False"),  # nohup
    ],
)
def test_the_end_of_a_terminal_and_of_the_system_are_as_ctrl_c(
    signals: str, when: str, code: int, said: str
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SIGNALLED, signals, when],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, (ran.stdout + ran.stderr).splitlines()[-1]) == (code, said)


class Gone(io.StringIO):
    """What a terminal is to a process after it was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_an_interrupt_is_one_when_the_terminal_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(cls=_Refusing)
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", Gone())
    with pytest.raises(SystemExit) as ended:
        interrupted([])
    assert ended.value.code == 130


SCRIPT = """
with open("runs.log", "a") as log:
    print("run", file=log)
from experiments.record.errors import UserError
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


FAILS = "if __name__ != '__main__':\n    raise ImportError('only here')\n"


@pytest.mark.parametrize("guarded", [False, True])
def test_what_ended_a_worker_is_told_at_the_first_death(guarded: bool, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    inside = f"{FAILS}if __name__ == '__main__':\n{indent(SCRIPT, '    ')}"
    script.write_text(inside if guarded else SCRIPT)
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
    assert ("belongs under `if __name__ == '__main__':`" in ran.stdout) != guarded
    assert ("its error is printed above" in ran.stdout) == guarded
    assert ran.stderr.count("ImportError: only here") == guarded
    assert guarded or ran.stderr == ""
    # Once by the user, once by the only worker that was started.
    assert (tmp_path / "runs.log").read_text().split() == ["run"] * (1 if guarded else 2)


def test_a_search_begins_in_no_worker_that_still_imports_its_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(SystemExit) as ended:
        run_search(SearchConfig("mnist_cnn", dataset="digits", runs_dir=str(tmp_path / "runs")))
    assert ended.value.code == 1
    assert not (tmp_path / "runs").exists()
