"""Benchmarks name functions of the suite by text: each of them is there."""

import re
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

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
