"""What the rows of a study are, and what its models say of them."""

from typing import Any

from experiments.record.errors import UserError
from experiments.record.predictions import Task
from experiments.record.reading import as_dict, clean, dig
from reports.study.study import Study, computed_once


def stored_predictions(study: Study) -> dict[str, Any] | None:
    """Returns the test predictions of the exported model; empty if they can't be read.

    Without any it is `None`.
    """
    try:
        return study.arrays("predictions")
    except UserError:
        return {}


@computed_once
def task_of(study: Study) -> Task | None:
    """Returns the task of a study; `None` where it is not recorded, as of scripts.

    What the exported model predicted decides; without that, what the dataset's targets are.
    """
    stored = stored_predictions(study) or {}
    if "targets" in stored:
        return Task.LABELS if "probabilities" in stored else Task.NUMBERS
    if "labels" in stored:
        return Task.CLASSES
    if not study.takes_options or not as_dict(study.record.get("dataset")):
        return None
    stated = dig(study.record, "dataset", "targets")
    return {"labels": Task.LABELS, "values": Task.NUMBERS}.get(str(stated), Task.CLASSES)


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
    what = "label" if task_of(study) is Task.LABELS else "target"
    return [what] if count == 1 else [f"{what} {index}" for index in range(count)]
