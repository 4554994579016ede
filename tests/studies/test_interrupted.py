"""Ctrl-C while a recorded trial is trained again: finished work is kept, and resumed."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from experiments import SearchConfig, run_search
from experiments.cli.main import main
from experiments.training.recorder import EpochRecorder
from reports import load_study
from tests.one_structure import STRUCTURE
from tests.stand_ins import unwritten

pytestmark = pytest.mark.usefixtures("without_drawing")

INTERRUPTED = 130


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A search of two trials whose finalists are not confirmed."""
    config = SearchConfig(
        "mnist_cnn", dataset="digits", sample=150, max_trials=2, max_epochs=3, confirm=0,
        name="small", fix=STRUCTURE, starting_points=False,
        tries=[{"learning_rate": 0.01}], runs_dir=str(tmp_path_factory.mktemp("runs")),
        cache_dir=str(cache_dir),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.write_report", unwritten)
        return run_search(config).folder


@pytest.fixture
def runs(searched: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the study."""
    shutil.copytree(searched, tmp_path / "small")
    return tmp_path


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The seed and the number of each epoch that was trained, in order."""
    return pressing(monkeypatch, lambda trained: 0)


def pressing(
    monkeypatch: pytest.MonkeyPatch, times: Callable[[list[tuple[int, int]]], int]
) -> list[tuple[int, int]]:
    """Presses Ctrl-C so many times as `times` says after an epoch; returns the epochs."""
    trained: list[tuple[int, int]] = []
    epoch_ended = EpochRecorder.on_epoch_end

    def ended(self: Any, epoch: int, logs: Any = None) -> None:
        trained.append((self.execution.seed, epoch))
        for _ in range(times(trained)):
            os.kill(os.getpid(), signal.SIGINT)
        epoch_ended(self, epoch, logs)

    monkeypatch.setattr(EpochRecorder, "on_epoch_end", ended)
    return trained


def call(runs: Path, cache_dir: Path, *arguments: str) -> Result:
    place = ["--runs-dir", str(runs), "--cache-dir", str(cache_dir)]
    return CliRunner().invoke(main, [*arguments, *place])


def confirmed_seeds(runs: Path) -> dict[str, list[int]]:
    records = load_study(runs / "small").confirmed
    return {record["trial_id"]: [run["seed"] for run in record["runs"]] for record in records}


COMPARE = ("compare", "small", "--default", "--seeds", "2")


def test_an_interrupted_comparison_goes_on_in_the_midst_of_a_training(
    runs: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        first = pressing(patch, lambda trained: int(len({s for s, _ in trained}) == 3))
        result = call(runs, cache_dir, *COMPARE)
    assert result.exit_code == INTERRUPTED, result.output
    assert result.stderr.split("\n")[-2].startswith("interrupted")
    assert "stopping after the running epoch" in result.stdout
    ended = [seed for seed, epoch in first if epoch == 2]
    assert len(ended) == 2
    kept = [seed for seeds in confirmed_seeds(runs).values() for seed in seeds]
    assert sorted(kept) == sorted(ended)
    with monkeypatch.context() as patch:
        second = pressing(patch, lambda trained: 0)
        result = call(runs, cache_dir, *COMPARE)
    assert result.exit_code == 0, result.output
    assert second[0] == (first[-1][0], 1)  # from the epoch behind the one that had ended
    assert not {seed for seed, _ in second} & set(ended)
    assert len(confirmed_seeds(runs)["default"]) == 2
    assert not list((runs / "small" / "artifacts").glob("confirmed/*-*"))


def test_a_training_that_had_ended_is_only_tested(
    runs: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, epochs: list[tuple[int, int]]
) -> None:
    def dies(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("experiments.studies.retrain.tested", dies)
        assert call(runs, cache_dir, *COMPARE[:-1], "1").exit_code == INTERRUPTED
    seeds = [seed for seed, _ in epochs]
    assert len(set(seeds)) == 1
    assert call(runs, cache_dir, *COMPARE[:-1], "1").exit_code == 0
    assert [seed for seed, _ in epochs].count(seeds[0]) == len(seeds)


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_reproduction_ends_in_one_line(
    times: int, runs: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(path for path in (runs / "small").rglob("*"))
    trained = pressing(monkeypatch, lambda trained: times)
    result = call(runs, cache_dir, "reproduce", "small", "1")
    assert result.exit_code == INTERRUPTED, result.output
    assert result.stderr.split() == ["interrupted"]
    assert "stopping after the running epoch" in result.stdout
    assert len(trained) == 1
    assert sorted(path for path in (runs / "small").rglob("*")) == before
