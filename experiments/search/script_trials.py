"""The trials of `experiments.Tuner`: their tasks, and the hooks that are called for them."""

from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_module

from experiments.config import SearchConfig
from experiments.executors.base import Job
from experiments.record.layout import TrialFolder
from experiments.record.seeds import Stream, seeds_of
from experiments.search.driver import Driver
from experiments.training.task import FitTask, TrialResult


class HookedDriver(Driver):
    """Calls the hooks of a tuner."""

    _source: "FitTasks"

    def _created(self) -> Any:
        self._source.tuner.pre_create_trial()
        return super()._created()

    def _begin(self, trial: Any) -> None:
        self._source.tuner.on_trial_begin(trial)
        super()._begin(trial)

    def _finish(self, job: Job, result: TrialResult) -> None:
        trial = self._oracle.trials[job.trial_id]
        if (found := getattr(result, "found", None)) is not None:  # by a worker process
            trial.hyperparameters = keras_tuner.HyperParameters.from_config(found)
        super()._finish(job, result)
        self._source.tuner.on_trial_end(trial)


class FitTasks:
    """Makes the tasks of a tuner's trials."""

    def __init__(self, tuner: keras_tuner.Tuner, config: SearchConfig, retention: Any) -> None:
        self.oracle = tuner.oracle
        self.tuner, self._config, self._retention = tuner, config, retention

    def task(self, trial: trial_module.Trial) -> Any:
        """Returns the task of `trial`."""
        values, config = trial.hyperparameters.values, self._config
        origin = values.get("tuner/trial_id")
        if origin and not TrialFolder(Path(self.tuner.get_trial_dir(origin))).snapshots():
            origin = None  # its state was removed to free the disk: it begins at its first epoch
        return FitTask(
            trial_id=trial.trial_id,
            objective=config.parsed_objective,
            epochs=int(values.get("tuner/epochs", config.max_epochs)),
            initial_epoch=int(values.get("tuner/initial_epoch", 0)) if origin else 0,
            seeds=tuple(
                seeds_of(config.seed, Stream.TRIAL, trial.trial_id, config.executions_per_trial)
            ),
            folder=Path(self.tuner.get_trial_dir(trial.trial_id)),
            origin=Path(self.tuner.get_trial_dir(origin)) if origin else None,
            to_beat=self._retention.score_to_beat(),
            keeps_state="tuner/round" in values or getattr(self.oracle, "pauses", False),
            retries=self.tuner._retries,
            further=tuple(objective.name for objective in config.objectives[1:]),
            trial=trial.get_state() if config.workers else {},
        )
