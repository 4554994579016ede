"""Keeps what TensorFlow says of its own inner life out of the terminal."""

import logging
import os


def silence() -> None:
    """Hides TensorFlow's notes below errors; called before it is imported.

    A `TF_CPP_MIN_LOG_LEVEL` that the user has set wins.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        # A filter, for TensorFlow sets the level anew when it is imported.
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.ERROR)
