"""What the rows of a study are, and what its models say of them."""

from typing import Any

import numpy.typing as npt

from experiments.record.errors import UserError
from experiments.record.predictions import Targets
from experiments.record.reading import as_dict, clean, dig
from reports.analysis.predictions import MISSING
from reports.study.study import Study, computed_once


def stored_predictions(study: Study) -> dict[str, Any] | None:
    """Returns the test predictions of the exported model; empty if they can't be read.

    Without any it is `None`.
    """
    try:
        return study.arrays("predictions")
    except UserError:
        return {}


def stored_targets(study: Study, name: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | str:
    """Returns targets and what the exported model gave for them, or why there are none.

    Args:
        study: The study.
        name: What the model gave: `probabilities` or `outputs`.

    Returns:
        Both `(num_rows, num_outputs)`.
    """
    stored = stored_predictions(study)
    if stored is None:
        return MISSING
    targets, given = stored.get("targets"), stored.get(name)
    if targets is None or given is None or targets.ndim != 2 or targets.shape != given.shape:
        return f"The recorded predictions are damaged: targets and {name} do not match."
    return targets, given


@computed_once
def task_of(study: Study) -> Targets | None:
    """Returns the task of a study; `None` where it is not recorded, as of scripts.

    What the exported model predicted decides; without that, what the dataset's targets are.
    """
    stored = stored_predictions(study) or {}
    if "targets" in stored:
        return Targets.LABELS if "probabilities" in stored else Targets.VALUES
    if "labels" in stored:
        return Targets.CLASSES
    if not study.takes_options or not as_dict(study.record.get("dataset")):
        return None
    stated = dig(study.record, "dataset", "targets")
    return Targets(stated) if stated in list(Targets) else Targets.CLASSES


def has_no_classes(study: Study) -> bool:
    """Whether a study is known to predict numbers, or several labels a row: no test accuracy."""
    return task_of(study) in (Targets.LABELS, Targets.VALUES)


def can_compare(study: Study) -> bool:
    """Whether `experiments compare` can train and judge its networks: by test accuracy."""
    return study.takes_options and task_of(study) is Targets.CLASSES


def has_images(study: Study) -> bool:
    """Whether the rows of a study are images; where that is not recorded, they are of all but
    scripts."""
    stated = dig(study.record, "dataset", "inputs")
    return study.takes_options and stated in (None, "images")


def noun_of(study: Study) -> str:
    """Returns what one row of the data is called: `image` or `row`."""
    return "image" if has_images(study) else "row"


def output_names(study: Study, count: int) -> list[str]:
    """Returns a name for each of `count` targets or labels; numbers where they are unknown."""
    named = dig(study.record, "dataset", "target_names")
    names = [clean(n, 80) for n in named] if isinstance(named, list) else study.class_names
    if len(names) == count:
        return names
    what = "label" if task_of(study) is Targets.LABELS else "target"
    return [what] if count == 1 else [f"{what} {index}" for index in range(count)]
