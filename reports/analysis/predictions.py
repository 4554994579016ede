"""Test predictions of the exported model, checked before they are drawn."""

from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.errors import UserError
from reports.study.study import Study

MISSING = "No test predictions are recorded: no finalist was trained."


def predictions(study: Study) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | str:
    """Returns labels `(n,)` and probabilities `(n, num_classes)`, or why there are none."""
    try:
        stored = study.arrays("predictions")
    except UserError as error:
        return str(error)
    if stored is None:
        return MISSING
    labels, chances = stored.get("labels"), stored.get("probabilities")
    if "targets" in stored:
        return "The exported model does not predict classes."
    if labels is None or chances is None or chances.ndim != 2 or labels.shape != chances.shape[:1]:
        return "The recorded predictions are damaged: labels and probabilities do not match."
    chances = chances.astype(float)
    bad = len(labels) == 0 or not np.isfinite(chances).all() or chances.shape[1] < 2
    if bad or labels.min() < 0 or labels.max() >= chances.shape[1]:
        return "The recorded predictions are damaged: they hold impossible values."
    return labels.astype(np.int64), chances


def class_names(study: Study, count: int) -> list[str]:
    """Returns one name a class; numbers where they are unknown."""
    names = study.class_names
    return names if len(names) == count else [str(index) for index in range(count)]


def confusion_counts(
    labels: npt.NDArray[np.int64], chances: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Returns `(num_classes, num_classes)`: rows are true classes, columns are predicted ones."""
    counts = np.zeros((chances.shape[1],) * 2, dtype=np.int64)
    np.add.at(counts, (labels, chances.argmax(axis=1)), 1)
    return counts


def picture_arrays(study: Study, kind: str) -> dict[str, Any] | None:
    """Returns images, labels, sizes and positions of recorded pictures, if they fit together."""
    stored = study.arrays("pictures") or {}
    parts = {part: stored.get(f"{kind}_{part}") for part in
             ("images", "labels", "sizes", "positions")}  # fmt: skip
    images = parts["images"]
    if any(part is None for part in parts.values()) or images is None or images.ndim != 4:
        return None
    if len({len(part) for part in parts.values() if part is not None}) != 1:
        return None
    return parts if images.shape[-1] in (1, 3) and images.dtype == np.uint8 else None
