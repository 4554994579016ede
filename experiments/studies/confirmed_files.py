"""Trainings of a trial made for comparisons: `artifacts/confirmed/<trial>.json` and `.npz`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.alike import facts_of, num_epochs_of, why_unlike
from experiments.record.errors import UserError, named_line
from experiments.record.files import write_arrays, write_json
from experiments.record.reading import dicts, read_arrays, read_json

_ASIDE = "earlier"
_SAID_IN_FULL = ("max_epochs", "patience", "objective", "space")


@dataclass
class ConfirmedRuns:
    """Trainings of a trial, with their predictions on the test images.

    Args:
        trial_id: The trial.
        labels: `(num_images,)`.
        runs: Records, each with its `seed`.
        predicted: seed -> `(num_images,)`.
    """

    trial_id: str
    labels: npt.NDArray[np.int64]
    runs: list[dict[str, Any]]
    predicted: dict[int, npt.NDArray[Any]]

    def write(self, path: Path) -> None:
        """Writes both files, the arrays first: they may hold a training more than the records."""
        predicted = np.stack([self.predicted[run["seed"]] for run in self.runs])
        scores = np.array([run["score"] for run in self.runs])
        arrays = path.with_suffix(".npz")
        write_arrays(arrays, labels=self.labels, predicted=predicted, scores=scores)
        write_json(path, [{"trial_id": self.trial_id, "runs": self.runs}])

    def only(self, runs: list[dict[str, Any]]) -> "ConfirmedRuns":
        """Returns a subset with the given runs."""
        kept = {run["seed"]: self.predicted[run["seed"]] for run in runs}
        return ConfirmedRuns(self.trial_id, self.labels, runs, kept)


def read_confirmed(path: Path, trial_id: str, labels: npt.NDArray[np.int64]) -> ConfirmedRuns:
    """Reads the trainings; empty if a file is missing, or the two are not of the same trainings.

    Args:
        path: The `.json`.
        trial_id: The trial.
        labels: Of the test images.

    Raises:
        UserError: A file is damaged.
    """
    none = ConfirmedRuns(trial_id, labels, [], {})
    arrays = path.with_suffix(".npz")
    if not path.is_file() or not arrays.is_file():
        return none
    try:
        runs = [run for record in dicts(read_json(path)) for run in dicts(record.get("runs"))]
        stored = read_arrays(arrays)
        predicted = stored.get("predicted", np.empty((0, 0)))
        scores = np.array([float(run["score"]) for run in runs])
        if not _agree(stored.get("scores"), scores, len(predicted)):
            return none
        kept = {run["seed"]: row for run, row in zip(runs, predicted, strict=False)}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{str(path)!r} is damaged ({named_line(error)}): restore it from a copy, or remove "
            f"it and {arrays.name}, and the trainings are made again"
        ) from None
    return ConfirmedRuns(trial_id, labels, runs, kept)


def _agree(
    stored: npt.NDArray[Any] | None, scores: npt.NDArray[np.float64], num_predicted: int
) -> bool:
    """Whether predictions are of the recorded trainings; the next one's may follow them."""
    if num_predicted == len(scores) or stored is None:
        return num_predicted == len(scores)
    return num_predicted > len(scores) and np.array_equal(stored[: len(scores)], scores)


def set_aside_lost(path: Path, found: ConfirmedRuns) -> str:
    """Moves records of trainings whose predictions are lost into the folder `earlier`.

    Args:
        path: The `.json`.
        found: What was read of it.

    Returns:
        A line on what was moved; empty if nothing was.
    """
    if found.runs or not path.is_file():
        return ""
    free = _free(path)
    free.parent.mkdir(exist_ok=True)
    for suffix in (path.suffix, ".npz"):
        if path.with_suffix(suffix).is_file():
            path.with_suffix(suffix).replace(free.with_suffix(suffix))
    return (
        f"trial {found.trial_id}: {path.with_suffix('.npz').name} is missing, or of other "
        f"trainings; their records are kept aside, and they are trained again: {free}"
    )


def set_aside_unlike(
    path: Path, found: ConfirmedRuns, how: dict[str, Any]
) -> tuple[ConfirmedRuns, str]:
    """Moves trainings whose settings differ from `how` into the folder `earlier` beside `path`.

    Returns:
        The remaining trainings, and a line on what was moved; empty if nothing was.
    """
    reasons = [why_unlike(facts_of({}, run), run, how) for run in found.runs]
    unlike = [run for run, why in zip(found.runs, reasons, strict=True) if why]
    if not unlike:
        return found, ""
    alike = found.only([run for run, why in zip(found.runs, reasons, strict=True) if not why])
    found.only(unlike).write(_free(path))
    if alike.runs:
        alike.write(path)
    else:
        path.unlink()
        path.with_suffix(".npz").unlink()
    pairs = zip(found.runs, reasons, strict=True)
    why = sorted({_said(name, run, how) for run, names in pairs for name in names})
    return alike, (
        f"trial {found.trial_id}: {len(unlike)} of {len(found.runs)} trainings kept aside, for "
        f"they were trained otherwise ({', '.join(why)}): {path.parent / _ASIDE}"
    )


def _said(name: str, run: dict[str, Any], how: dict[str, Any]) -> str:
    if name not in _SAID_IN_FULL:
        return f"other {name}"
    was = facts_of({}, run).get(name)
    if name == "max_epochs" and was is None:
        was = num_epochs_of(run)
    return f"{name} {was} then, {how[name]} now"


def _free(path: Path) -> Path:
    """Returns an unused path, so that earlier files are kept."""
    folder, index = path.parent / _ASIDE, 1
    while (folder / f"{path.stem}-{index}.json").exists():
        index += 1
    return folder / f"{path.stem}-{index}.json"
