"""The queue of attempts: room, jobs that have to run alone, attempts that have ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.executors.attempt_log import AttemptLog
from experiments.executors.base import Job, Listener, WorkerLost
from experiments.executors.queue import Queue
from experiments.record.layout import TrialFolder
from experiments.training.task import TrialResult

MEMORY = TrialResult("failed", cause="out_of_memory", message="no memory")


class Places:
    """Has places for two jobs; what becomes of them is up to the test."""

    isolates = True

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.num_running = 0

    def free(self) -> int:
        return 2 - self.num_running

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.num_running += 1

    def wait(self, listener: Listener, timeout: float) -> None:
        """Nothing happens by itself."""

    def close(self, at_once: bool = False) -> None:
        """Nothing is left to end."""


@pytest.fixture
def places() -> Places:
    return Places()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def queue(tmp_path: Path, places: Places, lines: list[str]) -> Queue:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "begun.json").touch()
    return Queue(
        places,
        AttemptLog(lambda trial_id: TrialFolder(tmp_path / trial_id)),
        lambda job, why: lines.append(why),
    )


def end(queue: Queue, places: Places, job: Job, result: TrialResult) -> TrialResult | None:
    places.num_running -= 1
    return queue.ended(job, result, "w")


def attempts(folder: Path) -> Any:
    return json.loads((folder / "attempts.json").read_text())


def test_a_job_that_wants_all_memory_waits_until_nothing_runs_beside_it(
    queue: Queue, places: Places, lines: list[str]
) -> None:
    queue.begin("a", None)
    queue.begin("b", None)
    first, second = places.jobs
    assert not queue.has_room()
    assert end(queue, places, first, MEMORY) is None
    assert not queue.has_room()  # b still runs
    assert lines == ["no memory; it is run again, alone"]
    done = TrialResult()
    assert end(queue, places, second, done) is done
    assert not queue.has_room()  # a runs, alone
    assert [(job.trial_id, job.attempt, job.alone) for job in places.jobs[2:]] == [("a", 2, True)]
    assert end(queue, places, places.jobs[-1], MEMORY) is MEMORY
    assert queue.is_empty
    assert queue.has_room()


def test_a_job_that_lacked_memory_stays_alone_when_it_is_lost(
    queue: Queue, places: Places, lines: list[str]
) -> None:
    queue.begin("a", None)
    end(queue, places, places.jobs[0], MEMORY)
    queue.has_room()
    places.num_running -= 1
    queue.lost(places.jobs[1], WorkerLost("gone"), "w")
    queue.has_room()
    assert [job.alone for job in places.jobs] == [False, True, True]
    assert lines[1] == "gone; it is run again, alone"


@pytest.mark.parametrize("isolates", [True, False])
def test_a_job_that_waited_to_be_alone_is_alone_in_the_next_session(
    queue: Queue, places: Places, tmp_path: Path, isolates: bool
) -> None:
    queue.begin("a", None)
    queue.begin("b", None)
    end(queue, places, places.jobs[0], MEMORY)  # the session ends while b runs
    log = AttemptLog(lambda trial_id: TrialFolder(tmp_path / trial_id))
    log.restore("a", tmp_path / "a" / "begun.json")
    later = Places()
    later.isolates = isolates
    Queue(later, log, lambda job, why: None).begin("a", None)
    assert [(job.attempt, job.alone) for job in later.jobs] == [(2, isolates)]


def test_what_is_heard_of_an_attempt_that_is_over_is_ignored(queue: Queue, places: Places) -> None:
    queue.begin("a", None)
    (job,) = places.jobs
    queue.lost(job, WorkerLost("gone"), "w")
    queue.has_room()
    assert not queue.is_current(job)
    assert queue.ended(job, TrialResult(), "w") is None
    assert queue.lost(job, WorkerLost("gone"), "w") is None
    assert [other.attempt for other in queue.running.values()] == [2]


def test_a_loss_is_on_the_disk_before_there_is_room_to_run_it_again(
    queue: Queue, places: Places, tmp_path: Path
) -> None:
    queue.begin("a", None)
    queue.lost(places.jobs[0], WorkerLost("gone"), "w")
    assert [a["outcome"] for a in attempts(tmp_path / "a")] == ["lost"]


def test_a_paused_attempt_is_followed_by_one_of_a_later_session(
    queue: Queue, places: Places, tmp_path: Path
) -> None:
    queue.begin("a", None)
    assert end(queue, places, places.jobs[0], TrialResult("paused")) is None
    assert queue.is_empty
    log = AttemptLog(lambda trial_id: TrialFolder(tmp_path / trial_id))
    log.restore("a", tmp_path / "a" / "begun.json")
    later = Places()
    Queue(later, log, lambda job, why: None).begin("a", None)
    assert [job.attempt for job in later.jobs] == [2]
    assert [a["outcome"] for a in attempts(tmp_path / "a")] == ["paused", None]


def test_a_first_attempt_that_was_killed_counts(queue: Queue, tmp_path: Path) -> None:
    log = AttemptLog(lambda trial_id: TrialFolder(tmp_path / trial_id))
    log.restore("b", tmp_path / "b" / "begun.json")
    assert [attempt.outcome for attempt in log.of("b")] == ["interrupted"]
    log.forget("b")
    assert log.of("b") == []
