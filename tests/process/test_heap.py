"""Garbage collections while a search runs."""

import gc
import weakref

from experiments.process.heap import short_collections


class _Node:
    """Holds itself, so that only a garbage collection frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_alive_is_skipped_and_new_garbage_is_freed() -> None:
    before = gc.get_freeze_count()
    with short_collections():
        assert gc.get_freeze_count() > before
        node = _Node()
        gone = weakref.ref(node)
        del node
        gc.collect()
        assert gone() is None
    assert (gc.get_freeze_count() == 0) == (before == 0)


def test_garbage_of_before_is_freed_first() -> None:
    node = _Node()
    gone = weakref.ref(node)
    del node
    with short_collections():
        assert gone() is None
