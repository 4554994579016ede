"""The driver on simulated trials: record, repair, policy by cause, deadline, interruption."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import simulated
from benchmarks.simulated import Simulation
from experiments.display.base import Display
from experiments.executors.base import Job, Listener, WorkerLost
from experiments.executors.deadline import Cost, Deadline
from experiments.executors.inline import InlineExecutor
from experiments.hyperparameters.combinations import combinations
from experiments.methods.oracles.stored_trial import TrialReader
from experiments.record.durations import parse_deadline
from experiments.record.errors import UserError
from experiments.training.task import Answer, Execution, TrialResult
from tests.search.in_workers import gpu_of_process, suicidal

METHODS = ["random", "grid", "hyperband", "bayesian"]


@pytest.fixture
def simulation(tmp_path: Path) -> Simulation:
    folder = tmp_path / "study"
    folder.mkdir()
    return Simulation(folder, max_trials=8)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a search that has ended, which tests work on copies of."""
    folder = tmp_path_factory.mktemp("ended") / "study"
    folder.mkdir()
    Simulation(folder, max_trials=8).run()
    return folder


@pytest.fixture
def finished(simulation: Simulation, ended: Path) -> None:
    """The simulation has run to its end."""
    shutil.copytree(ended, simulation.folder, dirs_exist_ok=True)


def undisturbed(simulation: Simulation) -> list[tuple[Any, ...]]:
    folder = simulation.folder.with_name("undisturbed")
    folder.mkdir()
    other = replace(simulation, folder=folder, workers=0)
    other.run()
    return other.table()


