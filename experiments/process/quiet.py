"""Keeps TensorFlow's internal messages out of the terminal."""

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from experiments.process.deferred import deferred
from experiments.process.inherited import before_imports, own_keras


def import_keras_quietly() -> None:
    """Imports Keras and TensorFlow without their notes on CPU features and missing GPUs.

    Only for processes of this suite: Keras is set up for searches.

    The notes go to file descriptor 2 before any setting takes effect. So the descriptor is
    redirected during the import; if the import fails, the output is shown. If the user has set
    `TF_CPP_MIN_LOG_LEVEL` to 0 or 1, everything is shown.
    """
    before_imports()
    is_first = "keras" not in sys.modules
    _import()
    if is_first:
        # Objects made by the import live for ever: garbage collections can skip them.
        gc.freeze()
    own_keras()


def _import() -> None:
    for name in ("tensorflow", "absl"):
        # A filter, because TensorFlow resets the level when it is imported.
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_notes(unless_failed=True):
        _import_all()


@contextmanager
def without_notes(*, unless_failed: bool = False) -> Iterator[None]:
    """Keeps what TensorFlow writes to file descriptor 2 out of the terminal.

    If the user has set `TF_CPP_MIN_LOG_LEVEL` to 0 or 1, everything is shown.

    Args:
        unless_failed: Whether it is shown if an error ends the context.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            if unless_failed:
                notes.seek(0)
                os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _import_all() -> None:
    with deferred():
        import keras  # noqa: F401
        import keras_tuner  # noqa: F401
        import tensorflow  # noqa: F401
