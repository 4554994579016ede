"""The conditions besides the seed that determine a training's numbers, recorded with each trial.

Measured on two cores with TensorFlow's CPU build: the same number of intra-op threads gives
bit-identical numbers, another one does not. Sums are split among threads, and
`enable_op_determinism` does not change that. Inter-op threads do not matter.
"""

import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.process.container import within_quota
from experiments.process.hardware import num_cores

INTRA, INTER, ONEDNN = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_ENABLE_ONEDNN_OPTS"
_PACKAGES = ("tensorflow", "keras", "numpy")


def numerics() -> dict[str, Any]:
    """Describes the numerical conditions of trainings in this process; TensorFlow is loaded."""
    import keras
    import tensorflow as tf

    threading = tf.config.threading
    return {
        "intra_op_threads": intra_op_threads(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or threads_of(0, INTER),
        "onednn": _has_onednn(),
        "cpu": cpu_model(),
        "devices": sorted({device.device_type for device in tf.config.get_visible_devices()}),
        "precision": keras.config.dtype_policy().name,
        "versions": {package: metadata.version(package) for package in _PACKAGES},
    }


def take_onednn() -> None:
    """Lets TensorFlow compute by oneDNN on every x86 processor, unless the user has decided.

    By itself it does so on those with AVX-512 VNNI or later. On others, convolutions are trained in
    half to two thirds of the time with it. To be called before TensorFlow is imported.
    """
    if "tensorflow" not in sys.modules:
        for name, value in onednn_taken().items():
            os.environ.setdefault(name, value)


def onednn_taken() -> dict[str, str]:
    """Returns the variable of `take_onednn`, for another process."""
    return {ONEDNN: "1"} if platform.machine().lower() in ("x86_64", "amd64") else {}


def _has_onednn() -> bool:
    """Whether this process computes by oneDNN; TensorFlow is loaded."""
    try:
        from tensorflow.python.util import _pywrap_util_port as port

        return bool(port.IsMklEnabled())
    except (ImportError, AttributeError):  # nothing public tells
        return os.environ.get(ONEDNN, "1") != "0"


def intra_op_threads() -> int:
    """Returns the threads of an operation in this process; TensorFlow is loaded."""
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or threads_of(0)


def says_threads(name: str) -> bool:
    """Whether the user has set a variable to a number of threads, or to a list that begins so."""
    return re.match(r"\s*0*[1-9]", os.environ.get(name, "")) is not None


def threads_of(num_workers: int, name: str = INTRA) -> int:
    """Returns the threads per trial: the number that the user set, or a share of the cores.

    Without workers, they are this process's, for which TensorFlow takes all cores.
    """
    given = os.environ.get(name, "")
    cores = within_quota(num_cores()) if num_workers else num_cores()
    share = max(1, cores // max(1, num_workers))
    return int(given) if given.isdecimal() and int(given) else share


def cpu_model() -> str:
    """Returns the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def variables_for(then: Mapping[str, Any]) -> dict[str, str]:
    """Returns environment variables for a process that reproduces the numbers of a record."""
    found = {}
    for name, fact in ((INTRA, "intra_op_threads"), (INTER, "inter_op_threads")):
        if isinstance(then.get(fact), int):
            found[name] = str(then[fact])
    if isinstance(then.get("onednn"), bool):
        found[ONEDNN] = str(int(then["onednn"]))
    return found


def needs_another_process(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a process of its own is needed to reproduce the numbers of the record."""
    return any(then.get(fact) not in (None, now[fact]) for fact in ("intra_op_threads", "onednn"))