class Notes(Display):
    """Keeps what the driver says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, line: str) -> None:
        self.lines.append(line)


def result_of(simulation: Simulation, trial_id: str) -> dict[str, Any]:
    path = simulation.folder / f"trial_{trial_id}" / "result.json"
    return dict(json.loads(path.read_text()))


class Killed(BaseException):
    """Ends the driver in the midst of things, as `kill -9` would."""


# Where the driver is killed: in the training of a trial, or in a write of its record.
@pytest.mark.parametrize("method", METHODS)
def test_killed_anywhere_it_goes_on_to_the_same_table(
    method: str, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = replace(simulation, method=method, max_trials=8, epochs=5)
    expected = undisturbed(simulation)
    real = Path.replace
    countdown = [0]

    def deadly(self: Path, target: Any) -> Any:
        countdown[0] -= 1
        if countdown[0] == 0:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "replace", deadly)
    kills, finished = 0, False
    while not finished:
        countdown[0] = 9 + 3 * kills  # far enough for a trial to end, each time elsewhere
        kills += 1
        try:
            simulation.run()
            finished = True
        except Killed:
            assert kills < 200
    assert kills > 4
    assert simulation.table() == expected
    lines = (simulation.folder / "epochs.log").read_text().split("\n")[:-1]
    epochs = sum(row[-1] for row in expected)
    # At most the epoch that was running is run again.
    assert epochs <= len(lines) <= epochs + kills


def test_a_result_that_the_oracle_was_not_told_is_told_at_the_start(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(simulation)
    monkeypatch.setattr(
        "experiments.search.trial_record.tell", lambda *a: (_ for _ in ()).throw(Killed)
    )
    with pytest.raises(Killed):
        simulation.run()
    monkeypatch.undo()
    _, restored = simulation.run()
    assert restored == ["trial 0000 had ended"]
    assert simulation.table() == expected


@pytest.mark.usefixtures("finished")
def test_temporary_files_of_a_killed_search_are_gone_when_it_goes_on(
    simulation: Simulation,
) -> None:
    left = [simulation.folder / where / ".tmp-half" for where in ("", "artifacts", "trial_0001")]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    simulation.run()
    assert not any(path.exists() for path in left)


# What versions before recorded of trials whose files of the cache were pruned, or not theirs.
_CACHE = "/cache/keras-tuner-experiments"
OF_CACHE = [
    "FileNotFoundError: [Errno 2] No such file or directory: "
    f"'{_CACHE}/datasets/{'0a' * 12}/train-images.npy'",
    "PermissionError: [Errno 13] Permission denied: "
    f"PosixPath('{_CACHE}/features/{'0a' * 16}/info.json')",
]
OF_TRIAL = [
    "FileNotFoundError: [Errno 2] No such file or directory: '/data/datasets/words.txt'",
    f"ValueError: no {_CACHE}/datasets/{'0a' * 12}/train-images.npy",
]


def fail(simulation: Simulation, trial_id: str, message: str) -> None:
    """Makes a trial one that failed, as its files were left."""
    folder = simulation.folder / f"trial_{trial_id}"
    result = result_of(simulation, trial_id)
    result |= {"status": "failed", "cause": "error", "message": message, "traceback": message}
    result["attempts"][-1]["outcome"] = "failed"
    (folder / "result.json").write_text(json.dumps(result | {"score": None, "executions": []}))
    trial = json.loads((folder / "trial.json").read_text())
    trial |= {"status": "FAILED", "message": message, "score": None, "metrics": {"metrics": {}}}
    (folder / "trial.json").write_text(json.dumps(trial))
    (folder / "state.json").unlink(missing_ok=True)


@pytest.mark.parametrize("message", OF_CACHE)
@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.usefixtures("finished")
def test_a_trial_that_failed_of_the_cache_is_run_again(
    killed: bool, message: str, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = simulation.table()
    fail(simulation, "0003", message)
    if killed:  # before the result is gone
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            simulation.run()
        monkeypatch.undo()
    _, restored = simulation.run()
    assert restored[0] == "trial 0003 had failed of the cache"
    assert simulation.table() == expected
    outcomes = [attempt["outcome"] for attempt in result_of(simulation, "0003")["attempts"]]
    assert outcomes == ["failed", "completed"]
    assert simulation.run()[1] == []


@pytest.mark.parametrize("message", OF_TRIAL)
@pytest.mark.usefixtures("finished")
def test_a_trial_that_failed_of_itself_stays_as_it_is(message: str, simulation: Simulation) -> None:
    fail(simulation, "0003", message)
    expected = simulation.folder.joinpath("trial_0003", "trial.json").read_text()
    assert simulation.run()[1] == []
    assert simulation.folder.joinpath("trial_0003", "trial.json").read_text() == expected


def test_what_a_round_of_hyperband_was_decided_by_stays(simulation: Simulation) -> None:
    simulation = replace(simulation, method="hyperband", epochs=9)
    simulation.run()
    fail(simulation, "0003", OF_CACHE[0])
    assert simulation.run()[1] == []
    assert result_of(simulation, "0003")["status"] == "failed"


@pytest.mark.parametrize("damage", ["", "{", '{"trial_id": 3}', "[[[", "null", "\0\0\0"])
@pytest.mark.parametrize("name", ["trial.json", "result.json", "oracle.json"])
@pytest.mark.usefixtures("finished")
def test_a_damaged_file_costs_its_trial_alone(
    name: str, damage: str, simulation: Simulation
) -> None:
    expected = simulation.table()
    path = simulation.folder / ("" if name == "oracle.json" else "trial_0003") / name
    path.write_text(damage)
    before = (simulation.folder / "epochs.log").read_text().count("\n")
    _, restored = simulation.run()
    assert simulation.table() == expected
    ran = (simulation.folder / "epochs.log").read_text().count("\n") - before
    assert ran == 0  # its last state is there, and so is what the other file says
    if name != "oracle.json":
        assert f"trial_0003/{name} can't be read, set aside as {name}.damaged" in restored
        assert path.with_name(f"{name}.damaged").read_text() == damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda result, history: result.update(executions=[]),
        lambda result, history: history.update({n: ["x"] * len(v) for n, v in history.items()}),
        lambda result, history: history.update(other=history.pop("val_accuracy")),
    ],
)
@pytest.mark.usefixtures("finished")
def test_a_result_that_does_not_hold_together_costs_its_trial_alone(
    damage: Callable[[Any, dict[str, Any]], Any], simulation: Simulation
) -> None:
    expected = simulation.table()
    trial = simulation.folder / "trial_0003"
    result, state = (json.loads((trial / n).read_text()) for n in ("result.json", "trial.json"))
    damage(result, result["executions"][0]["history"])
    (trial / "result.json").write_text(json.dumps(result))
    (trial / "trial.json").write_text(json.dumps(state | {"status": "RUNNING", "score": None}))
    _, restored = simulation.run()
    assert simulation.table() == expected
    assert "trial_0003/result.json can't be read, set aside as result.json.damaged" in restored


@pytest.mark.parametrize("score", ["nan", "0.9", 2.0])
@pytest.mark.usefixtures("finished")
def test_the_score_of_a_failed_trial_is_compared_with_none(
    score: Any, simulation: Simulation
) -> None:
    path = simulation.folder / "trial_0003" / "trial.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"status": "FAILED", "score": score}))
    trial = TrialReader().trial(json.loads(path.read_text()), path)
    assert trial.score is None
    simulation.run()
    assert json.loads(path.read_text())["score"] == score  # its file stays as it is


@pytest.mark.parametrize("origins", [{"0003": "0003"}, {"0001": "0003", "0003": "0001"}])
@pytest.mark.usefixtures("finished")
def test_a_trial_that_continues_itself_is_refused(
    origins: dict[str, str], simulation: Simulation
) -> None:
    for trial_id, origin in origins.items():
        path = simulation.folder / f"trial_{trial_id}" / "trial.json"
        state = json.loads(path.read_text())
        state["hyperparameters"]["values"]["tuner/trial_id"] = origin
        path.write_text(json.dumps(state))
    with pytest.raises(UserError, match="continues itself"):
        simulation.run()


@pytest.mark.usefixtures("finished")
def test_a_lost_number_takes_nothing_of_the_trial_that_had_it(simulation: Simulation) -> None:
    folder = simulation.folder / "trial_0003"
    for name in ("trial.json", "result.json"):
        (folder / name).write_text("{")
    for name in ("snapshot-0.npz", "attempts.json"):
        (folder / name).write_text("of the network that was lost")
    left = []

    def looks(task: Any, report: Any, note: Any) -> TrialResult:
        left.extend(path.name for path in folder.glob("snapshot-*"))
        return simulated.train(task, report, note)

    simulation.run(looks)
    assert left == []
    assert len(json.loads((folder / "result.json").read_text())["attempts"]) == 1


@pytest.mark.usefixtures("finished")
def test_a_trial_whose_folder_is_gone_is_run_again(simulation: Simulation) -> None:
    expected = simulation.table()
    for path in (simulation.folder / "trial_0003").iterdir():
        path.unlink()
    simulation.run()
    assert simulation.table() == expected


@pytest.mark.usefixtures("finished")
def test_a_finished_search_is_extended(simulation: Simulation) -> None:
    longer = replace(simulation, max_trials=12)
    longer.run()
    assert longer.table() == undisturbed(longer)


def out_of_memory_once(task: Any, report: Any, note: Any) -> TrialResult:
    marker = Path(task.state).with_name("failed-once")
    if task.trial_id == "0002" and not marker.exists():
        marker.touch()
        return TrialResult(status="failed", cause="out_of_memory", message="no memory")
    return simulated.train(task, report, note)


def always_out_of_memory(task: Any, report: Any, note: Any) -> TrialResult:
    return TrialResult(status="failed", cause="out_of_memory", message="no memory")


def not_a_number(task: Any, report: Any, note: Any) -> TrialResult:
    if task.trial_id == "0002":
        return TrialResult(status="failed", cause="nan", message="loss is nan")
    return simulated.train(task, report, note)


class Isolating(InlineExecutor):
    """Stands for an executor that has processes to run a trial alone in."""

    isolates = True

    def __init__(self, run: Any) -> None:
        super().__init__(run)
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        super().submit(job)


def outcomes(simulation: Simulation, trial_id: str) -> list[str]:
    return [attempt["outcome"] for attempt in result_of(simulation, trial_id)["attempts"]]


def test_out_of_memory_is_tried_again_alone(simulation: Simulation) -> None:
    executor = Isolating(out_of_memory_once)
    simulation.run(executor=executor)
    assert outcomes(simulation, "0002") == ["out_of_memory", "completed"]
    assert [j.trial_id for j in executor.jobs if j.alone] == ["0002"]


def test_out_of_memory_alone_is_a_failure(simulation: Simulation) -> None:
    simulation = replace(simulation, max_trials=1)
    simulation.run(executor=Isolating(always_out_of_memory))
    assert outcomes(simulation, "0000") == ["out_of_memory", "out_of_memory"]
    assert result_of(simulation, "0000")["cause"] == "out_of_memory"


def test_nan_is_not_tried_again(simulation: Simulation) -> None:
    simulation.run(executor=Isolating(not_a_number))
    assert outcomes(simulation, "0002") == ["failed"]
    assert [row[1] for row in simulation.table()].count("FAILED") == 1


def test_a_search_that_only_fails_ends_with_the_last_cause(simulation: Simulation) -> None:
    notes = Notes()
    driver, _ = simulation.run(always_out_of_memory, observer=notes, max_failures=3)
    assert driver.ended_by == "failures"
    assert len(simulation.table()) == 3
    assert "3 trials in a row failed, the last one: no memory" in notes.lines[-1]


class Twice(InlineExecutor):
    """Delivers every result twice, and a report of an attempt that is over."""

    def wait(self, listener: Listener, timeout: float) -> None:
        job = self._job
        super().wait(listener, timeout)
        if job is not None:
            late = replace(job, attempt=0)
            assert listener.epoch_ended(late, 0, 0, {"val_accuracy": 9.0}) == Answer.STOP
            wrong = TrialResult(status="failed", cause="error", message="late")
            listener.ended(job, wrong, "late")
            listener.lost(job, WorkerLost("late"), "late")


def test_late_and_double_results_are_ignored(simulation: Simulation) -> None:
    simulation.run(executor=Twice(simulated.train))
    assert simulation.table() == undisturbed(simulation)


def test_killed_workers_are_replaced_and_their_trials_go_on(simulation: Simulation) -> None:
    simulation = replace(simulation, max_trials=4, workers=2)
    notes = Notes()
    simulation.run(suicidal, observer=notes)
    assert outcomes(simulation, "0000") == ["lost", "completed"]
    assert outcomes(simulation, "0001") == ["lost", "lost", "lost"]
    record = result_of(simulation, "0001")
    assert (record["status"], record["cause"]) == ("failed", "worker_lost")
    assert "killed by SIGKILL" in record["message"]
    log = (simulation.folder / "epochs.log").read_text().splitlines()
    epochs = [line.split()[1] for line in log if line.startswith("0000")]
    assert epochs == ["0", "1", "2"]  # none of them twice
    assert any("it is run again" in line for line in notes.lines)


def test_parallel_workers_are_busy_and_come_to_a_whole_table(simulation: Simulation) -> None:
    simulation = replace(simulation, max_trials=16, workers=4, seconds=0.05, method="hyperband")
    simulation.run()
    table = simulation.table()
    assert len(table) == 16
    assert all(row[1] == "COMPLETED" for row in table)
    workers = {result_of(simulation, row[0])["worker"] for row in table}
    assert len(workers) == 4


@pytest.mark.parametrize(
    ("visible", "expected"), [(None, {"GPU 0", "GPU 1"}), ("3,5", {"GPU 3", "GPU 5"})]
)
def test_each_worker_is_given_a_gpu_of_its_own(
    visible: str | None,
    expected: set[str],
    simulation: Simulation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: A100 (UUID: a)'\necho 'GPU 1: A100 (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    replace(simulation, max_trials=8, seconds=0.05, workers=2).run(gpu_of_process)
    found = {result_of(simulation, f"{n:04}")["message"] for n in range(8)}
    assert found == expected
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible  # the driver's own is as it was


@pytest.mark.parametrize("workers", [0, 2])
def test_one_interrupt_ends_after_the_epoch_and_it_can_be_gone_on_with(
    workers: int, simulation: Simulation
) -> None:
    simulation = replace(simulation, seconds=0.05, workers=workers, max_trials=6)
    expected = undisturbed(replace(simulation, seconds=0.0))

    class Interrupting(Notes):
        epochs = 0

        def epoch_ended(self, *args: Any, **kwargs: Any) -> None:
            self.epochs += 1
            if self.epochs == 5:
                os.kill(os.getpid(), signal.SIGINT)

    notes = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        simulation.run(observer=notes)
    assert "stopping after the running epoch" in notes.lines[0]
    simulation.run()
    assert simulation.table() == expected
    log = (simulation.folder / "epochs.log").read_text().splitlines()
    assert len(log) == len({tuple(line.split()[:2]) for line in log})  # no epoch twice


def test_a_second_interrupt_ends_at_once(simulation: Simulation) -> None:
    simulation = replace(simulation, seconds=20.0, workers=1)
    started, notes = time.monotonic(), Notes()
    has_begun: list[Callable[[], Any]] = [
        (simulation.folder / "trial_0000").exists,
        lambda: notes.lines,  # of the first interrupt
    ]

    def interrupt_twice() -> None:
        for begun in has_begun:
            while not begun():
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_twice, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        simulation.run(observer=notes)
    assert "stopping after the running epoch" in notes.lines[0]
    assert time.monotonic() - started < 10


class Clock:
    """A clock that the simulated trials move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_no_trial_is_started_that_cannot_end_in_time(simulation: Simulation) -> None:
    clock = Clock()

    def takes_ten_seconds(task: Any, report: Any, note: Any) -> TrialResult:
        clock.now += 10
        return simulated.train(task, report, note)

    # Trials take 10 s, the finalist as long, the report up to 15 s: of 70 s, 45 are for trials.
    deadline = Deadline(70, simulation.epochs, simulation.epochs, clock)
    driver, _ = simulation.run(takes_ten_seconds, deadline=deadline, clock=clock)
    assert driver.ended_by == "deadline"
    assert len(simulation.table()) == 4


