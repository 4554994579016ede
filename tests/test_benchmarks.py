"""Benchmarks name functions of the suite by text: each of them is there."""

import re
from importlib import import_module
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
