"""Evaluation on the test split: scores, and the predictions of each training."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.data.prepare import PreparedData
from experiments.finalists.artifacts import class_probabilities
from experiments.record.files import write_arrays
from experiments.record.predictions import Targets, as_rows
from experiments.training.task import Execution

if TYPE_CHECKING:
    import keras

Predicted = npt.NDArray[Any]
_MOST_VALUES = 5_000_000  # of one training's outputs: more are not kept


@dataclass(frozen=True)
class Tested:
    """The test result of a training.

    Args:
        metrics: From Keras' evaluation; of classes, `accuracy` is computed exactly from
            `predicted`.
        predicted: `(num_images,)`, the predicted class of each image; uint8 for up to 256 classes.
            Of other targets, the outputs, `(num_rows, num_outputs)`, float32.
    """

    metrics: dict[str, float]
    predicted: Predicted

    @property
    def record(self) -> dict[str, Any]:
        """Its entry in the record of the training."""
        return {"test": self.metrics, "test_size": len(self.predicted)}


def tested(model: "keras.Model", data: PreparedData) -> Tested:
    """Evaluates a compiled model, from raw rows to its outputs, on the test split."""
    from experiments.training.feed import dataset_of

    test = data.open("test")
    labels = np.asarray(test.labels)
    scores = model.evaluate(dataset_of(test, 64), verbose=0, return_dict=True)
    metrics = {name: float(value) for name, value in scores.items()}
    outputs = model.predict(dataset_of(test, 64), verbose=0)
    if data.targets != Targets.CLASSES:
        return Tested(metrics, as_rows(outputs).astype(np.float32))
    chances = class_probabilities(outputs)
    predicted = chances.argmax(axis=1).astype(np.min_scalar_type(chances.shape[1] - 1))
    # Keras' own is in single precision: equal counts would not always be equal scores.
    return Tested(metrics | {"accuracy": float((predicted == labels).mean())}, predicted)


def write_predictions(
    path: Path, labels: npt.NDArray[Any], predicted: Mapping[str, Mapping[int, Predicted]]
) -> None:
    """Writes what trainings of several trials predict for each test row.

    Args:
        path: An `.npz` file: `labels` `(num_images,)`, int64, and, for each trial, `seeds_<id>`
            `(num_trainings,)`, int64, and `predicted_<id>` `(num_trainings, num_images)`. Of a task
            without classes `targets` `(num_rows, num_outputs)`, float32, and, instead of
            predicted classes, `outputs_<id>` `(num_trainings, num_rows, num_outputs)`, float32.
        labels: Of the test split.
        predicted: trial id -> seed -> what `Tested.predicted` holds.
    """
    of_classes = all(row.ndim == 1 for of_trial in predicted.values() for row in of_trial.values())
    arrays: dict[str, npt.NDArray[Any]] = (
        {"labels": np.asarray(labels, dtype=np.int64)}
        if of_classes and labels.dtype.kind in "iu"
        else {"targets": as_rows(labels)}
    )
    for trial_id, of_trial in predicted.items():
        kept = [row for row in of_trial.values() if row.size <= _MOST_VALUES]
        if of_trial and len(kept) == len(of_trial):
            arrays[f"seeds_{trial_id}"] = np.array(list(of_trial), dtype=np.int64)
            name = "predicted" if of_classes else "outputs"
            arrays[f"{name}_{trial_id}"] = np.stack(kept)
    write_arrays(path, **arrays)


def known_execution(run: Mapping[str, Any]) -> Execution:
    """Returns the training that a record describes."""
    return Execution(**{n: run[n] for n in Execution.__dataclass_fields__ if n in run})
