"""Trials of earlier sessions: thousands of them, whose spaces are shared and whose epochs wait.

Keras Tuner's own `Trial.from_state` makes every hyperparameter and every epoch's report of a trial
an object: a millisecond and a hundred kilobytes a trial.
"""

import copy
from pathlib import Path
from typing import Any

from keras_tuner.engine import hyperparameters as hp_module
from keras_tuner.engine import trial as trial_module

from experiments.record.reading import measured, read_json
from experiments.record.schema import check_ended_state, check_hyperparameters

Status = trial_module.TrialStatus


class StoredTrial(trial_module.Trial):
    """A trial that has ended, by its file; its metrics are read when they are asked for.

    Args:
        state: The content of `trial.json`, checked as such.
        hyperparameters: Its values in its space.
        path: The file.
    """

    def __init__(
        self, state: dict[str, Any], hyperparameters: hp_module.HyperParameters, path: Path
    ) -> None:
        self._metrics: object = None
        super().__init__(hyperparameters, state["trial_id"], state["status"], state["message"])
        self.best_step = state["best_step"]
        if self.status == Status.COMPLETED:  # the score of one that failed is NaN, as a text
            self.score = state["score"]
        self._path = path
        self._tracker: Any = type(self._metrics)
        self._metrics = None  # until they are asked for

    @property
    def metrics(self) -> Any:
        """What was reported of it."""
        if self._metrics is None:
            state = read_json(self._path)
            for metric in state["metrics"]["metrics"].values():
                for seen in metric["observations"]:
                    seen["value"] = list(map(measured, seen["value"]))
            self._metrics = self._tracker.from_config(state["metrics"])
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: object) -> None:
        self._metrics = metrics


class TrialReader:
    """Makes trials of their files; those of the same space share its hyperparameters."""

    def __init__(self) -> None:
        self._space: object = None  # as it is in the file
        self._shared: Any = None

    def trial(self, state: dict[str, Any], path: Path) -> trial_module.Trial:
        """Returns the trial whose file holds `state`.

        Raises:
            KeyError: Something is missing in `state`.
            TypeError: Something in it is of the wrong kind.
            ValueError: It has no number for an id, or is not what a trial leaves.
        """
        int(state["trial_id"])
        if state["status"] not in (Status.COMPLETED, Status.FAILED):
            check_hyperparameters(state["hyperparameters"])
            return trial_module.Trial.from_state(state)
        check_ended_state(state)  # before Keras Tuner changes what it is given
        return StoredTrial(state, self._hyperparameters(state["hyperparameters"]), path)

    def _hyperparameters(self, config: dict[str, Any]) -> hp_module.HyperParameters:
        if self._shared is None or config["space"] != self._space:
            space = copy.deepcopy(config["space"])  # Keras Tuner changes what it is given
            shared = hp_module.HyperParameters.from_config(config)
            for hp in shared.space:
                shared.is_active(hp)  # its conditions can be asked, or this raises
            self._shared, self._space = shared, space
        # A trial may get further hyperparameters: its lists are its own, what is in them is shared.
        own = hp_module.HyperParameters()
        own._space = list(self._shared._space)
        for name, same in self._shared._hps.items():
            own._hps[name] = list(same)
        own.values = dict(config["values"])
        return own
