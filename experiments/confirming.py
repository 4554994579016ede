"""Trains trials again over seeds and tests them, so that they can be compared."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.artifacts import class_probabilities
from experiments.errors import UserError
from experiments.files import atomic, write_json
from experiments.rerun import Opened
from experiments.trial import derive_seed, run_trial
from reports.reading import dicts, read_arrays, read_json
from reports.summary import DEFAULT
from reports.words import score

_CONFIRM_STREAM = 2  # as in finalists.py: the same seeds, whoever confirms
_DEFAULT_STREAM = 3


def confirm_trial(opened: Opened, trial_id: str, num_seeds: int, say: Any = None) -> None:
    """Trains a trial over seeds, tests it, and keeps scores and predictions in the study.

    Trainings that are there already are not done again. `artifacts/confirmed/<trial>.json` holds
    scores as `finalists.json` does; `<trial>.npz` what each training says of each test image.

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
    wanted = [seed for seed in _seeds(opened, trial_id, num_seeds) if seed not in kept]
    is_default = trial_id == DEFAULT
    config = opened.default() if is_default else opened.hyperparameters(trial_id)
    for seed in wanted:
        run, said = _train_and_test(opened, config, trial_id, seed)
        runs.append(run)
        kept[seed] = said
        if say is not None:
            say(f"trial {trial_id}, seed {seed}: test accuracy {score(run['test']['accuracy'])}")
        _write(path, trial_id, runs, kept, np.asarray(opened.data.open("test").labels))


def _seeds(opened: Opened, trial_id: str, num_seeds: int) -> list[int]:
    if trial_id == DEFAULT:
        parts: tuple[int, ...] = (_DEFAULT_STREAM,)
    else:
        parts = (_CONFIRM_STREAM, int(trial_id))
    return [derive_seed(opened.config.seed, *parts, index) for index in range(num_seeds)]


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
) -> tuple[dict[str, Any], npt.NDArray[np.int32]]:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.weights.h5"
        task = opened.task(config, seeds=(seed,), checkpoint=str(checkpoint))
        result = run_trial(task, lambda execution, epoch, metrics: False)
        if result.status != "completed":
            raise UserError(
                f"trial {trial_id} of study {opened.study.name!r} failed when it was trained again "
                f"({result.cause}): {result.message}"
            )
        model = opened.build(config)
        _load(model, checkpoint)
    from experiments.feed import dataset_of

    test = opened.data.open("test")
    labels = np.asarray(test.labels)
    chances = class_probabilities(model.predict(dataset_of(test, 64), verbose=0))
    said = chances.argmax(axis=1).astype(np.int32)
    truth = np.clip(chances[np.arange(len(labels)), labels], 1e-7, 1)
    run = asdict(result.executions[0]) | {
        "test": {"accuracy": float((said == labels).mean()), "loss": float(-np.log(truth).mean())},
        "test_size": len(labels),
    }
    return run, said


def _load(model: Any, checkpoint: Path) -> None:
    import keras

    # Checkpoints hold weights alone, no optimizer.
    keras.Model(model.inputs, model.outputs).load_weights(checkpoint)


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
