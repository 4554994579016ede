"""The numerical conditions of a training: recorded, restored, named where they differ."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.executors.base import Job, WorkerLost
from experiments.executors.inline import InlineExecutor
from experiments.executors.processes import ProcessExecutor
from experiments.process.numerics import (
    INTRA,
    ONEDNN,
    cpu_model,
    take_onednn,
    threads_of,
    variables_for,
)
from experiments.record.numerics import differences, numerics_sentence
from experiments.training.task import Answer


def test_cores_are_divided_unless_the_user_says_how_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(INTRA, raising=False)
    monkeypatch.setattr("experiments.process.numerics.num_cores", lambda: 8)
    assert [threads_of(workers) for workers in (0, 1, 2, 3, 99)] == [8, 8, 4, 2, 1]
    monkeypatch.setenv(INTRA, "3")  # then any number of workers gives the same numbers
    assert {threads_of(workers) for workers in (0, 1, 2)} == {3}
    for workers in (1, 2):
        assert ProcessExecutor(run_there, workers)._variables(0)[INTRA] == "3"
    for nothing in ("0", ""):
        monkeypatch.setenv(INTRA, nothing)
        monkeypatch.setenv("OMP_NUM_THREADS", "4,2" if nothing else "0")  # OpenMP takes lists
        openmp = ProcessExecutor(run_there, 2)._variables(0)["OMP_NUM_THREADS"]
        assert openmp == ("4,2" if nothing else "4")
        assert ProcessExecutor(run_there, 2)._variables(0)[INTRA] == "4"


def test_what_differs_is_named() -> None:
    now = {"intra_op_threads": 2, "onednn": True, "cpu": "A", "versions": {"keras": "3.13"}}
    assert list(differences(now, now)) == list(differences({}, now)) == []
    then = {"intra_op_threads": 1, "onednn": False, "cpu": "B", "versions": {"keras": "3.12"}}
    assert list(differences(then, now)) == [
        "threads of an operation (TF_NUM_INTRAOP_THREADS): 1 then, 2 now",
        "oneDNN (TF_ENABLE_ONEDNN_OPTS): off then, on now",
        "CPU: B then, A now",
        "keras: 3.12 then, 3.13 now",
    ]


def test_what_differs_among_several_is_named_once() -> None:
    one, other = {"cpu": "A", "onednn": True}, {"cpu": "B", "onednn": True, "versions": {"k": "1"}}
    runs = [{"numerics": facts} for facts in (one, other, other)]
    assert "under the same CPU (A, B): this affects" in numerics_sentence(runs)
    assert numerics_sentence(runs[1:]) == numerics_sentence([{}, *runs[1:]]) == ""
    assert numerics_sentence([{"numerics": 5}, {"numerics": {"versions": [1], "cpu": {}}}]) == ""


class Heard:
    """Records the results of jobs; stops each after its second epoch."""

    def __init__(self) -> None:
        self.results: list[Any] = []

    def epoch_ended(
        self, job: Job, execution: int, epoch: int, metrics: dict[str, float]
    ) -> Answer:
        return Answer(epoch)

    def noted(self, job: Job, what: str, done: int, total: int) -> None:
        pass

    def ended(self, job: Job, result: Any, worker: str) -> None:
        self.results.append(result)

    def lost(self, job: Job, loss: WorkerLost, worker: str) -> None:
        self.results.append(loss.message)


def run_there(task: Any, report: Any, note: Any) -> Any:
    if task == "die":
        os._exit(3)
    return [report(0, epoch, {}) for epoch in range(2)], os.environ[INTRA], os.environ[ONEDNN]


def test_a_process_apart_has_the_settings_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INTRA, "5")  # of the user, who now asks for the record's
    environment = variables_for({"intra_op_threads": 1, "onednn": False, "cpu": "A"})
    executor, heard = ProcessExecutor(run_there, 1, environment), Heard()
    for number, task in enumerate(("task", "die"), 1):
        executor.submit(Job("0000", number, task))
        while len(heard.results) < number:
            executor.wait(heard, 1.0)
    executor.close()
    answers, threads, onednn = heard.results[0]
    assert (answers, threads, onednn) == ([Answer.GO, Answer.STOP], "1", "0")
    assert os.environ[INTRA] == "5"
    assert "exit code 3" in heard.results[1]


@pytest.fixture
def study(study_folder: Path, tmp_path: Path) -> Path:
    copied = tmp_path / "runs" / study_folder.name
    ignored = shutil.ignore_patterns("*.keras", "*.h5", "report", "artifacts")
    shutil.copytree(study_folder, copied, ignore=ignored)
    return copied


def edit(path: Path, **changes: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    record |= changes
    path.write_text(json.dumps(record))
    return record


def test_a_trial_is_reproduced_under_the_threads_that_it_had(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiments.studies.reproduce as module
    from experiments.studies.reopen import open_study
    from experiments.training.task import Execution, TrialResult
    from reports import load_study

    path = study / "trial_0000" / "result.json"
    record = json.loads(path.read_text())
    now = record["numerics"]
    assert now["intra_op_threads"] >= 1
    assert (now["precision"], now["cpu"]) == ("float32", cpu_model())
    assert set(now["versions"]) == {"tensorflow", "keras", "numpy"}
    executions = [Execution(**execution) for execution in record["executions"]]
    asked: list[Any] = []

    def make(workers: int, environment: Any) -> InlineExecutor:
        asked.append(environment[INTRA] if workers else "here")
        numerics = then | {"cpu": "another"} if workers else now

        def run(task: Any, report: Any, note: Any) -> TrialResult:
            Path(task.checkpoint).write_text("weights")
            features = {"cached": True, "engines": ["OpenVINO 2"]}
            return TrialResult(executions=executions, numerics=numerics, features=features)

        return InlineExecutor(run)

    monkeypatch.setattr("experiments.finalists.again.make_executor", make)
    then = now | {"intra_op_threads": now["intra_op_threads"] + 1}
    edit(path, numerics=then, features={"cached": True, "engines": ["TensorFlow 1"]})
    answer = module.reproduce(open_study(load_study(study)), "0000")
    assert answer.agrees
    assert (
        "  differs: features of frozen layers by: TensorFlow 1 then, OpenVINO 2 now" in answer.text
    )
    assert f"CPU: {now['cpu']} then, another now" in answer.text
    edit(path, numerics=now, features={"cached": True, "engines": ["OpenVINO 2"]})
    assert "differs: features" not in module.reproduce(open_study(load_study(study)), "0000").text
    # Of an older study, whose two workers shared the cores.
    edit(path, numerics={}, worker="worker 1 (process 7)")
    study_record = json.loads((study / "study.json").read_text())
    cores = 2 * now["intra_op_threads"] + 2
    edit(
        study / "study.json",
        config=study_record["config"] | {"workers": 2},
        environment=study_record["environment"] | {"cores": cores},
    )
    module.reproduce(open_study(load_study(study)), "0000")
    assert asked == [str(now["intra_op_threads"] + 1), "here", str(cores // 2)]


def test_a_session_with_other_threads_says_so() -> None:
    from experiments.search.session_record import other_threads

    assert other_threads([{"threads": 2}]) == other_threads([{}, {"threads": 1}]) == []
    assert other_threads([{"threads": 1}, {"threads": 1}]) == []
    (line,) = other_threads([{"threads": 2}, {"threads": 1}])
    assert "had 2 threads until now and have 1 from now on" in line
    assert f"{INTRA}=2 keeps them" in line


# It is used otherwise: tests/cli/test_cli.py, of an output that is closed.
def test_onednn_is_not_used_where_the_user_says_no() -> None:
    text = (
        "from experiments.process.inherited import before_imports; before_imports()\n"
        "from experiments.process.numerics import numerics\n"
        "import sys; sys.exit(30 + numerics()['onednn'])"
    )
    environment = os.environ | {ONEDNN: "0"}
    ended = subprocess.run([sys.executable, "-c", text], env=environment, check=False)
    assert ended.returncode == 30


def test_workers_use_it_where_the_script_imported_tensorflow_before_the_suite(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "tensorflow" in sys.modules
    monkeypatch.delenv(ONEDNN, raising=False)
    take_onednn()
    assert ONEDNN not in os.environ  # too late for this process, and the record is to be true
    assert ProcessExecutor(run_there, 1)._variables(0)[ONEDNN] == "1"
    monkeypatch.setenv(ONEDNN, "0")
    assert ONEDNN not in ProcessExecutor(run_there, 1)._variables(0)
