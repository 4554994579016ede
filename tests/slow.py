"""Which tests are slow: `make quick` leaves out those that train, start processes or simulate.

A test is slow if it is marked so, or if what it runs names one of `HEAVY`: the test itself, the
functions of its file that it calls, and its fixtures with theirs.
"""

from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

HEAVY = frozenset(
    {"run_search", "resume_search", "run_trial", "write_report", "subprocess", "Popen", "Process",
     "train", "fit", "Tuner", "study_folder", "tfds_dir", "imagenet"}
)  # fmt: skip


def mark_slow(items: Iterable[pytest.Item]) -> None:
    """Marks the slow ones among `items`."""
    for item in items:
        if isinstance(item, pytest.Function) and HEAVY & set(_used(item)):
            item.add_marker(pytest.mark.slow)


def _used(item: pytest.Function) -> Iterator[str]:
    """Yields what a test names, and the fixtures that it needs."""
    yield from item.fixturenames
    seen: set[Any] = set()
    yield from _names(item.function, seen)
    for fixtures in item._fixtureinfo.name2fixturedefs.values():
        for fixture in fixtures:
            yield from _names(fixture.func, seen)


def _names(function: Callable[..., Any], seen: set[Any]) -> Iterator[str]:
    """Yields the names that a function uses, and those of the functions of its file it calls."""
    if not isinstance(function, FunctionType) or function in seen:
        return
    seen.add(function)
    for name in _of_code(function.__code__):
        yield name
        called = function.__globals__.get(name)
        if getattr(called, "__module__", None) == function.__module__:
            yield from _names(called, seen)


def _of_code(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # functions within the function
            yield from _of_code(constant)
