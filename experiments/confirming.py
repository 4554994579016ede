"""Trains trials again over seeds and tests them, so that they can be compared."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.errors import UserError
from experiments.files import atomic, write_json
from experiments.finalists_plan import CONFIRM_STREAM, DEFAULT_STREAM, FRESH_STREAM, seeds_of
from experiments.rerun import Opened
from experiments.test_uses import note_test_use
from experiments.testing import Predicted, tested
from experiments.trained import build_network, load_weights
from experiments.trial import derive_seed, run_trial
from reports.reading import dicts, read_arrays, read_json
from reports.study import DEFAULT
from reports.test_predictions import ranking_seeds, test_predictions
from reports.words import score


def confirm_trial(opened: Opened, trial_id: str, num_seeds: int, say: Any = None) -> None:
    """Trains a trial over seeds, tests it, and keeps scores and predictions in the study.

    Trainings that are there already, with their predictions, are not done again, be they of a
    comparison or of a finalist. A trial that was ranked among finalists gets the fresh seeds of
    finalists: the trainings that ranked it are no fair test of it. In `artifacts/confirmed/`,
    `<trial>.json` holds scores as `finalists.json` does; `<trial>.npz` what each training says of
    each test image.

    Args:
        opened: The study.
        trial_id: A trial, or `default` for the space's default.
        num_seeds: Trainings wanted.
        say: Called with a line of progress.

    Raises:
        UserError: A training failed.
    """
    path = opened.folder / "artifacts" / "confirmed" / f"{trial_id}.json"
    runs, kept = _done(path)
    there = {*kept, *_of_finalists(opened, trial_id)}
    wanted = [seed for seed in _seeds(opened, trial_id, num_seeds) if seed not in there]
    is_default = trial_id == DEFAULT
    config = opened.default() if is_default else opened.hyperparameters(trial_id)
    named = [(trial_id, seed) for seed in wanted]
    note_test_use(opened.folder, "compare", opened.data, _how(opened), named)
    for seed in wanted:
        run, said = _train_and_test(opened, config, trial_id, seed)
        runs.append(run)
        kept[seed] = said
        if say is not None:
            say(f"trial {trial_id}, seed {seed}: test accuracy {score(run['test']['accuracy'])}")
        _write(path, trial_id, runs, kept, np.asarray(opened.data.open("test").labels))


def _seeds(opened: Opened, trial_id: str, num_seeds: int) -> list[int]:
    seed = opened.config.seed
    if trial_id == DEFAULT:
        return [derive_seed(seed, DEFAULT_STREAM, index) for index in range(num_seeds)]
    was_ranked = bool(ranking_seeds(opened.study, trial_id))
    return seeds_of(seed, FRESH_STREAM if was_ranked else CONFIRM_STREAM, trial_id, num_seeds)


def _of_finalists(opened: Opened, trial_id: str) -> set[int]:
    """Returns the seeds of a finalist's trainings that are as they would be here."""
    for record in opened.study.finalists:
        if record["trial_id"] == trial_id and _how(opened).items() <= record.items():
            found = test_predictions(opened.study, trial_id)
            return set() if found is None else set(found.seeds.tolist())
    return set()


def _how(opened: Opened) -> dict[str, Any]:
    return {"max_epochs": opened.config.max_epochs, "patience": opened.config.patience}


def _done(path: Path) -> tuple[list[dict[str, Any]], dict[int, npt.NDArray[Any]]]:
    arrays = path.with_suffix(".npz")
    if not path.is_file() or not arrays.is_file():
        return [], {}
    runs = [run for record in dicts(read_json(path)) for run in dicts(record.get("runs"))]
    said = read_arrays(arrays).get("predicted", np.empty((0, 0)))
    if len(said) != len(runs):  # one of the two was written, the other was not
        return [], {}
    return runs, {run["seed"]: row for run, row in zip(runs, said, strict=True)}


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
    return asdict(result.executions[0]) | found.record, found.predicted


def _write(
    path: Path,
    trial_id: str,
    runs: Sequence[dict[str, Any]],
    kept: dict[int, npt.NDArray[Any]],
    labels: npt.NDArray[np.int64],
) -> None:
    said = np.stack([kept[run["seed"]] for run in runs])
    with atomic(path.with_suffix(".npz")) as temporary:
        scores = np.array([run["score"] for run in runs])
        np.savez_compressed(temporary, labels=labels, predicted=said, scores=scores)
    write_json(path, [{"trial_id": trial_id, "runs": list(runs)}])
