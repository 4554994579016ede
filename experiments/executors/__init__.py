"""Where trials run: in this process, in worker processes, or on a Ray cluster."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from experiments.executors.base import Executor
from experiments.executors.starting import refuse_while_spawning
from experiments.process.inherited import before_imports
from experiments.record.errors import UserError

if TYPE_CHECKING:
    from experiments.config import SearchConfig


def check_available(ray_address: str | None) -> None:
    """Checks that the packages that run trials are installed, without importing them.

    Raises:
        UserError: One is missing.
    """
    if ray_address is not None and importlib.util.find_spec("ray") is None:
        raise UserError(
            f"--ray {ray_address} needs Ray: install the suite with its extra, `pip install "
            "'keras-tuner-experiments[cluster]'`, or go without it: --ray none"
        )


def make_executor(
    workers: int | None,
    ray_address: str | None = None,
    *,
    run: Callable[..., Any] | None = None,
    cpus_per_trial: float = 1.0,
    gpus_per_trial: float = 0.0,
    environment: Mapping[str, str] | None = None,
) -> Executor:
    """Makes an executor.

    Args:
        workers: Worker processes; 0 runs trials in this process, `None` takes as many as fit.
        ray_address: Address of a Ray cluster, or `local`; worker processes if `None`.
        run: Runs one task; `run_trial` if `None`.
        cpus_per_trial: CPUs that Ray reserves for a trial.
        gpus_per_trial: GPUs that Ray reserves for a trial.
        environment: Variables of worker processes, which win over those of this process.

    Raises:
        UserError: The cluster can't be reached.
        SystemExit: This is a worker process that still imports the script of its search.
    """
    refuse_while_spawning()
    if run is None:
        from experiments.executors.worker import run_trial_quietly

        run = run_trial_quietly
    if ray_address is not None:
        if ray_address == "local":
            # Read when Ray is imported: the loopback address alone, as Ray does by itself where
            # it knows no clusters. Nothing of it can be reached from elsewhere.
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        from experiments.executors.on_ray import RayExecutor

        return RayExecutor(ray_address, run, cpus_per_trial, gpus_per_trial)
    if workers == 0:
        from experiments.executors.inline import InlineExecutor

        return InlineExecutor(run)
    from experiments.executors.processes import ProcessExecutor
    from experiments.process.hardware import suitable_workers

    return ProcessExecutor(run, suitable_workers() if workers is None else workers, environment)


def executor_of(config: "SearchConfig") -> Executor:
    """Makes the executor that a search asks for.

    Raises:
        UserError: The cluster can't be reached, or has no room.
    """
    workers = None if config.workers == "auto" else int(config.workers)
    return make_executor(
        workers, config.ray, cpus_per_trial=config.ray_cpus, gpus_per_trial=config.ray_gpus
    )


@contextmanager
def opened(config: "SearchConfig", begun: Executor | None = None) -> Iterator[Executor]:
    """Opens the executor of a search, and closes it at the end.

    It is opened before anything of the search is written: a cluster may refuse.

    Args:
        config: The search.
        begun: Its executor, if it has been opened already.

    Raises:
        UserError: The cluster can't be reached, or has no room.
    """
    executor = begun or executor_of(config)
    try:
        yield executor
    finally:
        executor.close(at_once=True)


@contextmanager
def begun_early(
    config: "SearchConfig", import_keras: Callable[[], None]
) -> Iterator[Executor | None]:
    """Starts a first worker, which imports Keras while this process does so.

    Either takes seconds. Yields the executor, to be used by the search; `None` where it has no
    worker processes, or where this process has imported Keras already.
    """
    if config.ray is not None or config.workers == 0 or "keras" in sys.modules:
        import_keras()
        yield None
        return
    from experiments.executors.processes import ProcessExecutor

    before_imports()  # the worker inherits what is set, and says nothing of it again
    executor = executor_of(config)
    assert isinstance(executor, ProcessExecutor)
    executor.begin()
    try:
        import_keras()
        yield executor
    finally:
        executor.close(at_once=True)