@pytest.mark.parametrize(("method", "max_trials"), [("random", 4), ("grid", 200)])
def test_a_search_that_did_all_its_trials_was_not_ended_by_its_deadline(
    method: str, max_trials: int, simulation: Simulation
) -> None:
    clock = Clock()

    def takes_ten_seconds(task: Any, report: Any, note: Any) -> TrialResult:
        clock.now += 10
        return simulated.train(task, report, note)

    # Time for the finalist and the report is left after the last trial, none for one more.
    done = replace(simulation, method=method, max_trials=max_trials)
    size = 4 if method == "random" else len(list(combinations(simulated.space().space)))
    deadline = Deadline(10 * size + 30, simulation.epochs, simulation.epochs, clock)
    driver, _ = done.run(takes_ten_seconds, deadline=deadline, clock=clock)
    assert len(done.table()) == size
    assert not deadline.fits()
    assert driver.ended_by is None


def test_what_a_failed_training_reported_does_not_count_for_the_one_after_it(
    simulation: Simulation,
) -> None:
    def tried_again(task: Any, report: Any, note: Any) -> TrialResult:
        if int(task.trial_id) % 2:
            report(0, 0, {"val_accuracy": 0.0})
        return simulated.train(task, report, note)

    halved = replace(simulation, method="random", pruner="asha", max_trials=20, epochs=9)
    halved.run(tried_again)
    assert halved.table() == undisturbed(halved)


