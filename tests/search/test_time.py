"""Durations: measured by a clock that only runs forward, of all attempts; deadlines know them."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import keras_tuner
import pytest

from benchmarks import simulated
from benchmarks.simulated import Simulation
from experiments.config import SearchConfig, trainings_in_turn
from experiments.display.base import Display
from experiments.executors.deadline import Cost, Deadline
from experiments.executors.inline import InlineExecutor
from experiments.finalists.ranking import Ranking
from experiments.finalists.trainings import OutOfTimeError, Training, Trainings
from experiments.record.durations import REPORT_SECONDS, trial_seconds
from experiments.record.durations import clock as deadline_clock
from experiments.record.objective import Objective
from experiments.training.task import Answer, Execution, TrialResult, TrialTask
from reports.study.frames import trials_frame

EPOCH = 2.0


class Clock:
    """A clock that simulated epochs move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulation(tmp_path: Path) -> Simulation:
    folder = tmp_path / "study"
    folder.mkdir()
    return Simulation(folder, max_trials=3, epochs=4)


class Ticking:
    """Runs simulated trials, each epoch of which moves the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, task: Any, report: Any, note: Any) -> TrialResult:
        def ticks(execution: int, epoch: int, metrics: Any) -> Answer:
            self._clock.now += EPOCH
            return Answer(report(execution, epoch, metrics))

        result = simulated.train(task, ticks, note)
        result.executions[0].epoch_seconds = [EPOCH] * len(result.executions[0].epoch_seconds)
        return result


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in sorted(folder.glob("trial_*/result.json"))]


class Pausing(Display):
    """Presses Ctrl-C after the second epoch."""

    driver: Any = None
    epochs = 0

    def epoch_ended(self, *args: Any, **kwargs: Any) -> None:
        import os
        import signal

        self.epochs += 1
        if self.epochs == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_pause_before_a_resume_is_no_part_of_a_trial(
    simulation: Simulation, clock: Clock
) -> None:
    with pytest.raises(KeyboardInterrupt):
        simulation.run(Ticking(clock), observer=Pausing(), clock=clock)
    clock.now += 3600
    learned: list[Cost] = []
    deadline = Deadline(10_000, 4, 0, clock)
    deadline.learn = lambda cost, is_whole: learned.append(cost)  # type: ignore[method-assign,misc]
    simulation.run(Ticking(clock), clock=clock, deadline=deadline)
    first = results(simulation.folder)[0]
    assert [a["outcome"] for a in first["attempts"]] == ["paused", "completed"]
    # Its first two epochs are reported again by the second attempt, which the clock counts.
    assert [a["seconds"] for a in first["attempts"]] == [2 * EPOCH, 4 * EPOCH]
    assert trial_seconds(first) == first["seconds"] == 6 * EPOCH
    assert learned[0].epochs == 4
    assert learned[0].training + learned[0].besides == 6 * EPOCH  # all attempts


def test_a_clock_that_is_set_back_changes_no_duration(
    simulation: Simulation, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = iter(range(10**9, 0, -18_000))  # each look at it is five hours earlier
    stub = SimpleNamespace(time=lambda: float(next(wall)))
    monkeypatch.setattr("experiments.search.trial_record.time", stub)
    deadline = Deadline(10_000, 4, 4, clock)
    simulation.run(Ticking(clock), clock=clock, deadline=deadline)
    assert [r["seconds"] for r in results(simulation.folder)] == [4 * EPOCH] * 3
    assert deadline.reserve == 4 * EPOCH + REPORT_SECONDS
    states = [("0000", {"trial_id": "0000"}, results(simulation.folder)[0])]
    assert list(trials_frame(states, {}, {})["seconds"]) == [4 * EPOCH]


def test_a_resume_knows_the_pace_of_trials_before(simulation: Simulation, clock: Clock) -> None:
    simulation.run(Ticking(clock), clock=clock)
    # A trial takes 8 s, the report is given 15 s: there is no room for one more.
    deadline = Deadline(8 + REPORT_SECONDS - 1, 4, 0, clock)
    driver, _ = replace(simulation, max_trials=4).run(
        Ticking(clock), clock=clock, deadline=deadline
    )
    assert driver.ended_by == "deadline"
    assert len(simulation.table()) == 3


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"started": 100.0, "ended": 130.0}, 30.0),
        # Of before seconds were recorded: the hour between its attempts is not counted.
        (
            {
                "started": 0.0,
                "ended": 3620.0,
                "attempts": [{"started": 0.0, "ended": 10.0}, {"started": 3610.0, "ended": 3620.0}],
            },
            20.0,
        ),
        # The clock was set back: what its epochs took is left.
        ({"started": 9e3, "ended": 5.0, "executions": [{"epoch_seconds": [1.0, 2.0]}]}, 3.0),
        # Its first attempt was killed: its epochs were kept.
        (
            {
                "attempts": [{"started": 0.0, "ended": None}, {"seconds": 2.0}],
                "executions": [{"epoch_seconds": [1.0, 2.0, 1.0]}],
            },
            4.0,
        ),
    ],
)
def test_seconds_of_records_of_any_age(result: dict[str, Any], expected: float) -> None:
    assert trial_seconds(result) == expected


def test_seconds_that_nothing_says_are_missing() -> None:
    assert str(trial_seconds({"started": 9.0, "ended": 5.0})) == "nan"
    assert str(trial_seconds({"started": 9.0})) == "nan"


def training(seed: int) -> Training:
    data: Any = None
    task = TrialTask("s", {}, {}, data, Objective("val_accuracy", "max"), epochs=4, seeds=(seed,))
    return Training("0000", seed, task)


def test_finalists_make_way_for_the_report_at_the_deadline(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.finalists.trainings.clock", clock)

    def train(task: TrialTask, report: Any, note: Any) -> TrialResult:
        for epoch in range(task.epochs):
            clock.now += EPOCH
            if report(0, epoch, {"val_accuracy": 0.5}) != Answer.GO:
                return TrialResult("paused")
        Path(str(task.checkpoint)).touch()
        execution = Execution(task.seeds[0], {"val_accuracy": [0.5]}, 0, 0.5)
        return TrialResult(executions=[execution])

    def trainings(end: float | None) -> Trainings:
        return Trainings(tmp_path, InlineExecutor(train), Display(), {}, end)

    wanted = [training(seed) for seed in range(4)]
    # A training takes 8 s: two are done, the third is in its second epoch.
    with pytest.raises(OutOfTimeError, match="2 of 4 trainings of finalists were left"):
        trainings(2 * 8 + 3 + REPORT_SECONDS).run(wanted)
    assert clock.now == 2 * 8 + 4
    outcomes = trainings(None).run(wanted)  # what was done is not done again
    assert len(outcomes) == 4
    assert clock.now == 2 * 8 + 4 + 2 * 8


def test_a_deadline_comes_while_the_machine_sleeps_and_a_trial_does_not_count_it(
    simulation: Simulation, clock: Clock
) -> None:
    """The clock of deadlines runs on in a suspend, that of durations does not."""
    asleep = 0.0

    class Sleeping(Display):
        def trial_ended(self, trial_id: str, *args: Any, **kwargs: Any) -> None:
            nonlocal asleep
            asleep += 7_200.0

    deadline = Deadline(3_600, 4, 0, lambda: clock.now + asleep)
    driver, _ = simulation.run(Ticking(clock), observer=Sleeping(), clock=clock, deadline=deadline)
    assert driver.ended_by == "deadline"
    assert [r["seconds"] for r in results(simulation.folder)] == [4 * EPOCH]
    resumed, _ = simulation.run(Ticking(clock), clock=clock)  # without a deadline, the rest
    assert resumed.ended_by is None
    assert [r["seconds"] for r in results(simulation.folder)] == [4 * EPOCH] * 3


def test_what_a_trial_costs_once_is_not_its_pace(clock: Clock) -> None:
    """Features took ten minutes; the trials after it find them."""
    deadline = Deadline(1_800, 10, 10, clock)
    deadline.learn(Cost(0, 0.0, besides=900.0))  # one that failed says nothing
    deadline.learn(Cost(10, 5.0, features=600.0, besides=2.0))
    clock.now += 607
    assert deadline.reserve == 5 + 2 + REPORT_SECONDS
    assert deadline.fits()
    for _ in range(9):
        deadline.learn(Cost(10, 5.0, besides=2.0))
    clock.now += 9 * 7 + 1_000
    assert deadline.fits()
    assert not deadline.is_due()


def test_a_slow_trial_that_was_pruned_reserves_nothing_for_finalists(clock: Clock) -> None:
    deadline = Deadline(1_800, 10, 30, clock)  # three trainings one after the other
    deadline.learn(Cost(1, 100.0), None)
    assert deadline.reserve == 30 * 100 + REPORT_SECONDS  # nothing else is known
    for seconds in (50.0, 200.0, 80.0):
        deadline.learn(Cost(10, seconds))
    assert deadline.reserve == 3 * 200 + REPORT_SECONDS
    assert not deadline.is_due()


def test_a_slow_trial_in_the_worse_half_reserves_nothing_for_finalists(clock: Clock) -> None:
    deadline = Deadline(1_800, 10, 30, clock)
    for gain, seconds in ((0.1, 400.0), (0.9, 50.0), (0.99, 80.0), (0.2, 300.0)):
        deadline.learn(Cost(10, seconds), gain)
    assert deadline.reserve == 3 * 80 + REPORT_SECONDS
    deadline.learn(Cost(10, 120.0), 0.95)
    assert deadline.reserve == 3 * 120 + REPORT_SECONDS  # the best may be the slowest


def test_finalists_are_expected_among_the_better_trials(simulation: Simulation) -> None:
    seen: list[float | None] = []

    class Listening(Deadline):
        def learn(self, cost: Cost, gain: float | None = 0.0, earlier: bool = False) -> None:
            seen.append(gain)

    clock = Clock()
    deadline = Listening(3_600, 4, 0, clock)
    driver, _ = simulation.run(Ticking(clock), clock=clock, deadline=deadline)
    assert seen == [trial.score for trial in driver._oracle.trials.values()]
    driver._oracle.objective = keras_tuner.Objective("val_loss", "min")
    assert [driver._gain(v) for v in ([0.3], None, [0.3, 7.0])] == [-0.3, None, 0.0]


def test_running_trials_tell_the_pace_until_one_has_ended(clock: Clock) -> None:
    deadline = Deadline(1_800, 10, 10, clock)
    for _ in range(4):
        clock.now += 240
        deadline.epoch_ended("0000")
    assert not deadline.is_due()
    assert not deadline.fits()  # ten epochs of 240 s
    clock.now += 1_560 - 4 * 240  # another epoch would end too late
    assert deadline.is_due()
    assert deadline.reserve == REPORT_SECONDS  # there is nothing to confirm


@pytest.mark.parametrize(
    ("options", "room", "expected"),
    [
        ({"confirm": 3, "seeds": 5}, 1, 20),
        ({"confirm": 3, "seeds": 5}, 4, 6),
        ({"confirm": 3, "seeds": 5, "race": True}, 4, 8),
        ({"confirm": 1, "seeds": 1}, 8, 1),
        ({"confirm": 0}, 2, 0),
    ],
)
def test_finalists_are_trained_by_all_workers(
    options: dict[str, Any], room: int, expected: int
) -> None:
    assert trainings_in_turn(SearchConfig("mnist_cnn", **options), room) == expected


def test_the_clock_of_deadlines_counts_a_suspend(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("the system has no clock of its own for it")
    clocks = {time.CLOCK_BOOTTIME: 5_000.0, time.CLOCK_MONOTONIC: 1_000.0}  # slept 4,000 s
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert deadline_clock() == 5_000.0
    assert Deadline(10, 1, 0)._end == 5_010.0
    late = Trainings(Path(), cast(Any, None), Display(), {}, end=2_000.0)
    assert late.is_ending()
    assert Ranking(cast(Any, None), late, cast(Any, None), print, end=2_000.0)._is_due(0)


def test_a_fit_of_ones_own_may_train_more_epochs_than_it_is_asked_for(clock: Clock) -> None:
    deadline = Deadline(100, 1, 0, clock)
    deadline.learn(Cost(50, 50.0))
    clock.now += 50
    assert not deadline.fits()  # another fifty seconds, and the report
    other = Deadline(100, 50, 0, clock)
    other.learn(Cost(5, 5.0))  # one that was stopped says nothing of the others' epochs
    assert other.fits()
    clock.now += 40
    assert not other.fits()
