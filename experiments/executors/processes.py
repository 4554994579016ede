"""Runs trials in supervised worker processes on this machine."""

import atexit
import multiprocessing
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any

import psutil

from experiments.executors.base import Job, Listener, Run, WorkerLost
from experiments.executors.copies import ForkServer, current_server, is_gone
from experiments.executors.starting import interrupts_held, remedy, script_hidden
from experiments.executors.worker import run_trial_quietly, unpacked, work
from experiments.process.hardware import gpu_memory_shared, gpus, out_of_memory_kills
from experiments.process.numerics import INTER, INTRA, onednn_taken, says_threads, threads_of
from experiments.process.replaced import replaced
from experiments.record.errors import UserError

_MOST_GROWTH = 256 * 2**20  # bytes that a worker may grow by after its first trial
_END_SECONDS = 10.0


class Worker:
    """One process, and the job that it runs.

    Args:
        slot: Its number, from 0; a GPU is chosen by it.
        run: Runs one task.
        environment: Variables that TensorFlow reads at its start.
        context: Starts the process.
    """

    def __init__(
        self,
        slot: int,
        run: Run,
        environment: Mapping[str, str],
        context: SpawnContext | ForkServerContext,
    ) -> None:
        self.slot, self.is_copy = slot, context.get_start_method() == "forkserver"
        self.pipe, theirs = context.Pipe()
        self.job: Job | None = None
        self.is_new = True
        self.is_ready = False  # it has begun to wait for jobs
        self._memory_after_first: int | None = None
        self._kills_before = out_of_memory_kills()
        with replaced(os.environ, environment), interrupts_held(), script_hidden():
            self.process = context.Process(
                target=work, args=(theirs, run, dict(os.environ)), name=f"worker-{slot}"
            )
            self.process.daemon = True
            self.process.start()
        theirs.close()
        self._server = current_server()  # there may be another one when this worker is lost
        self._seen: psutil.Process | None = None  # no other one that has its number later
        with suppress(psutil.Error):  # it has ended already
            self._seen = psutil.Process(self.process.pid)

    @property
    def name(self) -> str:
        """Names it in the record."""
        return f"worker {self.slot} (process {self.process.pid})"

    def give(self, job: Job) -> None:
        """Starts `job`."""
        self.job, self.is_new = job, False
        self._kills_before = out_of_memory_kills()
        with suppress(OSError):  # it is gone already, which is detected next
            self.pipe.send(job)

    def has_grown(self, memory: int) -> bool:
        """Whether it has grown so much, with `memory` bytes after a trial, that it should end."""
        if self._memory_after_first is None:
            self._memory_after_first = memory
        return memory - self._memory_after_first > _MOST_GROWTH

    def loss(self) -> WorkerLost:
        """Says why the process is gone."""
        self.process.join(_END_SECONDS)
        # A copy whose fork server was killed counts as ended, but lives on: its trial begins anew.
        with suppress(psutil.Error):
            if self._seen is not None:
                self._seen.kill()
        code = self.process.exitcode
        if code == 255 and self.is_copy and is_gone(self._server):
            memory = out_of_memory_kills() > self._kills_before
            why = "the machine was out of memory" if memory else "what it is a copy of was killed"
            return WorkerLost(f"the worker process is gone: {why}", memory)
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            memory = code == -signal.SIGKILL and out_of_memory_kills() > self._kills_before
            why = ": the machine was out of memory" if memory else ""
            return WorkerLost(f"the worker process was killed by {name}{why}", memory)
        return WorkerLost(f"the worker process ended with exit code {code}")

    def dismiss(self) -> None:
        """Lets the process end when its job, if any, is done; does not wait for it."""
        with suppress(OSError):  # it is gone already
            self.pipe.send(None)
        self.pipe.close()

    def reap(self) -> None:
        """Waits until the process has ended, for some seconds, then kills it."""
        self.process.join(_END_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class ProcessExecutor:
    """Keeps up to `num_workers` processes; replaces those that die or have grown.

    Args:
        run: Runs one task; a function that a new process can import.
        num_workers: Processes at most.
        environment: Variables of theirs, which win over those of this process; a share of the
            cores and the GPUs if `None`.
    """

    isolates = True

    def __init__(
        self, run: Run, num_workers: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self._run, self._given = run, environment
        self._num_workers = num_workers
        self._gpus = gpus()
        self._workers: dict[int, Worker] = {}  # slot -> worker
        self._was_ready = False  # a worker has begun to wait for jobs
        self._leaving: list[Worker] = []
        self._server = ForkServer(bool(self._gpus))
        # Python would ask workers to end, which they don't hear, and wait for them.
        atexit.register(self.close, at_once=True)

    @property
    def threads(self) -> int:
        """Threads of a trial's operations: a worker's share of the cores."""
        return threads_of(self._num_workers)

    def begin(self) -> None:
        """Starts what workers are copies of, or a worker, before there is a job for it."""
        if self._context(self._variables(0)).get_start_method() == "spawn":
            self._start()

    def free(self) -> int:
        """Returns how many workers are idle or not started yet."""
        return self._num_workers - sum(w.job is not None for w in self._workers.values())

    def submit(self, job: Job) -> None:
        """Gives `job` to an idle worker, or to a new one."""
        if job.alone:
            for worker in [w for w in self._workers.values() if w.job is None and not w.is_new]:
                self._retire(worker)
        idle = next((w for w in self._workers.values() if w.job is None), None)
        if idle is not None and not idle.process.is_alive():
            self._retire(idle)
            idle = None
        (idle or self._start()).give(job)

    def _start(self) -> Worker:
        slot = next(s for s in range(self._num_workers) if s not in self._workers)
        variables = self._variables(slot)
        try:
            worker = Worker(slot, self._run, variables, self._context(variables))
        except (EOFError, OSError):  # the fork server died, maybe while it imported
            self._server.give_up()
            worker = Worker(slot, self._run, variables, self._context(variables))
        self._workers[slot] = worker
        return worker

    def _context(self, variables: Mapping[str, str]) -> SpawnContext | ForkServerContext:
        if self._run is run_trial_quietly:
            return self._server.begin(variables)
        return multiprocessing.get_context("spawn")

    def _variables(self, slot: int) -> dict[str, str]:
        """Returns the variables of a worker."""
        return dict(self._given or self._environment(slot))

    def _environment(self, slot: int) -> dict[str, str]:
        """Divides the cores, unless the user has, and pins a GPU where there are some."""
        names = ("OMP_NUM_THREADS", INTRA, INTER)
        environment = {name: str(threads_of(self._num_workers, name)) for name in names}
        if says_threads(names[0]):  # OpenMP takes lists, too
            environment[names[0]] = os.environ[names[0]]
        environment |= {n: v for n, v in onednn_taken().items() if n not in os.environ}
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
            environment |= gpu_memory_shared()
        return environment

    def wait(self, listener: Listener, timeout: float) -> None:
        """Passes on messages of the workers, and detects those that are gone.

        Raises:
            UserError: The first worker has ended by itself before it could take a job.
            Exception: `run` has raised it, as it does in `InlineExecutor`.
        """
        busy = {w.pipe: w for w in self._workers.values() if w.job is not None}
        sentinels = [w.process.sentinel for w in busy.values()]
        ready = connection.wait([*busy, *sentinels], timeout)
        for pipe, worker in busy.items():
            if pipe in ready:
                self._hear(worker, listener)
            if worker.job is not None and worker.process.sentinel in ready:
                self._lose(worker, listener)

    def _hear(self, worker: Worker, listener: Listener) -> None:
        while worker.job is not None:
            try:
                message = worker.pipe.recv() if worker.pipe.poll() else None
            except (EOFError, OSError):
                self._lose(worker, listener)
                return
            if message is None:
                return
            self._pass_on(worker, worker.job, message, listener)

    def _pass_on(self, worker: Worker, job: Job, message: Any, listener: Listener) -> None:
        kind, *content = message
        if kind == "epoch":
            answer = listener.epoch_ended(job, *content)
            with suppress(OSError):  # the worker is gone, which is detected next
                worker.pipe.send(int(answer))
        elif kind == "note":
            listener.noted(job, *content)
        elif kind == "ready":
            worker.is_ready = self._was_ready = True
        elif kind == "raised":
            worker.job = None
            raise unpacked(*content)
        else:
            result, memory = content
            worker.job = None
            name = worker.name
            if worker.has_grown(memory):
                self._retire(worker)
            listener.ended(job, result, name)

    def _lose(self, worker: Worker, listener: Listener) -> None:
        job, worker.job = worker.job, None
        loss, name = worker.loss(), worker.name
        self._retire(worker)
        if not worker.is_ready and not self._was_ready and (worker.process.exitcode or 0) > 0:
            if worker.is_copy and job is not None:  # a process of its own says more of why
                self._server.give_up()
                self._start().give(job)
                return
            raise UserError(f"{loss.message} before it could begin a trial: {remedy()}")
        if job is not None:
            listener.lost(job, loss, name)

    def _retire(self, worker: Worker) -> None:
        self._workers.pop(worker.slot, None)
        worker.dismiss()
        self._leaving = [w for w in (*self._leaving, worker) if w.process.is_alive()]

    def close(self, at_once: bool = False) -> None:
        """Ends all workers; those that run a trial are killed."""
        for worker in list(self._workers.values()):
            if at_once or worker.job is not None:
                worker.process.kill()
            self._retire(worker)
        for worker in self._leaving:
            worker.reap()
        self._leaving = []
        self._server.end()
        atexit.unregister(self.close)
