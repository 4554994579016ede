"""The protocol between the driver, which holds the oracle, and what runs trials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from experiments.training.task import Answer


@dataclass(frozen=True)
class Job:
    """One attempt at a trial.

    Args:
        trial_id: The trial.
        attempt: Number of the attempt, from 1.
        task: What `run` is called with; plain data.
        alone: Wants all memory: a process that ran nothing before, and nothing beside it.
    """

    trial_id: str
    attempt: int
    task: Any
    alone: bool = False


@dataclass(frozen=True)
class WorkerLost:
    """Why an attempt was lost with the process that ran it.

    Args:
        message: What happened, in one line.
        out_of_memory: Whether the process was killed for the memory it took.
    """

    message: str
    out_of_memory: bool = False


# (task, report(execution, epoch, metrics) -> Answer, note(what, done, total)) -> TrialResult
Run = Callable[[Any, Callable[..., Answer], Callable[..., None]], Any]


class Listener(Protocol):
    """Receives the events of jobs; called from `Executor.wait` alone."""

    def is_ending(self) -> bool:
        """Returns whether jobs must stop: those that wait for a place are not to begin."""

    def epoch_ended(
        self, job: Job, execution: int, epoch: int, metrics: dict[str, float]
    ) -> Answer:
        """Receives an epoch and answers how to continue."""

    def noted(self, job: Job, what: str, done: int, total: int) -> None:
        """Receives progress before the first epoch."""

    def ended(self, job: Job, result: Any, worker: str) -> None:
        """Receives the result of a job."""

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> None:
        """Receives the loss of a job that ended without a result."""


class Executor(Protocol):
    """Runs jobs; knows nothing of oracles and records."""

    # Whether a trial that ran out of memory may fare better in a process of its own.
    isolates: bool

    @property
    def threads(self) -> int | None:
        """Threads of a trial's operations; `None` on a cluster, whose nodes decide."""

    def free(self) -> int:
        """Returns how many more jobs can be started at once."""

    def submit(self, job: Job) -> None:
        """Starts a job; only when `free()` is not 0."""

    def wait(self, listener: Listener, timeout: float) -> None:
        """Passes events to `listener`; waits up to `timeout` seconds for one."""

    def close(self, at_once: bool = False) -> None:
        """Ends all workers, with `at_once` in the midst of their trials."""
