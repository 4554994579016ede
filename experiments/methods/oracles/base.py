"""What every mended oracle shares: its record, its seeds, and being rebuilt from trial files."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine import trial as trial_module

from experiments.hyperparameters.combinations import combinations, completed
from experiments.methods.oracles.reported import epochs_of
from experiments.methods.oracles.stored_trial import TrialReader
from experiments.record.bookkeeping import own_values
from experiments.record.ended_trials import best_trials
from experiments.record.files import write_json
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder, TrialFolder
from experiments.record.reading import read_json

Status = trial_module.TrialStatus
_SAVE_SECONDS = 2.0  # oracle.json can be made from the trial files, so it may lag behind them
_MOST_UNTRIED = 1000
_DIGITS = 4  # of a trial's id; fixed, so that --max-trials can be raised
_Texts = tuple[str, ...]


class DurableOracle(keras_tuner.Oracle):
    """An oracle whose state is what the trial files say.

    Trial files are written whole or not at all. A trial that runs again starts from cleared
    metrics; a result that comes late or twice is ignored. It is called from one thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kwargs.get("seed") is not None:
            self.seed = int(kwargs["seed"])  # 0 too, which Keras Tuner takes for "any"
        # The first of several ranks trials; Keras Tuner would add them up.
        first = self._objectives()[0]
        self.objective.name, self.objective.direction = first.name, first.direction
        self._saved = 0.0
        self.asked: dict[str, int] = {}  # trial id -> epochs that it was to be trained for
        self.always: frozenset[str] = frozenset()  # names that every build is known to ask for
        # hyperparameters there were, and what trials have that lack some of them: names -> values
        self._older: tuple[int, dict[_Texts, set[_Texts]]] | None = None
        self._failures_in_a_row = 0

    def create_trial(self, tuner_id: str) -> trial_module.Trial:
        """Returns the next trial for `tuner_id`: one to run again, a new one, or an empty one."""
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        self.tuner_ids.add(tuner_id)
        if self._retry_queue:
            return self._start(tuner_id, self._restarted(self._retry_queue.pop(0)))
        trial_id = self._free_id()
        response: dict[str, Any] = {"status": Status.STOPPED}
        if not self.max_trials or len(self.trials) < self.max_trials:
            self._seed_state = self.derived_seed(int(trial_id))
            response = self.populate_space(trial_id)
        hyperparameters = self.hyperparameters.copy()
        values = response.get("values")
        if values:  # of a promoted one, whose origin may lack what was found since
            values = completed(hyperparameters.space, values)
        hyperparameters.values = values or {}
        trial = trial_module.Trial(hyperparameters, trial_id, response["status"])
        if trial.status == Status.RUNNING:
            return self._start(tuner_id, trial)
        if trial.status == Status.STOPPED:
            self.tuner_ids.discard(tuner_id)
            self.flush()
        return trial

    def is_done(self) -> bool:
        """Whether there are as many trials as there may be, and none is to run again."""
        return not self._retry_queue and 0 < (self.max_trials or 0) <= len(self.trials)

    def _free_id(self) -> str:
        number = len(self.trials)
        if f"{number:0{_DIGITS}d}" in self.trials:  # a folder before it was lost: fill the gap
            number = next(n for n in range(number) if f"{n:0{_DIGITS}d}" not in self.trials)
        return f"{number:0{_DIGITS}d}"

    def _restarted(self, trial_id: str) -> trial_module.Trial:
        trial = self.trials[trial_id]
        trial.status, trial.message, trial.score, trial.best_step = Status.RUNNING, None, None, 0
        self.clear_metrics(trial_id)
        return trial

    def _start(self, tuner_id: str, trial: trial_module.Trial) -> trial_module.Trial:
        self.ongoing_trials[tuner_id] = trial
        if trial.trial_id not in self.trials:
            self._record_values(trial)
            self.trials[trial.trial_id] = trial
            self.start_order.append(trial.trial_id)
        self._save_trial(trial)
        self.save()
        return trial

    def derived_seed(self, number: int) -> int:
        """Returns the seed of the proposal for trial `number`."""
        return int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0] >> 1)

    def _random_values(self) -> dict[str, Any] | None:
        values: dict[str, Any] | None = super()._random_values()
        return values if values is not None else self._untried_values()

    def _untried_values(self) -> dict[str, Any] | None:
        """Draws from what is left of a finite space; `None` if nothing is."""
        untried = list(islice(self._left(), _MOST_UNTRIED))
        return untried[self._seed_state % len(untried)] if untried else None

    def _left(self) -> Iterator[dict[str, Any]]:
        """Yields the combinations that no trial has."""
        space = combinations(self.hyperparameters.space, self._is_covered)
        return (values for values in space if not self._duplicate(values))

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """Returns the hash of what can be proposed: entries that are not tuned are left out."""
        return str(super()._compute_values_hash(self._tuned(values)))

    def _tuned(self, values: dict[str, Any]) -> dict[str, Any]:
        if self.tune_new_entries:
            return values
        extra = own_values(values).keys() - {hp.name for hp in self.hyperparameters.space}
        return {name: value for name, value in values.items() if name not in extra}

    def _duplicate(self, values: dict[str, Any]) -> bool:
        """Whether a trial has these values, or an older one all that it asked for of them."""
        return bool(super()._duplicate(values)) or self._is_covered(values)

    def _is_covered(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial that lacks some hyperparameters of the space has its values in these.

        It has trained the same network: its build did not ask for what it lacks.
        """
        return any(
            all(name in values for name in names) and _texts(values, names) in found
            for names, found in self._of_older().items()
        )

    def _of_older(self) -> dict[_Texts, set[_Texts]]:
        """Returns what trials have that lack some hyperparameters of the space.

        A build that has not ended, or failed, may have asked for them yet, and one of a script that
        did not ask for all that every build asks for now tells nothing of them: they count at their
        defaults.
        """
        space = self.hyperparameters.space
        if self._older is not None and self._older[0] == len(space):
            return self._older[1]
        found: dict[_Texts, set[_Texts]] = {}
        for trial in self.trials.values():
            known = trial.hyperparameters
            if not self._lacks_some(trial) or not known.values:
                continue
            values = own_values(self._tuned(known.values))
            is_whole = self.always <= {hp.name for hp in known.space}
            if trial.status != Status.COMPLETED or not is_whole:
                values = completed(space, values)
            names = tuple(sorted(values))
            found.setdefault(names, set()).add(_texts(values, names))
        self._older = len(space), found
        return found

    def _lacks_some(self, trial: trial_module.Trial) -> bool:
        """Whether a trial lacks hyperparameters of the space."""
        known, space = trial.hyperparameters.space, self.hyperparameters.space
        if not self.tune_new_entries:
            names = {hp.name for hp in space}
            known = [hp for hp in known if hp.name in names]
        return len(known) < len(space)

    def _record_values(self, trial: trial_module.Trial) -> None:
        super()._record_values(trial)
        if self._lacks_some(trial):
            self._older = None

    def clear_metrics(self, trial_id: str) -> None:
        """Forgets what was reported of a trial."""
        trial = self.trials[trial_id]
        trial.metrics = type(trial.metrics)()

    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> trial_module.Trial:
        """Records one epoch; a status of `STOPPED` in the answer ends the trial.

        Nothing is written: an epoch's report is on the disk when the trial ends.
        """
        trial = self.trials[trial_id]
        self._check_objective_found(metrics)
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=self._direction(name))
            trial.metrics.metrics[name].update(float(value), step=step)
        return trial

    def _direction(self, name: str) -> str | None:
        return next((o.direction for o in self._objectives() if o.name == name), None)

    def _objectives(self) -> list[Any]:
        return list(getattr(self.objective, "objectives", [self.objective]))

    def values_of(self, trial: trial_module.Trial) -> list[float]:
        """Returns the value of each objective for a completed trial.

        Of several, all are of the epoch that was best by the first: that is the network it leaves.
        """
        names = [objective.name for objective in self._objectives()]
        if len(names) == 1:
            return [float(trial.score)]
        curves = [epochs_of(trial, name) for name in names]
        return [curve.get(trial.best_step, curve[max(curve)]) for curve in curves]

    def score_trial(self, trial: trial_module.Trial) -> None:
        """Scores a trial by the first objective, which ranks trials; by its finite values.

        Raises:
            ValueError: An objective was not reported.
        """
        super()._check_objective_found(dict.fromkeys(trial.metrics.metrics, 0.0))
        first = self._objectives()[0]
        known = {e: v for e, v in epochs_of(trial, first.name).items() if math.isfinite(v)}
        best = max if first.direction == "max" else min
        trial.best_step = best(known, key=known.__getitem__, default=None)
        trial.score = known.get(trial.best_step)

    def _check_objective_found(self, metrics: Mapping[str, float]) -> None:
        """Checks an epoch's report; of several objectives, costs come with the trial's end."""
        first, *others = [objective.name for objective in self._objectives()]
        if not others or first not in metrics:
            super()._check_objective_found(metrics)

    def end_trial(self, trial: trial_module.Trial) -> None:
        """Records how a trial ended; a trial that is not running is left as it is."""
        slots = [s for s, t in self.ongoing_trials.items() if t.trial_id == trial.trial_id]
        if not slots:
            return
        ended = self.trials[trial.trial_id]
        ended.hyperparameters, ended.message = trial.hyperparameters, trial.message
        ended.status = trial.status
        self.update_space(ended.hyperparameters)
        self._record_values(ended)
        self._settle(ended)
        self._save_trial(ended)
        self.ongoing_trials.pop(slots[0])
        self.save()
        self._check_failures(ended)

    def _settle(self, trial: trial_module.Trial) -> None:
        if trial.status == Status.COMPLETED:
            self.score_trial(trial)
            if trial.score is None or not math.isfinite(trial.score):
                trial.status = Status.INVALID
        self._run_times[trial.trial_id] += 1
        if trial.status == Status.INVALID:
            if self._run_times[trial.trial_id] <= self.max_retries_per_trial:
                self._retry_queue.append(trial.trial_id)
                return
            trial.status = Status.FAILED
        self.end_order.append(trial.trial_id)

    def _check_failures(self, trial: trial_module.Trial) -> None:
        self._failures_in_a_row = (
            self._failures_in_a_row + 1 if trial.status == Status.FAILED else 0
        )
        if self._failures_in_a_row == self.max_consecutive_failed_trials:
            raise RuntimeError(
                f"{plural(self._failures_in_a_row, 'trial')} in a row failed, the last one: "
                f"{trial.message}"
            )

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns the best completed trials by the first objective, fewer where there are fewer."""
        return best_trials(self.trials, self._objectives()[0].direction, num_trials)

    def wanted(self) -> set[str]:
        """Returns the trials whose training a later trial may continue."""
        return set()

    def save(self) -> None:
        """Writes `oracle.json`, if it was not written a moment ago."""
        if time.monotonic() - self._saved > _SAVE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes `oracle.json`."""
        self._saved = time.monotonic()
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: trial_module.Trial) -> None:
        write_json(TrialFolder(self._get_trial_dir(trial.trial_id)).state, trial.get_state())

    def reload(self) -> None:
        """Rebuilds the state from the trial files; `oracle.json` is not read."""
        paths = [trial.state for trial in StudyFolder(self._project_dir).begun()]
        reader = TrialReader()
        self.take_up(reader.trial(read_json(path), path) for path in paths)

    def take_up(self, trials: Iterable[Any]) -> None:
        """Sets the state to what it was after `trials`, and knows what they have asked for."""
        self.rebuild(trials)
        for trial in self.trials.values():
            self.update_space(trial.hyperparameters)

    def rebuild(self, trials: Iterable[Any]) -> None:
        """Sets the state to what it was after `trials`; running ones are to be run again."""
        self.trials = {t.trial_id: t for t in sorted(trials, key=lambda t: int(t.trial_id))}
        self.start_order = list(self.trials)
        self.ongoing_trials: dict[str, Any] = {}  # slot -> Trial
        self._retry_queue, self.end_order = [], []
        self._tried_so_far.clear()
        self._id_to_hash.clear()
        self._older = None
        self._run_times.clear()
        for trial_id, trial in self.trials.items():
            self._record_values(trial)
            if trial.status in (Status.COMPLETED, Status.FAILED):
                self.end_order.append(trial_id)
                self._run_times[trial_id] = 1
            else:
                self._retry_queue.append(trial_id)


def _texts(values: Mapping[str, Any], names: _Texts) -> _Texts:
    return tuple(str(values[name]) for name in names)
