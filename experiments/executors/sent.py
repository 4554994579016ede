"""Runs trials of a caller's own model in a worker process, which is sent model and data once."""

import pickle
from functools import cache
from typing import Any

from experiments.training.task import FitTask


def run_sent(path: str, task: FitTask, report: Any, note: Any) -> Any:
    """Runs a trial.

    Args:
        path: The file that holds the tuner, its model and its data.
        task: The trial.
        report: Receives every epoch.
        note: Not used: nothing is computed before the first epoch.
    """
    tuner = _opened(path)
    from keras_tuner.engine import trial as trial_module

    trial = trial_module.Trial.from_state(task.trial)
    tuner.oracle.trials = {trial.trial_id: trial}
    result = tuner._run_task(trial, task, report)
    result.found = trial.hyperparameters.get_config()
    return result


@cache
def _opened(path: str) -> Any:
    from experiments.process.inherited import follow
    from experiments.process.quiet import import_keras_quietly

    import_keras_quietly()
    import cloudpickle

    with open(path, "rb") as file:
        follow(pickle.load(file))
        return cloudpickle.load(file)
