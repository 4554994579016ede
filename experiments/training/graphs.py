"""Lets go of the graphs of trainings that have ended, which TensorFlow would keep for ever."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.framework import ops

_PREFIX = "CustomGradient-"


@contextmanager
def released_afterwards() -> Iterator[None]:
    """Forgets the custom gradients that were registered within, and with them their graphs.

    Keras' optimizers sum gradients over replicas by an operation with a gradient of its own.
    TensorFlow registers such a gradient under a new name each time a training step is traced, never
    forgets it, and the whole graph of the step hangs on it: some megabytes a trial, which is what
    makes Keras Tuner's memory grow (its issue 395). TensorFlow has no public way to undo it.
    """
    registry = ops.gradient_registry._registry
    before = set(registry)
    try:
        yield
    finally:
        for name in [n for n in registry if n.startswith(_PREFIX) and n not in before]:
            del registry[name]
