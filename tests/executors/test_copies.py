"""Workers as copies of one process that has imported TensorFlow."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any

import psutil
import pytest

from experiments.executors import copies
from experiments.executors.copies import ForkServer
from experiments.executors.processes import ProcessExecutor
from experiments.executors.worker import run_trial_quietly

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems start afresh")


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.end()


def what_is_there(pipe: Any) -> None:
    """Sends what a new process has before it imports anything, and trains."""
    there = {name: name in sys.modules for name in ("tensorflow", "experiments.training.run")}
    import experiments

    pipe.send((there, os.environ.get("OF_THE_SEARCH"), experiments.__file__, trained()))


def trained() -> float:
    import keras
    import numpy as np

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return float(model.fit(np.ones((8, 3)), np.ones(8), verbose=0).history["loss"][0])


def answered(context: SpawnContext | ForkServerContext) -> Any:
    ours, theirs = context.Pipe()
    process = context.Process(target=what_is_there, args=(theirs,))
    process.start()
    theirs.close()
    answer = ours.recv()
    process.join()
    assert process.exitcode == 0
    return answer


def test_copies_have_the_imports_and_train_as_others_do(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiments

    (tmp_path / "experiments").mkdir()  # a user's own
    (tmp_path / "experiments" / "__init__.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    context = server.begin({"OF_THE_SEARCH": "yes"})
    assert context.get_start_method() == "forkserver"
    os.kill(copies._server._forkserver_pid, signal.SIGTERM)  # as the end of a whole job does
    assert "OF_THE_SEARCH" not in os.environ
    there, of_search, file, loss = answered(context)
    assert there == {"tensorflow": True, "experiments.training.run": True}
    assert (of_search, file, loss) == ("yes", experiments.__file__, trained())


def test_a_server_that_was_killed_is_started_again_and_ends_with_its_executor(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_IMPORTS", "json")
    pids = []
    for _ in range(2):
        context = server.begin({})
        pids.append(copies._server._forkserver_pid)
        os.kill(pids[-1], signal.SIGKILL)
        os.waitid(os.P_PID, pids[-1], os.WEXITED | os.WNOWAIT)
    assert context.get_start_method() == "forkserver"
    assert pids[0] != pids[1]
    server.begin({})
    last = copies._server._forkserver_pid
    server.end()
    assert not psutil.pid_exists(last)
    assert copies._server._preload_modules == ["__main__"]  # as Python has it


def test_somebody_elses_server_and_another_executors_are_left_alone(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_IMPORTS", "json")
    assert server.begin({}).get_start_method() == "forkserver"
    running = copies._server._forkserver_pid
    other = ForkServer()
    assert other.begin({}).get_start_method() == "spawn"
    other.end()
    assert copies._server._forkserver_pid == running
    assert psutil.pid_exists(running)


def test_none_is_used_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr("experiments.executors.processes.gpus", lambda: [looked.append(1) or "0"])
    executor = ProcessExecutor(run_trial_quietly, 2)
    for slot in range(2):
        context = executor._context(executor._variables(slot))
        assert context.get_start_method() == "spawn"
    assert len(looked) == 1  # by a command that takes up to a second


def test_a_server_that_dies_as_it_imports_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_IMPORTS", "tests.executors.dying")
    monkeypatch.setenv("DIES_AS_IT_IMPORTS", "1")
    executor = ProcessExecutor(run_trial_quietly, 2)
    try:
        executor.begin()
        for _ in range(2):
            worker = executor._start()
            assert not worker.is_copy
            assert worker.process.is_alive()
    finally:
        executor.close(at_once=True)
    assert copies._server._forkserver_pid is None


def test_there_are_no_copies_of_what_is_imported_by_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('it is broken')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path", [str(path) for path in sys.path])
    executor = ProcessExecutor(run_trial_quietly, 1)
    try:
        assert not executor._start().is_copy  # it will say what is broken
    finally:
        executor.close(at_once=True)


@pytest.mark.parametrize("what", ["is waited for", "loses its socket", "can't start again"])
def test_a_server_leaves_nothing_whatever_somebody_else_does(
    what: str, server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_IMPORTS", "json")
    server.begin({})
    pid, address = copies._server._forkserver_pid, copies._server._forkserver_address
    if what == "loses its socket":
        os.unlink(address)
    else:
        os.kill(pid, signal.SIGKILL)
    if what == "is waited for":
        os.waitpid(pid, 0)
    if what == "can't start again":
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with monkeypatch.context() as patched:
            patched.setattr("multiprocessing.util.spawnv_passfds", refusing)
            assert server.begin({}).get_start_method() == "spawn"
    server.end()
    assert copies._server._forkserver_pid is None
    assert server.begin({}).get_start_method() == "forkserver"


def refusing(*arguments: Any) -> int:
    raise BlockingIOError("too many processes")


def test_a_copy_is_lost_with_its_own_server_which_closes_its_files_before_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "_IMPORTS", "json")
    executor = ProcessExecutor(run_trial_quietly, 1)
    try:
        worker = executor._start()
        os.kill(copies._server._forkserver_pid, signal.SIGKILL)
        os.waitid(os.P_PID, copies._server._forkserver_pid, os.WEXITED | os.WNOWAIT)
        executor._context({})  # starts another one
        closing = iter(["running", "disk-sleep"])
        status = psutil.Process.status
        monkeypatch.setattr(psutil.Process, "is_running", lambda process: True)
        monkeypatch.setattr(
            psutil.Process, "status", lambda process: next(closing, None) or status(process)
        )
        monkeypatch.setattr("experiments.executors.processes.out_of_memory_kills", lambda: 10**9)
        loss = worker.loss()
    finally:
        executor.close(at_once=True)
    assert loss.out_of_memory
    assert loss.message == "the worker process is gone: the machine was out of memory"


def test_none_is_used_where_it_could_not_work(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert server.begin({}).get_start_method() == "spawn"
    finally:
        signal.signal(signal.SIGCHLD, before)
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])
    assert server.begin({}).get_start_method() == "spawn"


def test_what_a_script_says_at_its_end_is_seen(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from experiments.executors import copies, make_executor\n"
        "from experiments.executors.base import Job\n"
        "if __name__ != '__main__':\n    sys.exit('FOO is missing')\n"
        "copies._IMPORTS = 'json'\n"
        "executor = make_executor(1)\n"
        "executor.submit(Job('0000', 1, 'task'))\n"
        "while True:\n    executor.wait(None, 1.0)\n"
    )
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.stderr.count("FOO is missing") == 1
    assert "its error is printed above" in ended.stderr


def test_nothing_is_left_of_one_whose_starter_was_killed(tmp_path: Path) -> None:
    text = (
        "import os, signal\n"
        "from experiments.executors import copies\n"
        "copies._IMPORTS = 'json'\n"
        # it takes some time to end after it has closed its end of the server's pipe
        "os.posix_fallocate(os.memfd_create('held'), 0, 200 << 20)\n"
        "context = copies.ForkServer().begin({})\n"
        "process = context.Process(target=print)\n"
        "process.start(); process.join()\n"  # it has begun to serve
        "print(copies._server._forkserver_pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    server = int(ended.stdout.split()[-1])
    for _ in range(200):
        if not psutil.pid_exists(server) or psutil.Process(server).status() == "zombie":
            break
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
