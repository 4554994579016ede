"""Jobs on a stand-in of Ray, which need not be installed: lost ones, and ones without a place."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from experiments.executors.base import Job, WorkerLost


class RayError(Exception):
    """As Ray's, the base of the others."""


class OutOfMemoryError(RayError):
    """A node had no memory left."""


class RayTaskError(RayError):
    """The task itself has raised."""


class WorkerCrashedError(RayError):
    """The process of a task is gone."""


class Ray(ModuleType):
    """A cluster of one node, whose tasks end as the test says."""

    def __init__(self) -> None:
        super().__init__("ray")
        kinds = (RayError, OutOfMemoryError, RayTaskError)
        self.exceptions: Any = ModuleType("ray.exceptions")
        vars(self.exceptions).update({kind.__name__: kind for kind in kinds})
        node = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
        self.util = SimpleNamespace(scheduling_strategies=node)
        self.ready: dict[str, Any] = {}  # reference -> what its task has raised, or the news
        self.cancelled: list[str] = []

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "node")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, *given: Any, **options: Any) -> Any:
        if not given:  # a task, whose reference is the id of its trial
            return lambda _: SimpleNamespace(remote=lambda run, job, mailbox: job.trial_id)
        mailbox = SimpleNamespace(take=SimpleNamespace(remote=lambda timeout: "news"))
        mailbox.answer = SimpleNamespace(remote=lambda number, answer: None)
        actor = SimpleNamespace(remote=lambda: mailbox)
        return SimpleNamespace(options=lambda **_: actor)

    def wait(self, references: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        return [r for r in references if r in self.ready], []

    def get(self, reference: Any) -> Any:
        found = self.ready.pop(reference, [])
        if isinstance(found, BaseException):
            raise found
        return found

    def cancel(self, reference: Any, force: bool) -> None:
        self.cancelled.append(reference)


class Heard:
    """A listener that keeps losses and results."""

    def __init__(self) -> None:
        self.losses: list[WorkerLost] = []
        self.results: list[tuple[str, str]] = []
        self.ends = False

    def is_ending(self) -> bool:
        return self.ends

    def noted(self, job: Job, what: str, done: int, total: int) -> None:
        """Is told of progress."""

    def ended(self, job: Job, result: Any, worker: str) -> None:
        self.results.append((job.trial_id, result.status))

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> None:
        self.losses.append(loss)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    ray = Ray()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.exceptions", ray.exceptions)
    monkeypatch.delitem(sys.modules, "experiments.executors.on_ray", raising=False)
    return ray


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (WorkerCrashedError("no node"),
         WorkerLost("the worker process was lost: WorkerCrashedError: no node")),
        (OutOfMemoryError("all taken"),
         WorkerLost("the worker process was lost: OutOfMemoryError: all taken", True)),
        (RayTaskError("a bug"), WorkerLost("RayTaskError: a bug")),
    ],
)  # fmt: skip
def test_a_loss_is_told_from_a_fault_of_the_task(
    error: Exception, expected: WorkerLost, ray: Ray
) -> None:
    from experiments.executors.on_ray import RayExecutor

    executor, listener = RayExecutor("auto", lambda *_: None, 1, 0), Heard()
    executor.submit(Job("0001", 1, None))
    ray.ready["0001"] = error
    executor.wait(listener, 0.0)  # type: ignore[arg-type]
    assert listener.losses == [expected]


def test_jobs_without_a_place_do_not_hold_up_the_end(ray: Ray) -> None:
    from experiments.executors.on_ray import RayExecutor

    executor, listener = RayExecutor("auto", lambda *_: None, 1, 0), Heard()
    for name in ("0001", "0002"):
        executor.submit(Job(name, 1, None))
    ray.ready["news"] = [(None, ("0001", 1), "begun", ())]
    executor.wait(listener, 0.0)  # type: ignore[arg-type]
    assert (listener.results, ray.cancelled) == ([], [])
    listener.ends = True
    executor.wait(listener, 0.0)  # type: ignore[arg-type]
    assert listener.results == [("0002", "paused")]
    assert ray.cancelled == ["0002"]
    assert executor.free() == 1
