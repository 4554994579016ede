"""Decides which splits of a dataset train, validate and test: once, by their names and labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from experiments.errors import UserError
from reports.words import plural

_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Roles:
    """Which split serves as what.

    Args:
        splits: `train`, and `validation` and `test` where there are some -> the split's name.
        labels: Role -> `(num_images,)`, int64.
        notes: Which splits don't serve, and why, a line each.
    """

    splits: dict[str, str]
    labels: dict[str, Labels]
    notes: list[str] = field(default_factory=list)


def choose_roles(
    name: str,
    counts: Mapping[str, int],
    num_classes: int,
    read_labels: Callable[[str], Labels],
) -> Roles:
    """Chooses by name; a split with labels that are no class can't serve.

    Args:
        name: The dataset's name, for messages.
        counts: Number of images by split.
        num_classes: Labels are 0 to one less.
        read_labels: Reads the labels of a split, without its images.

    Raises:
        UserError: There is none to train on.
    """
    roles = Roles({}, {})
    chosen = _by_name(name, counts)
    for role, split in chosen.items():
        labels = read_labels(split)
        num_unlabelled = int(((labels < 0) | (labels >= num_classes)).sum())
        if not num_unlabelled and len(labels):
            roles.splits[role], roles.labels[role] = split, labels
            continue
        reason = (
            f"{num_unlabelled:,} of its {plural(len(labels), 'image')} "
            f"{'has' if num_unlabelled == 1 else 'have'} no label"
            if len(labels)
            else "it is empty"
        )
        if role == "train":
            raise UserError(f"dataset {name!r}: can't train on the split {split!r}: {reason}")
        roles.notes.append(f"split {split!r} does not serve as {role}: {reason}")
    unused = [split for split in counts if split not in chosen.values()]
    if unused:
        roles.notes.append(f"splits that are not used: {', '.join(unused)}")
    return roles


def _by_name(name: str, counts: Mapping[str, int]) -> dict[str, str]:
    chosen = {}
    for role, names in _NAMES.items():
        there = [split for split in names if split in counts]
        if there:
            chosen[role] = there[0]
    if "train" in chosen:
        return chosen
    if len(counts) == 1:
        return {"train": next(iter(counts))}  # all there is
    raise UserError(
        f"dataset {name!r} has no split 'train': it has {', '.join(counts) or 'none'}; expected "
        "'train', or a single split, which is then divided"
    )
