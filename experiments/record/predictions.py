"""What trainings predicted for each test image, as kept in `artifacts/*.npz`."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.layout import StudyFolder
from experiments.record.reading import read_arrays

_Whole = npt.NDArray[np.integer[Any]]


Kept = dict[int, _Whole]  # seed -> `(num_images,)`


def read_finalists_predictions(folder: Path) -> tuple[_Whole, dict[str, Kept]]:
    """Reads `artifacts/finalists.npz`; see `experiments.finalists.testing.write_predictions`.

    Returns:
        Labels `(num_images,)`, and trial -> seed -> predictions; empty where it is damaged.
    """
    arrays = _arrays(StudyFolder(folder).arrays("finalists"))
    labels = _whole_numbers(arrays.get("labels"), 1)
    found = {}
    for name in arrays:
        if name.startswith("seeds_"):
            trial_id = name.removeprefix("seeds_")
            seeds = arrays[name]
            found[trial_id] = _rows(labels, arrays.get(f"predicted_{trial_id}"), seeds)
    return labels, found


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
