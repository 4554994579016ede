"""The suite's tuner: a Keras Tuner `Tuner` whose trials a driver runs through an executor."""

import contextlib
import io
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine import trial as trial_module

from experiments.config import SearchConfig
from experiments.data.cache import cache_folder
from experiments.data.prepare import PreparedData
from experiments.hyperparameters.settings import parse_settings
from experiments.record.files import write_json
from experiments.record.seeds import Stream, seeds_of
from experiments.search.driver import Driver
from experiments.search.retention import Retention
from experiments.training.task import TrialTask


class SuiteTuner(keras_tuner.Tuner):
    """Makes plain tasks of an oracle's trials; keeps the whole record in the project folder.

    Args:
        config: The search.
        data: The prepared dataset.
        retention: Knows which score a trial's weights need to be kept.
        source: Text of the file of a user's own model.
        **kwargs: Arguments of `keras_tuner.Tuner`.
    """

    def __init__(
        self,
        config: SearchConfig,
        data: PreparedData,
        retention: Retention,
        source: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.source = source
        self.settings = parse_settings(config, source)
        self.config = config
        self.data = data
        self.retention = retention
        # Keras Tuner prints on stdout that it reloads; it has nothing to reload.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(**kwargs)

    def _populate_initial_space(self) -> None:
        # The oracle was given the whole space: no build is needed to find it.
        return

    def reload(self) -> None:
        """Does nothing: `repair.restore` sets the oracle's state from the trial files."""

    def save(self) -> None:
        """Writes the file by which Keras Tuner knows a project, and the oracle's state."""
        write_json(Path(self._get_tuner_fname()), self.get_state())
        self.oracle.flush()

    def search(self, *fit_args: object, **fit_kwargs: object) -> None:
        """Runs trials until the oracle has no more.

        Args:
            *fit_args: The driver.
            **fit_kwargs: None; the data was given to `__init__`.
        """
        (driver,) = fit_args
        assert isinstance(driver, Driver)
        self.save()
        driver.run()

    def task(self, trial: trial_module.Trial) -> TrialTask:
        """Returns the training task of `trial`, as plain data."""
        values = trial.hyperparameters.values
        earlier = values.get("tuner/trial_id")
        if not str(earlier).isdecimal():  # it becomes a part of a path
            earlier = None
        return TrialTask(
            space=self.config.space,
            settings=self.settings,
            source=self.source,
            hyperparameters=trial.hyperparameters.get_config(),
            data=self.data,
            objective=self.config.parsed_objective,
            further=tuple(o.name for o in self.config.objectives[1:]),
            epochs=int(values.get("tuner/epochs", self.config.max_epochs)),
            seeds=tuple(
                seeds_of(
                    self.config.seed,
                    Stream.TRIAL,
                    trial.trial_id,
                    self.config.executions_per_trial,
                )
            ),
            patience=self.config.patience,
            class_weight=self.config.class_weight,
            snapshots=self.get_trial_dir(trial.trial_id),
            start_snapshots=self.get_trial_dir(earlier) if earlier else None,
            keep_snapshots="tuner/round" in values or getattr(self.oracle, "pauses", False),
            checkpoint=self._get_checkpoint_fname(trial.trial_id),
            checkpoint_above=self.retention.score_to_beat(),
            checkpoint_above_stopped=self.retention.score_to_beat(stopped=True),
            cache_dir=str(cache_folder(self.config.cache_dir))
            if self.config.cache_features
            else None,
        )
