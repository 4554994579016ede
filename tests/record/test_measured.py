"""Costs that were measured outside trials: what another machine measured, and what stays true."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.record.layout import StudyFolder
from experiments.studies import measure as module
from experiments.studies.reopen import Opened

HERE = {
    "platform": "Linux-6.1.0-13-amd64-x86_64-with-glibc2.36",
    "cores": 8,
    "memory_gb": 16.6,
    "cpu": "Swift 9",
}


def measured(
    folder: Path, trial_id: str, monkeypatch: pytest.MonkeyPatch, **there: Any
) -> dict[str, Any]:
    """Measures a trial on a machine, and returns what is known of all."""
    machine = HERE | there
    found = SimpleNamespace(median=3.0, low=2.0, high=4.0, as_dict=lambda: {"latency_ms": 3.0})
    for name, made in (
        ("latency", lambda model, image: found),
        ("flops", lambda model: 500),
        ("class_of", lambda space: SimpleNamespace(settings={})),
        ("cpu_model", lambda: machine["cpu"]),
    ):
        monkeypatch.setattr(module, name, made, raising=name != "cpu_model")
    monkeypatch.setattr("experiments.record.measured.environment", lambda: machine | {"git": None})
    opened = SimpleNamespace(
        data=SimpleNamespace(open=lambda split: SimpleNamespace(images=[0])),
        config=SimpleNamespace(space="mnist_cnn"),
        build=lambda hyperparameters, **settings: None,
        hyperparameters=lambda trial_id: {},
        study=SimpleNamespace(files=StudyFolder(folder)),
    )
    known: dict[str, Any] = module.measure(cast(Opened, opened), [trial_id])["trials"]
    return known


@pytest.mark.parametrize(
    "there",
    [
        {"platform": "Linux-6.1.0-18-amd64-x86_64-with-glibc2.36"},
        {"platform": "Linux-6.6.9-x86_64-with-glibc2.39", "memory_gb": 16.5},
    ],
)
def test_another_kernel_is_the_same_machine(
    there: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(tmp_path, "0000", monkeypatch)
    whole = {"flops": 500, "latency_ms": 3.0}
    assert measured(tmp_path, "0001", monkeypatch, **there) == {"0000": whole, "0001": whole}


@pytest.mark.parametrize(
    "there",
    [
        {"cpu": "Slow 2"},
        {"cores": 4},
        {"memory_gb": 8.2},
        {"platform": "Windows-11-10.0.22631-SP0"},
    ],
)
def test_of_another_machine_operations_alone_stay(
    there: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(tmp_path, "0000", monkeypatch)
    whole = {"flops": 500, "latency_ms": 3.0}
    known = measured(tmp_path, "0001", monkeypatch, **there)
    assert known == {"0000": {"flops": 500}, "0001": whole}
