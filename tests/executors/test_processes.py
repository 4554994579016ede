"""Worker processes, which import this file: it loads no TensorFlow."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.executors.base import Job, WorkerLost
from experiments.executors.processes import ProcessExecutor


class OwnError(Exception):
    """Can be pickled, and not be made again."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def raising(task: str, report: Any, note: Any) -> None:
    if task == "lives":
        os.kill(os.getpid(), signal.SIGTERM)
        return
    if task == "fatal":
        raise TypeError("HyperModel.fit returned None")
    if task == "can't be sent":
        raise ValueError(lambda: "a function")
    raise OwnError("no", "model")


def lost(job: Job, loss: WorkerLost, worker: str) -> None:
    pytest.fail(loss.message)


def ignored(*event: Any) -> None:
    """Is told of a job's end."""


def ended(executor: ProcessExecutor) -> None:
    while any(worker.job for worker in executor._workers.values()):
        executor.wait(cast(Any, SimpleNamespace(lost=lost, ended=ignored)), 10.0)


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(raising, 1)
    yield executor
    executor.close(at_once=True)


def test_what_a_run_raises_is_raised_here_and_the_worker_lives(executor: ProcessExecutor) -> None:
    expected = {
        "fatal": (TypeError, "HyperModel.fit returned None"),
        "can't be sent": (RuntimeError, "ValueError: <function raising"),
        "can't be made": (RuntimeError, "OwnError: no: model"),
    }
    for number, (task, (kind, message)) in enumerate(expected.items(), 1):
        executor.submit(Job("0000", number, task))
        with pytest.raises(kind, match=message) as raised:
            ended(executor)
        assert ("in raising" in str(getattr(raised.value, "__notes__", ""))) == (task == "fatal")
    (worker,) = executor._workers.values()
    assert worker.process.is_alive()


def test_a_worker_does_not_hear_the_end_of_a_whole_job(executor: ProcessExecutor) -> None:
    executor.submit(Job("0000", 1, "lives"))
    ended(executor)


def test_a_process_ends_that_has_not_closed_its_workers() -> None:
    text = (
        "from experiments.executors.processes import ProcessExecutor\n"
        "executor = ProcessExecutor(print, 1)\n"
        "executor._start()\n"
    )
    ran = subprocess.run([sys.executable, "-c", text], timeout=60, check=True, capture_output=True)
    assert ran.stderr == b""
