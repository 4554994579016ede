"""Trials on a Ray cluster of three nodes: one is killed in the midst of a trial, one joins."""

import ipaddress
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulated import Simulation
from experiments.display.base import Display

ray = pytest.importorskip("ray", reason="the extra [cluster] is not installed")
cluster_utils = pytest.importorskip("ray.cluster_utils")

# Ray leaves sockets and files to the garbage collector when it is shut down.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning",
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]


def outcomes(simulation: Simulation) -> dict[str, list[str]]:
    found = {}
    for path in sorted(simulation.folder.glob("trial_*/result.json")):
        record = json.loads(path.read_text())
        found[record["trial_id"]] = [a["outcome"] for a in record["attempts"]]
    return found


def workers(simulation: Simulation) -> set[str]:
    paths = simulation.folder.glob("trial_*/result.json")
    return {json.loads(path.read_text())["worker"].split()[-1] for path in paths}


def test_a_node_is_killed_and_another_joins(tmp_path: Path) -> None:
    from experiments.executors.on_ray import RayExecutor

    folder = tmp_path / "study"
    folder.mkdir()
    simulation = Simulation(folder, max_trials=10, epochs=6, seconds=0.7)
    cluster = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    doomed = cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    joined: list[Any] = []

    class Disturbing(Display):
        """Kills a node once all are at work, and adds another."""

        def epoch_ended(self, *args: Any, **kwargs: Any) -> None:
            if not joined and (folder / "epochs.log").read_text().count("\n") >= 6:
                cluster.remove_node(doomed, allow_graceful=False)
                joined.append(cluster.add_node(num_cpus=1))

    try:
        ray.init(address=cluster.address, log_to_driver=False)
        from benchmarks import simulated

        executor = RayExecutor(cluster.address, simulated.train, 1, 0)
        simulation.run(executor=executor, observer=Disturbing())
    finally:
        ray.shutdown()
        cluster.shutdown()
    calm = replace(simulation, folder=tmp_path / "calm", seconds=0.0)
    calm.folder.mkdir()
    calm.run()
    assert simulation.table() == calm.table()
    ended = outcomes(simulation)
    assert [o for o in ended.values() if o != ["completed"]] == [["lost", "completed"]]
    lost = next(trial_id for trial_id, o in ended.items() if len(o) > 1)
    log = [line.split() for line in (folder / "epochs.log").read_text().splitlines()]
    epochs = [epoch for trial_id, epoch, _ in log if trial_id == lost]
    assert sorted(set(epochs)) == [str(n) for n in range(6)]
    assert len(epochs) <= 7  # it continued from its last epoch: at most one is run twice
    assert joined[0].node_id[:8] in workers(simulation)


_LISTENS = """
import json, pathlib, sys
import psutil
from benchmarks.simulated import Simulation, train
from experiments.executors import make_executor
executor = make_executor(None, "local", run=train)
family = {p.pid for p in psutil.Process().children(recursive=True)}
listening = {
    c.laddr.ip
    for c in psutil.net_connections("tcp")
    if c.status == psutil.CONN_LISTEN and c.pid in family
}
simulation = Simulation(pathlib.Path(sys.argv[1]), max_trials=3, epochs=2)
simulation.run(executor=executor)
print(json.dumps([len(simulation.table()), sorted(listening)]))
"""


def test_ray_on_this_machine_alone_listens_on_the_loopback_address(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _LISTENS, tmp_path], capture_output=True, text=True, check=True
    ).stdout
    num_trials, listening = json.loads(said.splitlines()[-1])
    assert num_trials == 3
    assert listening
    for text in listening:
        address = ipaddress.ip_address(text)
        assert (getattr(address, "ipv4_mapped", None) or address).is_loopback, text


_GIVEN = """
import json, os, pathlib, sys, time
import ray
from benchmarks.simulated import Simulation
from experiments.executors.on_ray import RayExecutor
from experiments.training.task import TrialResult
def given(task, report, note):
    time.sleep(0.5)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return TrialResult(status="failed", cause="error", message=f"GPU {visible}")
ray.init(num_cpus=3, num_gpus=2, include_dashboard=False, log_to_driver=False)
executor = RayExecutor("local", given, 1, 1)
most = executor.free()
folder = pathlib.Path(sys.argv[1])
Simulation(folder, max_trials=6).run(executor=executor)
results = [json.loads(p.read_text()) for p in sorted(folder.glob("trial_*/result.json"))]
spans = [(r["message"], r["started"], r["ended"]) for r in results]
print(json.dumps([most, spans]))
"""


def test_each_trial_on_ray_is_given_a_gpu_of_its_own(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _GIVEN, tmp_path], capture_output=True, text=True, check=True
    ).stdout
    most, spans = json.loads(said.splitlines()[-1])
    assert most == 2  # there are three CPUs, and a GPU for two trials
    assert {gpu for gpu, *_ in spans} == {"GPU 0", "GPU 1"}


def test_finalists_are_trained_on_the_cluster(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, without_report: None
) -> None:
    from experiments import SearchConfig, run_search
    from experiments.finalists.trainings import Trainings

    ended, workers = Trainings.ended, list[str]()

    def watched(self: Trainings, job: Any, result: Any, worker: str) -> None:
        workers.append(worker)
        ended(self, job, result, worker)

    monkeypatch.setattr(Trainings, "ended", watched)
    monkeypatch.setattr("experiments.finalists.artifacts.write_artifacts", lambda *arguments: None)
    config = SearchConfig(
        "mnist_cnn", dataset="digits", sample=150, max_trials=1, max_epochs=1, seeds=2, name="s",
        ray="local", runs_dir=str(tmp_path), cache_dir=str(cache_dir),
    )  # fmt: skip
    result = run_search(config)
    assert len(workers) == len(result.test_scores) == 2
    assert all(", Ray node " in worker for worker in workers)
    (record,) = json.loads((result.folder / "artifacts" / "finalists.json").read_text())
    assert all(run["numerics"]["cpu"] for run in record["runs"])
    assert (result.folder / "best_model.keras").is_file()
