"""The main function of a worker process; loads TensorFlow at once if it is to train."""

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import connection, parent_process
from typing import Any

from experiments.executors.base import Run
from experiments.executors.starting import interrupts_ignored
from experiments.process.hardware import private_bytes
from experiments.process.inherited import own_keras, own_process
from experiments.record.errors import named_line
from experiments.training.task import Answer


def work(pipe: connection.Connection, run: Run, environment: Mapping[str, str]) -> None:
    """Runs the jobs that come through `pipe` until it says `None` or is closed.

    Args:
        pipe: Where jobs come from, and messages go to.
        run: Runs one task.
        environment: All variables; a copy of another process has those of its start.
    """
    os.environ.clear()
    os.environ.update(environment)
    # They reach the whole group of processes; the driver decides what becomes of trials.
    interrupts_ignored()
    own_process()
    _die_with_parent()
    with suppress(EOFError, ConnectionError):  # the driver is gone
        pipe.send(("ready",))
        if run is run_trial_quietly:
            _import_keras()
            own_keras()  # its script may have imported Keras before
        while (job := pipe.recv()) is not None:
            pipe.send(_outcome(run, job.task, pipe))


def _outcome(run: Run, task: Any, pipe: connection.Connection) -> tuple[Any, ...]:
    """Runs a task; returns a message with its result, or with the error that is no trial's own."""
    try:
        result = run(task, _reporter(pipe), lambda *note: pipe.send(("note", *note)))
    except Exception as error:
        error.add_note(f"In the worker process: {traceback.format_exc()}")
        return ("raised", _packed(error), named_line(error))
    return ("ended", result, private_bytes())


def _packed(error: Exception) -> bytes:
    try:
        return pickle.dumps(error)
    except Exception:  # it holds something that can't be sent
        return b""


def unpacked(error: bytes, line: str) -> Exception:
    """Returns an error that `run` raised in a worker.

    Args:
        error: The pickled error; may be damaged.
        line: What it says, for an error that can't be made here.
    """
    try:
        made: Exception = pickle.loads(error)
    except Exception:
        return RuntimeError(line)
    return made


def _die_with_parent() -> None:
    """Ends this process as soon as the driver is gone, in the midst of whatever it does."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _reporter(pipe: connection.Connection) -> Any:
    def report(execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
        pipe.send(("epoch", execution, epoch, metrics))
        return Answer(pipe.recv())

    return report


def run_trial_quietly(task: Any, report: Any, note: Any) -> Any:
    """Runs `run_trial`, and hides TensorFlow's messages at its import."""
    _import_keras()
    from experiments.training.run import run_trial

    return run_trial(task, report, note)


def _import_keras() -> None:
    if "tensorflow" not in sys.modules:
        from experiments.process.quiet import import_keras_quietly

        import_keras_quietly()
