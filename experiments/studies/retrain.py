"""Trains trials again over seeds and tests them, so that they can be compared."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from experiments.finalists.testing import Predicted, tested
from experiments.record.alike import facts_of, why_unlike
from experiments.record.errors import UserError
from experiments.record.formatting import score
from experiments.record.layout import DEFAULT
from experiments.record.numerics import numerics_sentence
from experiments.record.seeds import (
    CONFIRM_STREAM,
    DEFAULT_STREAM,
    FRESH_STREAM,
    derive_seed,
    seeds_of,
)
from experiments.record.test_uses import note_test_use
from experiments.studies.confirmed_files import read_confirmed, set_aside_unlike
from experiments.studies.reopen import Opened
from experiments.studies.trained_how import how_trained, key_of
from experiments.training.network import build_network
from experiments.training.run import run_trial
from experiments.training.weights import load_weights
from reports.analysis.test_predictions import ranking_seeds, test_predictions


def confirm_trial(
    opened: Opened, trial_id: str, num_seeds: int, say: Callable[[str], object] | None = None
) -> None:
    """Trains a trial over seeds, tests it, and keeps scores and predictions in the study.

    Trainings that are there already, with their predictions, are not done again, be they of a
    comparison or of a finalist, if they were trained alike (`how_trained`); others of comparisons
    are kept aside, in `confirmed/earlier/`. A trial that was ranked among finalists gets the fresh
    seeds of finalists: the trainings that ranked it are no fair test of it. In
    `artifacts/confirmed/`, `<trial>.json` holds scores as `finalists.json` does; `<trial>.npz` what
    each training says of each test image. Who calls this holds the study's lock.

    Args:
        opened: The study.
        trial_id: A trial, or `default` for the space's default.
        num_seeds: Trainings wanted.
        say: Called with a line of progress.

    Raises:
        UserError: A training failed.
    """
    path = opened.folder / "artifacts" / "confirmed" / f"{trial_id}.json"
    say = say or (lambda line: None)
    is_default = trial_id == DEFAULT
    config = opened.default() if is_default else opened.hyperparameters(trial_id)
    how = how_trained(opened.task(config, seeds=()))
    labels = np.asarray(opened.data.open("test").labels)
    done, moved = set_aside_unlike(path, read_confirmed(path, trial_id, labels), how)
    if moved:
        say(moved)
    of_finalists = _of_finalists(opened, trial_id, how)
    there = {*done.predicted, *of_finalists}
    wanted = [seed for seed in _seeds(opened, trial_id, num_seeds) if seed not in there]
    named = [(trial_id, seed) for seed in wanted]
    note_test_use(opened.folder, "compare", opened.data, how | {"key": key_of(how)}, named)
    for seed in wanted:
        run, predicted = _train_and_test(opened, config, trial_id, seed)
        done.runs.append(run | {"how": how})
        done.predicted[seed] = predicted
        say(f"trial {trial_id}, seed {seed}: test accuracy {score(run['test']['accuracy'])}")
        done.write(path)
    if unequal := numerics_sentence([*of_finalists.values(), *done.runs]):
        say(f"trial {trial_id}: {unequal}")


def _seeds(opened: Opened, trial_id: str, num_seeds: int) -> list[int]:
    seed = opened.config.seed
    if trial_id == DEFAULT:
        return [derive_seed(seed, DEFAULT_STREAM, index) for index in range(num_seeds)]
    was_ranked = bool(ranking_seeds(opened.study, trial_id))
    return seeds_of(seed, FRESH_STREAM if was_ranked else CONFIRM_STREAM, trial_id, num_seeds)


def _of_finalists(opened: Opened, trial_id: str, how: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Returns a finalist's trainings that are as they would be here, by seed."""
    found = test_predictions(opened.study, trial_id)
    kept = set() if found is None else set(found.seeds.tolist())
    return {
        run["seed"]: run
        for record in opened.study.finalists
        if record["trial_id"] == trial_id and "max_epochs" in record
        for run in record["runs"]
        if run.get("seed") in kept and not why_unlike(facts_of(record, run), run, how)
    }


def _train_and_test(
    opened: Opened, config: dict[str, Any], trial_id: str, seed: int
) -> tuple[dict[str, Any], Predicted]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.weights.h5"
        task = opened.task(config, seeds=(seed,), checkpoint=str(checkpoint))
        result = run_trial(task, lambda execution, epoch, metrics: False)
        if result.status != "completed":
            raise UserError(
                f"trial {trial_id} of study {opened.study.name!r} failed when it was trained again "
                f"({result.cause}): {result.message}"
            )
        model = build_network(task)
        load_weights(model, checkpoint)
    found = tested(model, opened.data)
    run = asdict(result.executions[0]) | {"numerics": result.numerics}
    return run | found.record, found.predicted
