"""The suite's tuner: a Keras Tuner `Tuner` whose trials go through `run_trial`."""

import time
from pathlib import Path
from typing import Any, Protocol

import keras_tuner
from keras_tuner.engine import trial as trial_module

from experiments.cache import cache_folder
from experiments.config import SearchConfig
from experiments.data import PreparedData
from experiments.files import write_json
from experiments.trial import TrialResult, TrialTask, derive_seed, run_trial

_TRIAL_STREAM = 0
_IDLE_SECONDS = 0.1


class Observer(Protocol):
    """Is told of a search as it goes; the live display is one."""

    def trial_started(self, trial_id: str, values: dict[str, Any], epochs: int) -> None: ...

    def epoch_ended(self, execution: int, epoch: int, metrics: dict[str, float]) -> None: ...

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None: ...

    def computing(self, what: str, done: int, total: int) -> None: ...


class SuiteTuner(keras_tuner.Tuner):
    """Drives an oracle; keeps the whole record of every trial in the project folder.

    Args:
        config: The search.
        data: The prepared dataset.
        observer: Told of every trial and epoch.
        **kwargs: Arguments of `keras_tuner.Tuner`.
    """

    def __init__(
        self, config: SearchConfig, data: PreparedData, observer: Observer, **kwargs: Any
    ) -> None:
        self.config = config
        self.data = data
        self.observer = observer
        super().__init__(**kwargs)

    def _populate_initial_space(self) -> None:
        # The oracle was given the whole space: no build is needed to find it.
        return

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Runs trials until the oracle has no more; takes no data, it was given to `__init__`."""
        self.save()
        while True:
            trial = self.oracle.create_trial(self.tuner_id)
            if trial.status == trial_module.TrialStatus.STOPPED:
                break
            if trial.status == trial_module.TrialStatus.IDLE:
                time.sleep(_IDLE_SECONDS)
                continue
            self._run(trial)
            self.on_trial_end(trial)

    def _run(self, trial: Any) -> None:
        task = self.task(trial)
        self.observer.trial_started(trial.trial_id, dict(trial.hyperparameters.values), task.epochs)
        started = time.time()
        result = self.run_trial(trial, task, self._report)
        self._record(trial, task, result, started)
        self.observer.trial_ended(
            trial.trial_id, result.status, self._score(result), result.message
        )

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> TrialResult:
        """Runs one task; the same function serves every executor."""
        task, report = args
        return run_trial(task, report, self.observer.computing)

    def _report(self, execution: int, epoch: int, metrics: dict[str, float]) -> bool:
        self.observer.epoch_ended(execution, epoch, metrics)
        return False

    def task(self, trial: Any) -> TrialTask:
        """Returns what `trial` asks for, as plain data."""
        values = trial.hyperparameters.values
        earlier = values.get("tuner/trial_id")
        number = int(trial.trial_id)
        return TrialTask(
            space=self.config.space,
            settings=dict(self.config.settings),
            hyperparameters=trial.hyperparameters.get_config(),
            data=self.data,
            objective=self.config.parsed_objective,
            epochs=int(values.get("tuner/epochs", self.config.max_epochs)),
            seeds=tuple(
                derive_seed(self.config.seed, _TRIAL_STREAM, number, execution)
                for execution in range(self.config.executions_per_trial)
            ),
            patience=self.config.patience,
            initial_epoch=int(values.get("tuner/initial_epoch", 0)),
            start_weights=self._get_checkpoint_fname(earlier) if earlier else None,
            checkpoint=self._get_checkpoint_fname(trial.trial_id),
            checkpoint_above=self._score_to_beat(trial),
            cache_dir=str(cache_folder(self.config.cache_dir))
            if self.config.cache_features
            else None,
        )

    def _score_to_beat(self, trial: Any) -> float | None:
        """Returns the score below which a trial's weights can't be among those to keep."""
        if any(name.startswith("tuner/") for name in trial.hyperparameters.values):
            return None  # a trial that hyperband may promote
        num_kept = max(self.config.confirm, 1)
        best = [t for t in self.oracle.get_best_trials(num_kept) if t.status == "COMPLETED"]
        return float(best[-1].score) if len(best) == num_kept else None

    @staticmethod
    def _score(result: TrialResult) -> float | None:
        scores = [e.score for e in result.executions if e.score is not None]
        if result.status != "completed" or not scores:
            return None
        return sum(scores) / len(scores)

    def _record(self, trial: Any, task: TrialTask, result: TrialResult, started: float) -> None:
        record = result.as_dict() | {
            "trial_id": trial.trial_id,
            "hyperparameters": dict(trial.hyperparameters.values),
            "score": self._score(result),
            "started": started,
            "ended": time.time(),
        }
        write_json(Path(self.get_trial_dir(trial.trial_id)) / "result.json", record)
        if result.status != "completed":
            trial.status = trial_module.TrialStatus.FAILED
            trial.message = result.traceback
            return
        for execution in result.executions:
            metrics = {n: v[execution.best_epoch] for n, v in execution.history.items()}
            step = task.initial_epoch + execution.best_epoch
            if len(result.executions) > 1:
                step = 0  # Keras Tuner averages the observations of one step
            self.oracle.update_trial(trial.trial_id, metrics, step=step)
        trial.status = trial_module.TrialStatus.COMPLETED