class _Slots:
    """Two slots; an epoch takes a second, odd trials have six epochs, even ones three."""

    isolates = False

    def __init__(self, clock: Clock) -> None:
        self._clock, self._jobs = clock, dict[str, tuple[Any, list[float]]]()

    def free(self) -> int:
        return 2 - len(self._jobs)

    def submit(self, job: Any) -> None:
        self._jobs[job.trial_id] = job, []

    def wait(self, listener: Any, timeout: float) -> None:
        self._clock.now += 1
        for job, curve in list(self._jobs.values()):
            curve.append(0.5)
            answer = listener.epoch_ended(job, 0, len(curve) - 1, {"val_accuracy": 0.5})
            whole = len(curve) == (6 if int(job.trial_id) % 2 else 3)
            if whole or answer:
                del self._jobs[job.trial_id]
                execution = Execution(0, {"val_accuracy": curve}, 0, 0.5, {}, [1.0] * len(curve))
                status = "completed" if whole else "paused"
                listener.ended(job, TrialResult(status=status, executions=[execution]), "slot")

    def close(self, at_once: bool) -> None: ...


def test_a_trial_that_can_end_in_time_is_not_paused_because_another_can_not(
    simulation: Simulation,
) -> None:
    clock = Clock()
    # The finalist takes 6 s, the report 15 s: 9 s are for trials, of which three are gone when the
    # first has ended; a third one would take 6 s at the pace of the first, and 1 s are kept free.
    deadline = Deadline(29.5, 6, 6, clock)
    deadline.learn(Cost(6, 6.0))
    driver, _ = replace(simulation, epochs=6).run(
        executor=_Slots(clock), deadline=deadline, clock=clock
    )
    assert driver.ended_by == "deadline"
    assert [(row[1], row[4]) for row in simulation.table()] == [("COMPLETED", 3), ("COMPLETED", 6)]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("45s", 45), ("18:00", 3600)]
)
def test_a_deadline_is_a_duration_or_a_time(text: str, seconds: float) -> None:
    from datetime import datetime

    assert parse_deadline(text, datetime(2024, 5, 1, 17, 0)) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0m", "-5m", "25:00", "18:60", "1d"])
