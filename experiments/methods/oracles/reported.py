"""What trials of Keras Tuner have reported."""

from collections.abc import Sequence
from typing import Any

from keras_tuner.engine import trial as trial_module


def epochs_of(trial: trial_module.Trial, objective: str) -> dict[int, float]:
    """Returns what a trial of Keras Tuner has reported of an objective, by epoch from 0."""
    if not trial.metrics.exists(objective):
        return {}
    observations: Sequence[Any] = trial.metrics.get_history(objective)
    return {o.step: float(o.mean()) for o in observations}
