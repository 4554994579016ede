"""Inherited settings that a search can't run under: set here, or refused in one line each.

They are environment variables, the user's `keras.json`, and settings of Keras and of Python's
warnings made by a caller's script. The command line and the worker processes belong to this suite:
`before_imports`, `own_process` and `own_keras` set theirs for good. `run_search` runs in a
caller's process: `settled` changes settings there and restores them. Trials of `experiments.Tuner`
follow the caller's Keras: worker processes are sent its settings.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from experiments.process.hardware import gpu_memory_shared
from experiments.process.heap import short_collections
from experiments.process.numerics import take_onednn
from experiments.record.errors import UserError

_BACKEND, _FORMAT, _PRECISION = "tensorflow", "channels_last", "float32"
_DISTRIBUTED = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


def before_imports() -> None:
    """Sets the variables that Keras, TensorFlow and matplotlib read when they are imported.

    Raises:
        UserError: Keras has already been imported with another backend.
    """
    if "keras" in sys.modules:
        _check_backend()
    elif os.environ.get("KERAS_BACKEND") != _BACKEND:
        asked = os.environ.get("KERAS_BACKEND")
        if asked and sys.stderr is not None:
            print(f"KERAS_BACKEND={asked}: not followed, TensorFlow trains", file=sys.stderr)
        os.environ["KERAS_BACKEND"] = _BACKEND  # takes precedence over keras.json
    if not _is_found(os.environ.get("MPLBACKEND", "")):
        os.environ["MPLBACKEND"] = "agg"
    take_onednn()
    os.environ.update(gpu_memory_shared())


def own_process() -> None:
    """Sets up a process of this suite before it imports anything heavy."""
    open_streams()
    os.environ["MPLBACKEND"] = "agg"  # figures are written; a notebook's backend shows them
    _drop_errors()
    # Child processes inherit both.
    sys.warnoptions[:] = [option for option in sys.warnoptions if not _is_error(option)]
    asked = os.environ.get("PYTHONWARNINGS", "").split(",")
    if any(map(_is_error, asked)):
        os.environ["PYTHONWARNINGS"] = ",".join(o for o in asked if not _is_error(o))


def own_keras() -> None:
    """Overrides what Keras has read from `keras.json`, in a process of this suite."""
    import keras

    keras.config.set_image_data_format(_FORMAT)
    keras.config.set_floatx(_PRECISION)
    keras.config.set_dtype_policy(_PRECISION)


def keras_settings() -> tuple[str, str, dict[str, Any]]:
    """Returns what a caller's script has set of Keras, as plain data, for `follow`."""
    import keras

    policy = keras.dtype_policies.serialize(keras.config.dtype_policy())
    return keras.config.image_data_format(), keras.config.floatx(), policy


def follow(settings: tuple[str, str, dict[str, Any]]) -> None:
    """Sets Keras as another process has it, which its trials are run for."""
    import keras

    layout, precision, policy = settings
    keras.config.set_image_data_format(layout)
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(keras.dtype_policies.deserialize(policy))


@contextmanager
def settled() -> Iterator[None]:
    """Runs a search in a caller's process, and restores the caller's settings afterwards.

    Raises:
        UserError: A setting can neither be followed nor be overridden.
    """
    before_imports()
    refuse_shared_trials()
    import keras

    _check_backend()
    policy, layout = keras.config.dtype_policy(), keras.config.image_data_format()
    precision = keras.config.floatx()
    _check_precision(policy.name)
    keras.config.set_image_data_format(_FORMAT)
    keras.config.set_floatx(_PRECISION)  # it becomes the policy where Keras clears its session
    try:
        with warnings.catch_warnings(), short_collections():
            _drop_errors()
            yield
    finally:
        keras.config.set_image_data_format(layout)
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(policy)


def refuse_shared_trials() -> None:
    """Checks that Keras Tuner is not set to share trials in its own distributed mode.

    Raises:
        UserError: It is.
    """
    for name in _DISTRIBUTED:
        if os.environ.get(name):
            raise UserError(
                f"{name} is set: it makes Keras Tuner share trials in a way that this suite does "
                "not use; unset it, and take --workers or --ray"
            )


def open_streams() -> None:
    """Opens closed standard streams, so that no other file gets their numbers.

    Output to them is discarded.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            stream: object = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _check_backend() -> None:
    import keras

    backend = keras.config.backend()
    if backend != _BACKEND:
        raise UserError(
            f"Keras has been imported on {backend}, and this suite trains with TensorFlow: set "
            "KERAS_BACKEND=tensorflow before the first `import keras`"
        )


def _check_precision(policy: str) -> None:
    if policy != _PRECISION:
        raise UserError(
            f"the dtype policy is {policy!r} (set by this script, or by floatx in keras.json): "
            "searches train in float32; call keras.config.set_dtype_policy('float32') first"
        )


def _is_found(backend: str) -> bool:
    """Whether matplotlib will find a backend that is given as a module name."""
    name = backend.removeprefix("module://")
    return name == backend or find_spec(name.partition(".")[0]) is not None


def _is_error(option: str) -> bool:
    return option.strip().partition(":")[0] == "error"


def _drop_errors() -> None:
    """Restores Python's default warning filters if Python was started with warnings as errors.

    TensorFlow and Keras emit some warnings.
    """
    if any(map(_is_error, sys.warnoptions)):
        warnings.resetwarnings()
        quiet = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
        for category in quiet:
            warnings.simplefilter("ignore", category)