def test_a_deadline_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="expected a duration such as 30m"):
        parse_deadline(text)


def test_weights_are_kept_for_the_best_alone(simulation: Simulation) -> None:
    def leaves_weights(task: Any, report: Any, note: Any) -> TrialResult:
        Path(task.state).with_name("checkpoint.weights.h5").touch()
        Path(task.state).with_name("snapshot-0.npz").touch()
        return simulated.train(task, report, note)

    simulation.run(leaves_weights)
    best = max(simulation.table(), key=lambda row: row[3])
    left = [path.parent.name for path in simulation.folder.glob("trial_*/checkpoint.weights.h5")]
    assert left == [f"trial_{best[0]}"]
    assert not list(simulation.folder.glob("trial_*/snapshot-0.npz"))


def test_states_of_trials_that_may_be_promoted_are_kept(simulation: Simulation) -> None:
    def leaves_state(task: Any, report: Any, note: Any) -> TrialResult:
        Path(task.state).with_name("snapshot-0.npz").touch()
        return simulated.train(task, report, note)

    simulation = replace(simulation, method="hyperband", epochs=9, max_trials=9)
    simulation.run(leaves_state)
    assert len(list(simulation.folder.glob("trial_*/snapshot-0.npz"))) == 9
    replace(simulation, max_trials=13).run(leaves_state)
    # Three were promoted, then one of them: none of this bracket is wanted any more.
    assert not list(simulation.folder.glob("trial_*/snapshot-0.npz"))


