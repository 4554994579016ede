"""A user's own arrays and classes of unequal size, from the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from experiments.cli.main import main


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def arrays(path: Path) -> Path:
    labels = np.array([0] * 60 + [1] * 20)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 100, (80, 8, 8)) + 100 * labels[:, None, None]
    np.savez(path, x_train=images.astype(np.uint8), y_train=labels, class_names=["many", "few"])
    return path


def search(folder: Path, *arguments: object) -> Result:
    tiny = ("--max-trials", 1, "--max-epochs", 1, "--workers", 0, "--method", "random")
    places = ("--runs-dir", folder / "runs", "--cache-dir", folder / "cache", "--name", "study")
    return command("search", "mnist_cnn", *places, *tiny, *arguments)


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "runs" / "study" / "study.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("without_report")
def test_a_search_on_arrays_weighs_classes_and_ranks_by_auc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arrays(tmp_path / "set.npz")
    options = ("--dataset", "npz:set.npz", "--class-weight", "balanced", "--objective", "val_auc")
    found = search(tmp_path, *options, "--confirm", 0)
    assert found.exit_code == 0, found.output
    study = record(tmp_path)
    many, few = study["dataset"]["per_class"]["train"]
    assert study["class_weights"] == [(many + few) / (2 * many), (many + few) / (2 * few)]
    assert f"class weights: many {study['class_weights'][0]:.3g}, few 2" in found.output
    assert study["config"]["dataset"] == f"npz:{tmp_path / 'set.npz'}"
    assert study["dataset"]["class_names"] == ["many", "few"]
    assert "auc" in study["objective"]["name"]

    (tmp_path / "set.npz").rename(tmp_path / "moved.npz")
    again = ("resume", "study", "--runs-dir", "runs", "--max-trials", 2)
    assert "No such file" in command(*again).output
    moved = command(*again, "--dataset", f"npz:{tmp_path / 'moved.npz'}")
    assert moved.exit_code == 0, moved.output
    assert record(tmp_path)["config"]["class_weight"] == "balanced"
    assert record(tmp_path)["class_weights"] == study["class_weights"]
    result = tmp_path / "runs" / "study" / "trial_0001" / "result.json"
    assert 0 <= json.loads(result.read_text())["score"] <= 1


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    path, bright = arrays(tmp_path / "set.npz"), tmp_path / "bright.npz"
    np.savez(
        bright, x_train=np.linspace(0, 1.2, 4000).reshape(40, 10, 10), y_train=np.arange(40) % 2
    )
    for options, message in (
        (("--class-weight", "h"), "--class-weight should be balanced, or left out; got 'h'"),
        (("--dataset", f"npz:{tmp_path / 'no.npz'}"), "No such file"),
        (("--dataset", "npz:"), "unknown dataset 'npz:'"),
        (("--dataset", f"file:{path}"), "fails: "),
        (("--dataset", f"npz:{bright}"), "'x_train' has values from 0 to 1.2, not all whole"),
        (("--dataset", "folder:~no-user"), "/~no-user'"),
        (("--dataset", "folder:~no-user?labels=~nor-this"), "/~no-user'"),
        (("--dataset", "npz:~no-user.npz"), "/~no-user.npz' can't be read (No such file"),
        (("--dataset", "file:~no-user.py"), "/~no-user.py' can't be read (No such file"),
    ):  # fmt: skip
        found = search(tmp_path, *options)
        assert found.exit_code == 2
        assert message in found.stderr
        assert len(found.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_weights_are_kept_when_a_study_is_resumed(study_folder: Path) -> None:
    found = command("resume", study_folder, "--class-weight", "balanced")
    assert found.exit_code == 2
    assert "was begun with --class-weight nothing, which can't become balanced" in found.stderr


def test_own_data_are_listed() -> None:
    lines = command("datasets").output.splitlines()
    assert any(line.startswith("npz:<path> ") for line in lines)
    assert any(line.startswith("file:<path.py>[:<function>] ") for line in lines)
