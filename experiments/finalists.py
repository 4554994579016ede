"""The finalists: trained again from scratch over seeds, judged on the test split."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config import SearchConfig
from experiments.data import PreparedData
from experiments.errors import UserError
from experiments.executors import make_executor
from experiments.files import write_json
from experiments.finalists_record import Confirmed, confirmed, exported, is_done, read_finalists
from experiments.front import finalists
from experiments.objective import LATENCY
from experiments.race_words import end_line, round_line
from experiments.racing import Race
from experiments.trained import build_network, export, load_weights
from experiments.trainings import Outcome, Training, Trainings
from experiments.trial import Execution, derive_seed
from experiments.tuner import SuiteTuner

_CONFIRM_STREAM = 2
_RACE_STREAM = 4  # seeds of rounds: the same for all contenders
_REPORT_SECONDS = 15.0  # what testing and reporting are expected to take


@dataclass
class Finalist:
    """A finalist with its trainings.

    Args:
        trial_id: The trial.
        outcomes: What its trainings came to.
        race: What became of it in a race; empty without one.
    """

    trial_id: str
    outcomes: list[Outcome]
    race: dict[str, Any]

    @property
    def trained(self) -> list[Outcome]:
        """The trainings that did not fail."""
        return [outcome for outcome in self.outcomes if outcome.execution is not None]

    @cached_property
    def _model(self) -> Any:
        return build_network(self.outcomes[0].training.task)

    def network(self, outcome: Outcome) -> Any:
        """Returns the network of a training; the same object for all, built and traced once."""
        assert outcome.weights is not None
        load_weights(self._model, outcome.weights)
        return self._model


class Confirmation:
    """Trains the best trials again, tests them, exports the winner and writes artifacts.

    Finalists are ranked by their validation scores: of the search (of several objectives as
    `front.finalists` says) or, with `race`, of the race. The test split ranks nothing, and is
    opened when all trainings are done. The exported model is the winner's training with the best
    validation score.

    Args:
        config: The search.
        data: The prepared dataset.
        tuner: Makes tasks of trials.
        folder: The study folder.
        display: Shows how it goes.
        end: When the search should be done, by `time.monotonic`; `None` for whenever.
    """

    def __init__(
        self,
        config: SearchConfig,
        data: PreparedData,
        tuner: SuiteTuner,
        folder: Path,
        display: Any,
        end: float | None = None,
    ) -> None:
        self._config, self._data, self._tuner = config, data, tuner
        self._folder, self._display, self._end = folder, display, end
        self._path = folder / "artifacts" / "finalists.json"
        self._recorded = read_finalists(self._path)

    @property
    def is_done(self) -> bool:
        """Whether an earlier session has confirmed the same trials in the same way."""
        return is_done(self._recorded, self._config, [trial.trial_id for trial in self._best()])

    def run(self) -> Confirmed:
        """Confirms the best trials, as far as that was not done before."""
        if self._config.confirm == 0:  # what an earlier session has confirmed stays in the record
            return confirmed([])
        if self.is_done:
            shutil.rmtree(self._folder / "artifacts" / "finalists", ignore_errors=True)
            return confirmed(self._recorded)
        best = self._best()
        trainings = Trainings(self._folder, self._executor(), self._display, self._known())
        records: list[dict[str, Any]] = []
        winner = None
        for finalist in self._finalists(trainings, best):
            runs = self._runs(finalist)
            chosen = self._choose(runs) if winner is None else None
            if chosen is not None:
                winner = finalist.trial_id
                self._export(finalist, finalist.trained[chosen])
            records.append(self._record(finalist, runs, chosen))
        write_json(self._path, records)
        trainings.remove()
        return confirmed(records)

    def _finalists(self, trainings: Trainings, best: Sequence[Any]) -> list[Finalist]:
        """Trains the finalists, and returns them ranked."""
        done = False
        try:
            races = self._config.race and len(best) > 1
            trained = (self._raced if races else self._trained)(trainings, best)
            done = True
        finally:
            trainings.close(not done)
        return trained

    def _best(self) -> list[Any]:
        return finalists(self._tuner.oracle, self._config.confirm)

    def _executor(self) -> Any:
        """Takes worker processes where several are wanted: one alone would load TensorFlow anew."""
        workers = None if self._config.workers == "auto" else int(self._config.workers)
        alone = self._config.ray is not None or workers == 1
        return make_executor(0 if alone else workers)

    def _known(self) -> dict[str, Outcome]:
        """Returns the trainings that an earlier session has tested."""
        found = {}
        for record in self._recorded:
            if record["trial_id"] not in self._tuner.oracle.trials:
                continue
            for run in record["runs"]:
                training = self._training(record["trial_id"], run["seed"])
                if training.facts.items() <= ({**record, "seed": run["seed"]}).items():
                    known = {n: run[n] for n in Execution.__dataclass_fields__ if n in run}
                    test = {n: run[n] for n in ("test", "test_size")}
                    found[training.key] = Outcome(training, Execution(**known), test=test)
        return found

    def _training(self, trial_id: str, seed: int) -> Training:
        task = self._tuner.task(self._tuner.oracle.trials[trial_id])
        task = replace(
            task,
            further=tuple(name for name in task.further if name != LATENCY),
            epochs=self._config.max_epochs,
            seeds=(seed,),
            snapshots=None,
            start_snapshots=None,
            keep_snapshots=False,
            checkpoint=None,
            checkpoint_above=None,
        )
        return Training(trial_id, seed, task)

    def _trained(self, trainings: Trainings, best: Sequence[Any]) -> list[Finalist]:
        """Trains each finalist with seeds of its own."""
        config = self._config
        wanted = [
            self._training(
                t.trial_id, derive_seed(config.seed, _CONFIRM_STREAM, int(t.trial_id), i)
            )
            for t in best
            for i in range(config.seeds)
        ]
        outcomes = trainings.run(wanted)
        return [
            Finalist(t.trial_id, [o for o in outcomes if o.training.trial_id == t.trial_id], {})
            for t in best
        ]

    def _raced(self, trainings: Trainings, best: Sequence[Any]) -> list[Finalist]:
        """Trains round by round, with the same seed for all that are left."""
        config, names = self._config, [trial.trial_id for trial in best]
        race = Race(
            names,
            config.confirm * config.seeds,
            config.parsed_objective.direction,
            self._resolution(),
        )
        outcomes: dict[str, list[Outcome]] = {name: [] for name in names}
        ended_by = None
        while ended_by is None and (left := race.next_round()):
            began = time.monotonic()
            seed = derive_seed(config.seed, _RACE_STREAM, race.rounds)
            for outcome in trainings.run([self._training(name, seed) for name in left]):
                outcomes[outcome.training.trial_id].append(outcome)
            drops = race.record({name: outcomes[name][-1].score for name in left})
            self._display.notice(round_line(race, drops))
            if self._is_due(time.monotonic() - began) and race.next_round():
                ended_by = "deadline"
        ended_by = ended_by or race.ending
        self._display.notice(end_line(race, ended_by))
        facts = {n: getattr(race, n) for n in ("budget", "spent", "rounds")} | {
            "ended_by": ended_by
        }
        return [Finalist(n, outcomes[n], facts | race.place(n)) for n in race.ranking()]

    def _resolution(self) -> float:
        if "accuracy" not in self._config.parsed_objective.name:
            return 0.0
        return 1 / max(1, self._data.counts.get("validation", 1))

    def _is_due(self, round_seconds: float) -> bool:
        """Whether another round would not end in time."""
        left = None if self._end is None else self._end - time.monotonic()
        return left is not None and left < round_seconds + _REPORT_SECONDS

    def _runs(self, finalist: Finalist) -> list[dict[str, Any]]:
        """Returns the record of each training, tested; in a race each with its round, from 1."""
        runs = [self._run(finalist, outcome) for outcome in finalist.trained]
        if finalist.race:
            return [run | {"round": index} for index, run in enumerate(runs, 1)]
        return runs

    def _run(self, finalist: Finalist, outcome: Outcome) -> dict[str, Any]:
        assert outcome.execution is not None
        if outcome.test is not None:
            return asdict(outcome.execution) | outcome.test
        from experiments.feed import dataset_of

        test = self._data.open("test")
        model = finalist.network(outcome)
        scores = model.evaluate(dataset_of(test, 64), verbose=0, return_dict=True)
        tested = {name: float(value) for name, value in scores.items()}
        size = int(np.shape(test.labels)[0])
        return asdict(outcome.execution) | {"test": tested, "test_size": size}

    def _choose(self, runs: Sequence[dict[str, Any]]) -> int | None:
        """Returns the training with the best validation score; the first of equal ones."""
        chosen = None
        for index, run in enumerate(runs):
            best = None if chosen is None else runs[chosen]["score"]
            if self._config.parsed_objective.better(run["score"], best):
                chosen = index
        return chosen

    def _export(self, finalist: Finalist, outcome: Outcome) -> None:
        """Writes the model and the artifacts of a training, unless they are there already."""
        from experiments.artifacts import write_artifacts

        if outcome.weights is None:
            training = outcome.training
            there = (self._folder / "best_model.keras").is_file()
            if there and exported(self._recorded) == (training.trial_id, training.seed):
                return
            outcome = self._trained_again(training)
        model = finalist.network(outcome)
        export(self._folder, model)
        write_artifacts(self._folder / "artifacts", model, self._data)

    def _trained_again(self, training: Training) -> Outcome:
        """Trains what was trained and tested before, and not exported: its weights are gone."""
        trainings = Trainings(self._folder, make_executor(0), self._display, {})
        outcome = trainings.run([training])[0]
        if outcome.weights is None:
            raise UserError(
                f"trial {training.trial_id} was to be trained once more with seed {training.seed} "
                f"for its model, and fails now: {outcome.failure}"
            )
        return outcome

    def _record(
        self, finalist: Finalist, runs: list[dict[str, Any]], chosen: int | None
    ) -> dict[str, Any]:
        record = {
            "trial_id": finalist.trial_id,
            "runs": runs,
            "exported_run": chosen,
            "max_epochs": self._config.max_epochs,
            "patience": self._config.patience,
        }
        failed = [
            {"seed": o.training.seed, "message": o.failure} for o in finalist.outcomes if o.failure
        ]
        return (
            record
            | ({"failed": failed} if failed else {})
            | ({"race": finalist.race} if finalist.race else {})
        )
