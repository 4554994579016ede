"""What decides a training beside its seed: it is recorded with each training for a comparison."""

import hashlib
import inspect
import json
from pathlib import Path
from typing import Any

from experiments.trial import TrialTask
from search_spaces import space_class

_OWN = "tuner/"  # what Keras Tuner keeps among hyperparameters


def how_trained(task: TrialTask) -> dict[str, Any]:
    """Describes what decides a training of `task`, but for its seed.

    Returns:
        Plain data, equal to itself after JSON: `max_epochs`, `patience`, `objective`, `space`,
        `source` (a hash of the file that defines the space, where there is one), `settings`,
        `hyperparameters` (their values), `fingerprint` of the splits, and `precision`.
    """
    import keras

    values = task.hyperparameters["values"]
    how = {
        "max_epochs": task.epochs,
        "patience": task.patience,
        "objective": str(task.objective),
        "space": task.space,
        "settings": task.settings,
        "hyperparameters": {n: v for n, v in values.items() if not n.startswith(_OWN)},
        "fingerprint": task.data.fingerprint,
        "precision": keras.config.dtype_policy().name,
    }
    source = _source(task.space)
    plain = json.loads(json.dumps(how | ({"source": source} if source else {}), default=str))
    return dict(plain)


def key_of(how: dict[str, Any]) -> str:
    """Returns a short name of `how`: another one, another name."""
    return _hash(json.dumps(how, sort_keys=True).encode())


def _source(space: str) -> str | None:
    try:
        path = inspect.getsourcefile(space_class(space))
        return None if path is None else _hash(Path(path).read_bytes())
    except (OSError, TypeError):
        return None


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
