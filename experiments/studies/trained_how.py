"""The conditions of a training besides its seed, recorded with each training for a comparison."""

import hashlib
import json
from typing import Any

from experiments.hyperparameters.source import space_source
from experiments.hyperparameters.space_files import space_files
from experiments.record.alike import SPACE_FILES
from experiments.space_reference import shown_space
from experiments.training.task import TrialTask

_OWN = "tuner/"  # Keras Tuner's own entries among hyperparameters


def how_trained(task: TrialTask) -> dict[str, Any]:
    """Describes all conditions of a training of `task` except its seed.

    Returns:
        Plain data, equal to itself after JSON: `max_epochs`, `patience`, `objective`, `space`,
        `space_source` (module -> fingerprint), `settings`, `hyperparameters` (their values),
        `fingerprint` of the splits, `precision`, `class_weight` where classes are weighed, and
        `space_files` where settings name files.
    """
    import keras

    values = task.hyperparameters["values"]
    how = {
        "max_epochs": task.epochs,
        "patience": task.patience,
        "objective": str(task.objective),
        "space": shown_space(task.space),
        "space_source": space_source(task.space),
        "settings": task.settings,
        "hyperparameters": {n: v for n, v in values.items() if not n.startswith(_OWN)},
        "fingerprint": task.data.fingerprint,
        "precision": keras.config.dtype_policy().name,
    }
    if task.class_weight:  # trainings of before it have the same name as those without
        how["class_weight"] = task.class_weight
    if files := space_files(task.settings):
        how[SPACE_FILES] = files
    return dict(json.loads(json.dumps(how, default=str)))


def key_of(how: dict[str, Any]) -> str:
    """Returns a short name of `how`; different conditions have different names."""
    return hashlib.blake2b(json.dumps(how, sort_keys=True).encode(), digest_size=8).hexdigest()
