"""The finalists: trained again from scratch over seeds, the winner judged on the test split."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData
from experiments.data.sources.base import Inputs
from experiments.display.base import Display
from experiments.executors.base import Executor
from experiments.finalists.again import train_again
from experiments.finalists.choose import finalists
from experiments.finalists.ranking import Finalist, Ranking
from experiments.finalists.record import (
    Confirmed,
    confirmed,
    exported,
    facts_of,
    is_done,
    is_exported,
    left_out,
    mended_finalists,
    trainings_of,
)
from experiments.finalists.testing import Predicted, known_execution, tested, write_predictions
from experiments.finalists.trainings import Outcome, Training, Trainings
from experiments.process.numerics import needs_another_process, numerics, variables_for
from experiments.record.errors import named_line
from experiments.record.files import write_json
from experiments.record.formatting import score as shown
from experiments.record.layout import StudyFolder
from experiments.record.model_metadata import ModelMetadata
from experiments.record.objective import LATENCY
from experiments.record.predictions import read_kept
from experiments.record.reading import as_dict
from experiments.record.test_uses import note_test_use
from experiments.training.own_code import notice_of, own_code
from experiments.training.task import TrialTask
from experiments.training.weights import export


class Tasks(Protocol):
    """Makes tasks of the trials of an oracle."""

    oracle: Any

    def task(self, trial: Any) -> TrialTask:
        """Returns the training task of `trial`, as plain data."""


class Confirmation:
    """Trains the best trials again, ranks them, tests the winner, exports it, writes artifacts.

    Finalists are ranked on validation by their trainings, by mean or in a race. The winner is then
    trained again on fresh seeds, and only these trainings are tested. The trainings that ranked are
    not tested: they flatter the winner, and understate the others. With several objectives, or one
    finalist, no training decides anything, and all are tested. The test split ranks nothing, and is
    opened when all trainings are done. The exported model is the winner's tested training with the
    best validation score.

    Args:
        config: The search.
        data: The prepared dataset.
        tuner: Makes tasks of trials.
        folder: The study folder.
        display: Shows how it goes.
        executor: Runs the trainings; it is that of the search, whose workers have begun.
        end: Time of the deadline, by `deadline.clock`; `None` for no deadline.
        source: What trains now, see `hyperparameters.source.changed_source`.
    """

    def __init__(
        self,
        config: SearchConfig,
        data: PreparedData,
        tuner: Tasks,
        folder: Path,
        display: Display,
        executor: Executor,
        end: float | None = None,
        source: str | None = None,
    ) -> None:
        self._executor, self._source = executor, source
        self._config, self._data, self._tuner = config, data, tuner
        self._folder, self._display, self._end = folder, display, end
        self._study = StudyFolder(folder)
        self._recorded = self._read(self._study.finalists)
        self._earlier = self._read(self._study.finalists_earlier)
        # trial id -> seed -> predictions on the test images
        self._predicted: dict[str, dict[int, Predicted]] = {}

    def _read(self, path: Path) -> list[dict[str, Any]]:
        records, line = mended_finalists(path)
        if line:
            self._display.notice(line)
        return records

    @property
    def is_done(self) -> bool:
        """Whether an earlier session has confirmed the same trials in the same way."""
        asked = [trial.trial_id for trial in self._best()]
        return self._config.confirm == 0 or (
            is_done(self._recorded, self._config, asked)
            and is_exported(self._recorded, self._study.model)
        )

    def run(self) -> Confirmed:
        """Confirms the best trials, except for work that is already done.

        Raises:
            OutOfTimeError: The deadline came first; nothing is recorded, trainings are kept.
        """
        if self._config.confirm == 0:  # what an earlier session has confirmed stays in the record
            return confirmed([])
        if self.is_done:
            shutil.rmtree(self._study.trainings, ignore_errors=True)
            self._write_bases()
            return confirmed(self._recorded)
        best = [trial.trial_id for trial in self._best()]
        trainings = Trainings(self._folder, self._executor, self._display, self._known(), self._end)
        ranked = self._ranked(trainings, best)
        records = self._tested(ranked)
        labels = np.asarray(self._data.open("test").labels)
        write_predictions(self._study.arrays("finalists"), labels, self._predicted)
        self._keep_earlier(records)
        write_json(self._study.finalists, records)
        trainings.remove()
        self._write_bases()
        return confirmed(records)

    def _write_bases(self) -> None:
        """Writes what each of several bases sees, and what it costs."""
        from experiments.finalists.bases import best_of_bases, write_bases

        oracle = self._tuner.oracle
        best = best_of_bases(oracle.get_best_trials(max(len(oracle.trials), 1)))
        if not best or self._data.inputs != Inputs.IMAGES:
            return
        with_latency = LATENCY not in (o.name for o in self._config.objectives)
        try:
            write_bases(self._study, best, self._built, self._data, with_latency)
        except Exception as error:  # a base may have any form; a picture is not worth a search
            self._display.notice(f"what each base sees is not shown: {named_line(error)}")

    def _built(self, trial: Any) -> Any:
        from experiments.training.network import new_network

        return new_network(self._tuner.task(trial)).whole

    def _keep_earlier(self, records: Sequence[dict[str, Any]]) -> None:
        """Keeps trainings that are no longer in the record: another session may need them."""
        earlier = left_out([*self._recorded, *self._earlier], records)
        if earlier or self._earlier:
            write_json(self._study.finalists_earlier, earlier)

    def _ranked(self, trainings: Trainings, best: Sequence[str]) -> list[Finalist]:
        """Trains the finalists, and returns them ranked."""
        say = self._display.notice
        ranking = Ranking(
            self._config,
            trainings,
            self._training,
            say,
            self._resolution(),
            self._end,
            self._costs(best),
        )
        try:
            return ranking.of(best) if best else []
        finally:
            trainings.close()

    def _tested(self, ranked: Sequence[Finalist]) -> list[dict[str, Any]]:
        """Tests the chosen trainings, exports the winner, and returns the record."""
        records: list[dict[str, Any]] = []
        winner = None
        self._note_test(ranked)
        for finalist in ranked:
            runs = self._runs(finalist)
            chosen = self._choose(runs) if winner is None else None
            if chosen is not None:
                winner = finalist.trial_id
                self._export(finalist, finalist.trained[chosen])
            records.append(self._record(finalist, runs, chosen))
        return records

    def _note_earlier(self) -> None:
        """Records tests made before uses were recorded: the finalists may lose them."""
        tested = [
            (r["trial_id"], t) for r in self._recorded for t in trainings_of(r) if "test" in t
        ]
        if tested:
            how = {"patience": self._config.patience} | self._recorded[0]
            named = [(trial_id, training["seed"]) for trial_id, training in tested]
            when = self._study.finalists.stat().st_mtime
            note_test_use(self._folder, "finalists", self._data, how, named, when)

    def _note_test(self, ranked: Sequence[Finalist]) -> None:
        self._note_earlier()
        new = [o.training for f in ranked for o in f.trained if o.test is None]
        length = {"max_epochs": self._config.max_epochs, "patience": self._config.patience}
        how = {**length, "source": self._source}
        named = [(training.trial_id, training.seed) for training in new]
        note_test_use(self._folder, "finalists", self._data, how, named)

    def _best(self) -> list[Any]:
        return finalists(self._tuner.oracle, self._config.confirm)

    def _known(self) -> dict[str, Outcome]:
        """Returns the trainings of an earlier session, tested ones with their test."""
        found = {}
        for record in (*self._earlier, *self._recorded):
            if record["trial_id"] not in self._tuner.oracle.trials:
                continue
            for run in trainings_of(record):
                training = self._training(record["trial_id"], run["seed"])
                if training.matches(facts_of(record, run)):
                    test = {n: run[n] for n in run if n in ("test", "test_size")} or None
                    known = Outcome(training, known_execution(run), test=test)
                    found[training.key] = replace(known, numerics=as_dict(run.get("numerics")))
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
        return Training(trial_id, seed, task, {"source": self._source})

    def _costs(self, names: Sequence[str]) -> dict[str, list[float]]:
        """Returns the costs of trials, for several objectives; NaN counts as infinite."""
        oracle = self._tuner.oracle
        if len(self._config.objectives) == 1:
            return {}
        values = {name: oracle.values_of(oracle.trials[name])[1:] for name in names}
        return {n: [v if v == v else math.inf for v in of] for n, of in values.items()}

    def _resolution(self) -> float:
        if "accuracy" not in self._config.parsed_objective.name:
            return 0.0
        return 1 / max(1, self._data.counts.get("validation", 1))

    def _runs(self, finalist: Finalist) -> list[dict[str, Any]]:
        """Returns the record of each training that is tested."""
        kept = read_kept(self._folder).get(finalist.trial_id, {})
        of_record = [facts_of(r, run) for r in self._recorded for run in r["runs"]]
        predicted = self._predicted.setdefault(finalist.trial_id, {})
        runs = []
        for outcome in finalist.trained:
            seed = outcome.training.seed
            if outcome.test is None:
                found = tested(finalist.network(outcome), self._data)
                predicted[seed] = found.predicted
                runs.append(outcome.record | found.record)
            else:
                is_its = any(map(outcome.training.matches, of_record))
                predicted |= {seed: kept[seed]} if is_its and seed in kept else {}
                runs.append(outcome.record)
        return runs

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
        from experiments.finalists.artifacts import write_artifacts

        if outcome.weights is None:
            training = outcome.training
            there = self._study.model.is_file()
            if there and training.matches(exported(self._recorded)):
                return
            before, outcome = outcome, self._again(outcome)
            if outcome.score != before.score:
                self._display.notice(
                    f"{training.trial_id} with seed {training.seed} has come to "
                    f"{shown(outcome.score)} this time, not to {shown(before.score)}: the exported "
                    "model is not quite the one that the record tells of"
                )
        model = finalist.network(outcome)
        if exported(self._recorded):  # cut off here, the record names no trial of another model
            unnamed = [record | {"exported_run": None} for record in self._recorded]
            write_json(self._study.finalists, unnamed)
        export(self._folder, model, self._metadata())
        if needs := own_code(model):
            self._display.notice(notice_of(needs))
        write_artifacts(self._study, model, self._data)

    def _again(self, outcome: Outcome) -> Outcome:
        """Trains once more, under the threads and libraries of then."""
        then = outcome.numerics
        environment = variables_for(then) if needs_another_process(then, numerics()) else None
        return train_again(outcome.training, self._folder, self._display, environment=environment)

    def _metadata(self) -> ModelMetadata:
        data = self._data
        return ModelMetadata(data.class_names, data.shape, data.inputs, data.targets)

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
        if finalist.ranking:
            record["ranking"] = _ranking(finalist)
        failed = [*_failed(finalist.ranking, ranking=True), *_failed(finalist.outcomes)]
        return (
            record
            | ({"source": self._source} if self._source else {})
            | ({"failed": failed} if failed else {})
            | ({"race": finalist.race} if finalist.race else {})
        )


def _ranking(finalist: Finalist) -> list[dict[str, Any]]:
    """Returns the record of each training that ranked; in a race each with its round, from 1."""
    runs = [outcome.record for outcome in finalist.ranking if outcome.execution is not None]
    if finalist.race:
        return [run | {"round": index} for index, run in enumerate(runs, 1)]
    return runs


def _failed(outcomes: Sequence[Outcome], **facts: Any) -> list[dict[str, Any]]:
    failed = [outcome for outcome in outcomes if outcome.failure]
    return [{"seed": o.training.seed, "message": o.failure} | facts for o in failed]