@pytest.mark.parametrize(("method", "pruner"), [("hyperband", None), ("tpe", "asha")])
def test_finalists_are_different_networks_trained_whole(
    method: str, pruner: str | None, simulation: Simulation
) -> None:
    from experiments.finalists.choose import finalists

    driver, _ = replace(simulation, method=method, pruner=pruner, max_trials=40, epochs=9).run()
    found = finalists(driver._oracle, 5)
    networks = [
        {n: v for n, v in trial.hyperparameters.values.items() if "/" not in n} for trial in found
    ]
    assert len(found) > 1
    assert all(networks.count(network) == 1 for network in networks)
    assert not any(str(trial.message or "").startswith("pruned") for trial in found)
    assert [t.score for t in found] == sorted((t.score for t in found), reverse=True)


@pytest.mark.usefixtures("finished")
def test_what_a_killed_process_had_not_written_to_its_end_is_removed(
    simulation: Simulation,
) -> None:
    folder = simulation.folder
    before = sorted(folder.rglob("*"))
    training = folder / "artifacts" / "finalists" / "0000-1"
    training.mkdir(parents=True)
    leftovers = [
        folder / ".tmp-a.json",  # of study.json
        training / ".tmp-b.npz",
        folder / "trial_0000" / ".tmp-c.json",
        folder / "trial_0001" / "attempts.json",  # killed when its result was written
    ]
    for path in leftovers:
        path.write_text("[]")
    simulation.run()
    assert sorted(p for p in folder.rglob("*") if p.is_file()) == [p for p in before if p.is_file()]
