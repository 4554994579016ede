"""Trains trials again over seeds and tests them, so that they can be compared."""

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.display.plain import PatientDisplay
from experiments.finalists.again import train_again
from experiments.finalists.ranking import Finalist
from experiments.finalists.testing import Predicted, tested
from experiments.finalists.trainings import Training
from experiments.record.alike import facts_of, why_unlike
from experiments.record.errors import InterruptedSearchError, UserError
from experiments.record.formatting import score
from experiments.record.layout import DEFAULT
from experiments.record.numerics import numerics_sentence
from experiments.record.predictions import Targets, no_classes
from experiments.record.seeds import Stream, derive_seed, seeds_of
from experiments.record.test_uses import note_test_use
from experiments.studies.confirmed_files import read_confirmed, set_aside_lost, set_aside_unlike
from experiments.studies.reopen import Opened
from experiments.studies.trained_how import how_trained, key_of
from reports.analysis.test_predictions import ranking_seeds, test_predictions

_PLACE = "confirmed"  # in `artifacts/`


def confirm_trial(
    opened: Opened, trial_id: str, num_seeds: int, say: Callable[[str], object] | None = None
) -> None:
    """Trains a trial over seeds, tests it, and keeps scores and predictions in the study.

    Existing trainings with predictions are reused if they were trained alike (`how_trained`),
    whether made for a comparison or for a finalist. Other trainings for comparisons are moved to
    `confirmed/earlier/`. A trial that was ranked among finalists gets the finalists' fresh seeds:
    the trainings that ranked it would bias its test. `artifacts/confirmed/<trial>.json` holds
    scores in the form of `finalists.json`, and `<trial>.npz` each training's predictions on the
    test images. The caller holds the study's lock, and has called `check_classes`.

    Args:
        opened: The study.
        trial_id: A trial, or `default` for the space's default.
        num_seeds: Number of trainings wanted.
        say: Called with a line of progress.

    Raises:
        UserError: A training failed.
        InterruptedSearchError: It was interrupted; finished trainings are kept for the next call.
    """
    path = opened.study.files.confirmed_trial(trial_id)
    say = say or (lambda line: None)
    is_default = trial_id == DEFAULT
    config = opened.default() if is_default else opened.hyperparameters(trial_id)
    how = how_trained(opened.task(config, seeds=()))
    labels = np.asarray(opened.data.open("test").labels)
    found = read_confirmed(path, trial_id, labels)
    lost = set_aside_lost(path, found)
    done, moved = set_aside_unlike(path, found, how)
    for line in filter(None, (lost, moved)):
        say(line)
    of_finalists = _of_finalists(opened, trial_id, how)
    there = {*done.predicted, *of_finalists}
    wanted = [seed for seed in _seeds(opened, trial_id, num_seeds) if seed not in there]
    named = [(trial_id, seed) for seed in wanted]
    note_test_use(opened.folder, "compare", opened.data, how | {"key": key_of(how)}, named)
    for seed in wanted:
        task = opened.task(config, seeds=(seed,))
        training = Training(trial_id, seed, task, {"how": key_of(how)})
        run, predicted = _train_and_test(opened, training)
        done.runs.append(run | {"how": how})
        done.predicted[seed] = predicted
        say(f"trial {trial_id}, seed {seed}: test accuracy {score(run['test']['accuracy'])}")
        done.write(path)
        shutil.rmtree(path.parent / training.key, ignore_errors=True)
    if unequal := numerics_sentence([*of_finalists.values(), *done.runs]):
        say(f"trial {trial_id}: {unequal}")


def check_classes(opened: Opened) -> None:
    """Checks that trials can be compared, which is done by the classes they predict.

    Raises:
        UserError: The study has none.
    """
    if opened.data.targets != Targets.CLASSES:
        raise UserError(no_classes(opened.study.name))


def _seeds(opened: Opened, trial_id: str, num_seeds: int) -> list[int]:
    seed = opened.config.seed
    if trial_id == DEFAULT:
        return [derive_seed(seed, Stream.DEFAULT, index) for index in range(num_seeds)]
    was_ranked = bool(ranking_seeds(opened.study, trial_id))
    return seeds_of(seed, Stream.FRESH if was_ranked else Stream.CONFIRM, trial_id, num_seeds)


def _of_finalists(opened: Opened, trial_id: str, how: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Returns the finalist's trainings that have the conditions `how`, by seed."""
    found = test_predictions(opened.study, trial_id)
    kept = set() if found is None else set(found.seeds.tolist())
    return {
        run["seed"]: run
        for record in opened.study.finalists
        if record["trial_id"] == trial_id and "max_epochs" in record
        for run in record["runs"]
        if run.get("seed") in kept and not why_unlike(facts_of(record, run), run, how)
    }


def _train_and_test(opened: Opened, training: Training) -> tuple[dict[str, Any], Predicted]:
    try:
        outcome = train_again(training, opened.folder, PatientDisplay(), _PLACE)
    except KeyboardInterrupt:
        raise InterruptedSearchError(
            "interrupted; what is trained is kept, and the same command continues from it"
        ) from None
    found = tested(Finalist(training.trial_id, [outcome]).network(outcome), opened.data)
    return outcome.record | found.record, found.predicted
