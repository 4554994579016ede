"""Keeps what TensorFlow says of its own inner life out of the terminal."""

import gc
import logging
import os
import sys
import tempfile

from experiments.inherited import before_imports, own_keras


def import_keras_quietly() -> None:
    """Imports Keras and TensorFlow without their notes on CPU features and missing GPUs.

    For processes of this suite alone: Keras is set to what searches need.

    They are written to file descriptor 2 before any setting is heard, so that is turned away
    during the import; if the import fails, what was written is shown. A `TF_CPP_MIN_LOG_LEVEL`
    of 0 or 1 that the user has set wins and shows all.
    """
    before_imports()
    is_first = "keras" not in sys.modules
    _import()
    if is_first:
        # What they have made lives for ever: collections need not look at it again.
        gc.freeze()
    own_keras()


def _import() -> None:
    for name in ("tensorflow", "absl"):
        # A filter, for TensorFlow sets the level anew when it is imported.
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") in ("0", "1"):
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import keras  # noqa: F401
            import keras_tuner  # noqa: F401
            import tensorflow  # noqa: F401
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
