"""What simulated trials do in worker processes, which import this file: it loads no TensorFlow."""

import os
import signal
from pathlib import Path
from typing import Any

from benchmarks import simulated
from benchmarks.simulated import SimulatedTask
from experiments.training.task import Answer, TrialResult


def suicidal(task: SimulatedTask, report: Any, note: Any) -> TrialResult:
    """Kills its own process in its second epoch, once, or always for trial 1."""
    marker = Path(str(task.state)).with_name("killed")

    def deadly(execution: int, epoch: int, metrics: Any) -> Answer:
        answer = report(execution, epoch, metrics)
        if epoch == 1 and (task.trial_id == "0001" or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Answer(answer)

    if task.trial_id == "0001":
        Path(str(task.state)).unlink(missing_ok=True)
    return simulated.train(task, deadly, note)


def gpu_of_process(task: SimulatedTask, report: Any, note: Any) -> TrialResult:
    """Ends with the GPUs that its process was given as the worker's message."""
    simulated.train(task, report, note)
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES")
    return TrialResult(status="failed", cause="error", message=f"GPU {gpu}")


def hello(task: Any, report: Any, note: Any) -> TrialResult:
    """Ends with a message."""
    report(0, 0, {})
    return TrialResult(message=f"hello, {task}")
