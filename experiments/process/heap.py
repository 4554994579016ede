"""Keeps garbage collections short while a search runs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def short_collections() -> Iterator[None]:
    """Lets garbage collections inside the block skip what is alive when it begins.

    Keras Tuner and Keras collect all garbage before each network. That looks at every object there
    is, of which the imports alone made half a million: a third of a second, twice a trial.
    """
    gc.collect()
    is_first = gc.get_freeze_count() == 0
    gc.freeze()
    try:
        yield
    finally:
        if is_first:
            gc.unfreeze()
