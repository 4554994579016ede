"""This machine's resources for trials, found without loading TensorFlow."""

import os
import subprocess
from pathlib import Path

import psutil

from experiments.process.container import memory_left, within_quota

_BYTES_A_WORKER = 1.5e9
_GROWTH = "TF_FORCE_GPU_ALLOW_GROWTH"


def num_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[str]:
    """Returns the devices in `CUDA_VISIBLE_DEVICES`, or else the index of each NVIDIA GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = [line for line in listed.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(found))]


def gpu_memory_shared() -> dict[str, str]:
    """Returns the variable by which TensorFlow takes no more of a GPU than it needs.

    Else the first process has nearly all of it, and the command computes beside its workers. What
    the user has set holds.
    """
    return {_GROWTH: os.environ.get(_GROWTH, "true")}


def suitable_workers() -> int:
    """Returns one worker per GPU, or else one per core, as many as memory allows.

    Of a container, its limits count.
    """
    wanted = len(gpus()) or within_quota(num_cores())
    available = min(psutil.virtual_memory().available, memory_left())
    return max(1, min(wanted, int(available // _BYTES_A_WORKER)))


def out_of_memory_kills() -> int:
    """Returns how many processes the kernel has killed for memory; 0 where that is unknown."""
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


def private_bytes(pid: int | None = None) -> int:
    """Returns the resident bytes of a process, without shared pages such as memory maps."""
    memory = psutil.Process(pid).memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))
