"""Frees the graphs of finished trainings, which TensorFlow would keep forever."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.framework import ops

_PREFIX = "CustomGradient-"


@contextmanager
def released_afterwards() -> Iterator[None]:
    """Unregisters the custom gradients that were registered within, and frees their graphs.

    Keras' optimizers sum gradients over replicas with an operation that has a custom gradient.
    TensorFlow registers this gradient under a new name each time a training step is traced, and
    never removes it. It keeps the whole graph of the step alive: some megabytes per trial. This is
    why Keras Tuner's memory grows (its issue 395). TensorFlow has no public way to undo it.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in [n for n in registry if n.startswith(_PREFIX) and n not in before]:
            del registry[name]
