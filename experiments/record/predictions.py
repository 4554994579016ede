"""What trainings predicted for each test row, as kept in `artifacts/*.npz`.

Three tasks leave different arrays:

- one class a row: `labels` `(num_rows,)`, whole numbers; predictions are classes;
- several labels a row, each yes or no: `targets` `(num_rows, num_labels)`, 0 or 1;
  predictions are probabilities;
- numbers (regression): `targets` `(num_rows, num_targets)`; predictions are numbers.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.layout import StudyFolder
from experiments.record.reading import read_arrays

_Whole = npt.NDArray[np.integer[Any]]
Rows = npt.NDArray[np.floating[Any]]  # `(num_rows, num_outputs)`

Kept = dict[int, _Whole]  # seed -> `(num_images,)`
KeptRows = dict[int, Rows]  # seed -> `(num_rows, num_outputs)`


class Targets(StrEnum):
    """What a model predicts of a row."""

    CLASSES = "classes"  # one of several classes
    LABELS = "labels"  # several labels, each of them or not
    VALUES = "values"  # one or several numbers: regression


def no_classes(study: str) -> str:
    """Says that the arms of a study without classes can't be compared."""
    return (
        f"study {study!r} has no classes: arms are compared by test accuracy, which regressions "
        "and tasks with several labels do not have; compare the test scores that the reports show"
    )


def as_rows(values: object) -> Rows:
    """Brings outputs or targets to `(num_rows, num_outputs)`, floating-point."""
    array = np.asarray(values)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    return array.reshape(len(array), -1)


def deviations(targets: Rows) -> npt.NDArray[np.float64]:
    """Returns the standard deviation of each target, `(num_outputs,)`; 1 where it does not vary."""
    found = targets.std(axis=0)
    return np.where(found > 0, found, 1.0)


def largest_errors(targets: Rows, outputs: Rows, count: int) -> list[tuple[int, int]]:
    """Returns `(row, output)` of the largest errors, worst first, one a row.

    Errors of several targets are compared in units of each target's standard deviation.

    Args:
        targets: `(num_rows, num_outputs)`.
        outputs: Likewise.
        count: How many rows at most.
    """
    sizes = np.abs(outputs - targets) / deviations(targets)
    order = np.argsort(-sizes.max(axis=1), kind="stable")[:count]
    return [(int(row), int(sizes[row].argmax())) for row in order]


def read_finalists_predictions(folder: Path) -> tuple[_Whole, dict[str, Kept]]:
    """Reads the classes in `artifacts/finalists.npz`; see `finalists.testing.write_predictions`.

    Returns:
        Labels `(num_images,)`, and trial -> seed -> predictions; empty where it is damaged.
    """
    arrays = _arrays(StudyFolder(folder).arrays("finalists"))
    labels = _whole_numbers(arrays.get("labels"), 1)
    return labels, {
        trial_id: _rows(labels, arrays.get(f"predicted_{trial_id}"), seeds)
        for trial_id, seeds in _seeds(arrays).items()
    }


def read_finalists_outputs(folder: Path) -> tuple[Rows, dict[str, KeptRows]]:
    """Reads the outputs in `artifacts/finalists.npz` of a task without classes.

    Returns:
        Targets `(num_rows, num_outputs)`, and trial -> seed -> outputs; empty where they are
        damaged, or were not kept.
    """
    arrays = _arrays(StudyFolder(folder).arrays("finalists"))
    targets = arrays.get("targets", np.empty((0, 0)))
    if targets.ndim != 2 or targets.dtype.kind != "f":
        return np.empty((0, 0)), {}
    found: dict[str, KeptRows] = {}
    for trial_id, seeds in _seeds(arrays).items():
        outputs, names = arrays.get(f"outputs_{trial_id}"), _whole_numbers(seeds, 1)
        if outputs is None or outputs.dtype.kind != "f":
            continue
        if outputs.shape == (len(names), *targets.shape):
            found[trial_id] = {int(s): row for s, row in zip(names, outputs, strict=True)}
    return targets, found


def read_kept(folder: Path) -> dict[str, Mapping[int, npt.NDArray[Any]]]:
    """Reads predictions of finalists of any task: trial -> seed -> predictions."""
    _, classes = read_finalists_predictions(folder)
    _, outputs = read_finalists_outputs(folder)
    return {**{trial_id: of for trial_id, of in classes.items() if of}, **outputs}


def _seeds(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Returns the seeds of the trainings of each trial."""
    start = "seeds_"
    return {n.removeprefix(start): arrays[n] for n in arrays if n.startswith(start)}


def _rows(labels: _Whole, predicted: object, seeds: object) -> Kept:
    """Returns a row for each seed; none where the arrays do not fit together."""
    rows, names = _whole_numbers(predicted, 2), _whole_numbers(seeds, 1)
    if not len(labels) or rows.shape != (len(names), len(labels)):
        return {}
    return {int(seed): row for seed, row in zip(names, rows, strict=True)}


def _whole_numbers(array: object, num_dimensions: int) -> _Whole:
    """Returns an array of whole numbers; an empty one where it is none, or of another shape."""
    if isinstance(array, np.ndarray) and array.dtype.kind in "iu" and array.ndim == num_dimensions:
        return array
    return np.empty((0,) * num_dimensions, dtype=np.int64)


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return read_arrays(path) if path.is_file() else {}
    except UserError:
        return {}
