"""Keeps TensorFlow's internal messages out of the terminal."""

import gc
import logging
import os
import sys
import tempfile

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
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1"):
        _import_all()
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            _import_all()
        except BaseException:
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
