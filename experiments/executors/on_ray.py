"""Runs trials on a Ray cluster, which places them, detects lost nodes and accepts new ones.

All nodes need the study folder and the cache folder under the same path.
"""

import time
from typing import Any

from experiments.executors.base import Job, Listener, Run, WorkerLost
from experiments.record.errors import UserError, named_line
from experiments.training.task import Answer, TrialResult

try:
    import ray
    from ray.exceptions import OutOfMemoryError, RayError, RayTaskError
except ImportError as error:  # `check_available` has refused where it is not there at all
    raise UserError(f"--ray: the installed Ray can't be imported ({error}): mend it") from None

_TRIALS_A_PROCESS = 20  # before TensorFlow has grown too large


class _Mailbox:
    """An actor beside the driver: holds reports until the driver has answered them."""

    def __init__(self) -> None:
        import asyncio

        self._news: Any = asyncio.Queue()
        self._answers: dict[int, Any] = {}
        self._count = 0

    async def exchange(self, key: tuple[str, int], kind: str, content: tuple[Any, ...]) -> int:
        """Passes a report on and returns the driver's answer to it."""
        import asyncio

        self._count += 1
        number = self._count
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._news.put((number, key, kind, content))
        try:
            return int(await self._answers[number])
        finally:
            del self._answers[number]

    async def tell(self, key: tuple[str, int], kind: str, content: tuple[Any, ...]) -> None:
        """Passes on a message that needs no answer."""
        await self._news.put((None, key, kind, content))

    async def take(self, timeout: float) -> list[Any]:
        """Returns pending messages, or the first that arrives within `timeout` seconds."""
        import asyncio

        try:
            taken = [await asyncio.wait_for(self._news.get(), timeout)]
        except TimeoutError:
            return []
        while not self._news.empty():
            taken.append(self._news.get_nowait())
        return taken

    async def answer(self, number: int, answer: int) -> None:
        """Answers a report."""
        if number in self._answers and not self._answers[number].done():
            self._answers[number].set_result(answer)


def _work(run: Run, job: Job, mailbox: Any) -> tuple[Any, str]:
    """Runs a job on whatever node Ray has chosen."""
    import platform

    key = (job.trial_id, job.attempt)

    def report(execution: int, epoch: int, metrics: dict[str, float]) -> Answer:
        content = (execution, epoch, metrics)
        return Answer(ray.get(mailbox.exchange.remote(key, "epoch", content)))

    def note(what: str, done: int, total: int) -> None:
        mailbox.tell.remote(key, "note", (what, done, total))

    mailbox.tell.remote(key, "begun", ())
    node = ray.get_runtime_context().get_node_id()[:8]
    return run(job.task, report, note), f"{platform.node()}, Ray node {node}"


class RayExecutor:
    """Keeps as many jobs in flight as the cluster has room for at the moment.

    Args:
        address: Address of the cluster, or `local` for one of this machine alone.
        run: Runs one task; a function that the nodes can import.
        cpus: CPUs of a trial.
        gpus: GPUs of a trial.

    Raises:
        UserError: The cluster can't be reached, or has no room for one trial.
    """

    isolates = True
    threads = None  # of a trial's operations: nodes decide

    def __init__(self, address: str, run: Run, cpus: float, gpus: float) -> None:
        self._cpus, self._gpus, self._run = cpus, gpus, run
        self._is_closed = False
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(address)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._mailbox = ray.remote(_Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        self._work, self._alone = (
            ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, max_calls=calls)(_work)
            for calls in (_TRIALS_A_PROCESS, 1)
        )
        self._jobs: dict[Any, Job] = {}  # reference to the result -> job
        self._placed: set[Any] = set()  # references to those that have sent a message
        self._news: Any = None
        if self._room() < 1:
            self.close(at_once=True)
            raise UserError(
                f"--ray {address}: no node has the {cpus:g} CPUs and {gpus:g} GPUs of a trial; "
                "ask for less with --ray-cpus and --ray-gpus, or add nodes"
            )

    def _room(self) -> int:
        """Returns the trials that fit on all nodes there are now, node by node."""
        return sum(
            min(
                [
                    int(node["Resources"].get(kind, 0.0) / wanted)
                    for kind, wanted in (("CPU", self._cpus), ("GPU", self._gpus))
                    if wanted > 0
                ]
                or [1]
            )
            for node in ray.nodes()
            if node["Alive"]
        )

    def free(self) -> int:
        """Returns how many more trials the cluster has room for."""
        return max(0, self._room() - len(self._jobs))

    def submit(self, job: Job) -> None:
        """Asks Ray to place `job`."""
        work = self._alone if job.alone else self._work
        self._jobs[work.remote(self._run, job, self._mailbox)] = job

    def wait(self, listener: Listener, timeout: float) -> None:
        """Passes on messages of the nodes, and detects lost nodes."""
        if listener.is_ending():
            self._withdraw(listener)
        if not self._jobs:
            time.sleep(timeout)
            return
        if self._news is None:
            self._news = self._mailbox.take.remote(timeout)
        ready, _ = ray.wait(
            [self._news, *self._jobs], num_returns=1, timeout=timeout, fetch_local=False
        )
        if self._news in ready:
            self._read(listener)
        for reference in [r for r in ready if r in self._jobs]:
            if self._news is not None:  # messages of the job come before its end
                self._read(listener)
            self._end(reference, listener)

    def _withdraw(self, listener: Listener) -> None:
        """Pauses jobs that may have no place yet: Ray may find one only after the end."""
        for reference in [r for r in self._jobs if r not in self._placed]:
            ray.cancel(reference, force=True)
            listener.ended(self._jobs.pop(reference), TrialResult(status="paused"), "ray")

    def _read(self, listener: Listener) -> None:
        news, self._news = self._news, None
        jobs = {(job.trial_id, job.attempt): (r, job) for r, job in self._jobs.items()}
        for number, key, kind, content in ray.get(news):
            reference, job = jobs.get(tuple(key), (None, None))
            if job is not None:
                self._placed.add(reference)
            answer = Answer.STOP
            if job is not None and kind == "epoch":
                answer = listener.epoch_ended(job, *content)
            elif job is not None and kind == "note":
                listener.noted(job, *content)
            if number is not None:
                self._mailbox.answer.remote(number, int(answer))

    def _end(self, reference: Any, listener: Listener) -> None:
        job = self._jobs.pop(reference)
        self._placed.discard(reference)
        try:
            result, worker = ray.get(reference)
        except RayTaskError as error:  # the task itself has raised
            listener.lost(job, WorkerLost(named_line(error)), "ray")
        except RayError as error:
            why = f"the worker process was lost: {named_line(error)}"
            listener.lost(job, WorkerLost(why, isinstance(error, OutOfMemoryError)), "ray")
        else:
            listener.ended(job, result, worker)

    def close(self, at_once: bool = False) -> None:
        """Cancels what still runs, and leaves the cluster."""
        if self._is_closed:
            return
        self._is_closed = True
        for reference in self._jobs:
            ray.cancel(reference, force=True)
        self._jobs.clear()
        ray.kill(self._mailbox)
        if self._ours:
            ray.shutdown()


def _connect(address: str) -> None:
    try:
        where = {"include_dashboard": False} if address == "local" else {"address": address}
        ray.init(**where, log_to_driver=False, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise UserError(f"--ray {address}: {named_line(error)}") from None
