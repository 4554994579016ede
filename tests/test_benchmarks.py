"""Benchmarks name functions of the suite by text: each of them is there."""

import re
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

from experiments.data.prepare import PreparedData
from experiments.record.objective import parse_objective
from experiments.training.task import Answer, TrialTask

CHAOTIC = Path(__file__).resolve().parents[1] / "benchmarks" / "chaotic"
NAMED = sorted(
    {
        name
        for path in CHAOTIC.glob("*.py")
        for name in re.findall(r'"((?:experiments|reports)[\w.]*:[\w.]+)"', path.read_text())
    }
)


@pytest.mark.parametrize("where", NAMED)
def test_what_chaos_disturbs_is_there(where: str) -> None:
    module, _, names = where.partition(":")
    owner = import_module(module)
    for name in names.split("."):
        owner = getattr(owner, name)
    assert callable(owner)


def test_what_stands_in_for_a_training_is_called_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHAOTIC.parent))
    formula = import_module("chaotic.formula")
    confirm = import_module("experiments.finalists.confirm")
    for name in ("tested", "export"):
        real, stand_in = getattr(confirm, name), getattr(formula, f"_{name}")
        assert list(signature(stand_in).parameters) == list(signature(real).parameters), name


def test_the_stand_in_of_a_training_keeps_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(CHAOTIC.parent))
    formula = import_module("chaotic.formula")
    monkeypatch.setenv(formula.SECONDS, "0")
    monkeypatch.setenv(formula.LOG, str(tmp_path / "log"))
    values = {"learning_rate": 1e-3, "filters_0": 32, "dense_layers": 1}
    task = TrialTask(
        "mnist_cnn",
        {},
        {"values": values},
        PreparedData("", "", ("0", "1"), (8, 8, 1), {}, ""),
        parse_objective("val_accuracy"),
        epochs=2,
        seeds=(3,),
        snapshots=str(tmp_path / "snapshots"),
        checkpoint=str(tmp_path / "weights"),
    )
    monkeypatch.setattr("experiments.training.run._run_executions", formula._run_executions)
    result = formula.run(task, lambda *_: Answer.GO)
    assert (result.status, result.message) == ("completed", None)
    assert (tmp_path / "weights").is_file()
