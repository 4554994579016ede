"""Tells a folder of classes from one that is divided into splits already."""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from experiments.data.sources.pixels import is_meant_as_image
from experiments.data.sources.walk import (
    Identity,
    identity,
    iterate_files,
    own_files,
    subfolders,
)
from experiments.process.output import printable
from experiments.record.errors import UserError

ROLES = {
    "train": "train", "training": "train",
    "validation": "validation", "val": "validation", "valid": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
_MOST_NAMED = 5


@dataclass(frozen=True)
class Layout:
    """How a folder is divided.

    Args:
        splits: Role (`train`, `validation`, `test`) -> the split's folder.
        classes: Role -> the folders of its classes; all are `train` in a folder of classes.
        problems: Folders that are not used, and why.
    """

    splits: dict[str, Path]
    classes: dict[str, list[Path]]
    problems: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def divided(self) -> bool:
        """Whether the folder brings its own splits."""
        return bool(self.splits)


def layout_of(root: Path, name: str) -> Layout:
    """Finds out how the images of `root` are divided.

    Args:
        root: A folder.
        name: The dataset's name, for messages.

    Raises:
        UserError: Splits stand beside classes, or two splits have the same role, different classes
            or the same folder.
    """
    folders, problems = subfolders(root)
    named = [folder for folder in folders if folder.name.lower() in ROLES]
    split = [folder for folder in named if _holds_classes(folder)]
    others = [f for f in folders if f not in split and _holds_images(f)]
    direct = [folder for folder in others if folder in named]
    if len(direct) > 1 or (split and direct):
        raise UserError(
            f"dataset {name!r} is divided into {_listed(named)}, but images in "
            f"{_listed(direct)} are in no class: expected one sub-folder a class in each; put "
            "them there, or move those folders away"
        )
    if not split:
        return Layout({}, {"train": folders}, problems)
    if others:
        raise UserError(
            f"dataset {name!r} has splits ({_listed(split)}) beside other folders of images "
            f"({_listed(others)}): move one kind away, or rename what is a class"
        )
    unused = [(f, "no image in it") for f in folders if f not in split]
    return _divided(split, name, problems + unused)


def _divided(split: list[Path], name: str, problems: list[tuple[Path, str]]) -> Layout:
    splits: dict[str, Path] = {}
    for folder in split:
        role = ROLES[folder.name.lower()]
        if role in splits:
            raise UserError(
                f"dataset {name!r} has two folders for {role}: {_listed([splits[role], folder])}; "
                "expected one"
            )
        splits[role] = folder
    if "train" not in splits:
        raise UserError(f"dataset {name!r} has {_listed(split)}, but no folder 'train' to train on")
    classes: dict[str, list[Path]] = {}
    for role, folder in splits.items():
        classes[role], more = subfolders(folder)
        problems = problems + more
    _check_apart(classes, name)
    return Layout(splits, _same_classes(splits, classes, name), problems)


def _check_apart(classes: dict[str, list[Path]], name: str) -> None:
    """Checks that no folder is in two splits by a link: what is trained on can't be tested on."""
    held: dict[Identity, Path] = {}
    for folders in classes.values():
        for folder in folders:
            other = held.setdefault(identity(folder), folder)
            if other is not folder:
                raise UserError(
                    f"dataset {name!r}: {_within(folder)} is the same folder as "
                    f"{_within(other)}: expected other images in each split; remove the link"
                )


def _within(folder: Path) -> str:
    return printable(repr(f"{folder.parent.name}/{folder.name}"), one_line=True)


def _same_classes(
    splits: dict[str, Path], classes: dict[str, list[Path]], name: str
) -> dict[str, list[Path]]:
    """Returns the folders of classes that have an image in some split; each split has them all."""
    used = {f.name for folders in classes.values() for f in folders if _holds_images(f)}
    for role, folders in classes.items():
        missing = sorted(used - {folder.name for folder in folders})
        if missing:
            there = {_composed(folder.name) for folder in folders}
            by_form = [n for n in missing if _composed(n) in there]
            raise UserError(
                f"dataset {name!r}: {splits[role].name!r} lacks the "
                f"{'classes' if len(missing) > 1 else 'class'} {_listed(missing)} of the other "
                "splits: expected the same classes in each (an empty folder will do)"
                + (f"; {_listed(by_form)} is there in another Unicode form" if by_form else "")
            )
    return {role: [f for f in folders if f.name in used] for role, folders in classes.items()}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _holds_classes(folder: Path) -> bool:
    below, _ = subfolders(folder)
    is_class = loose_images(folder) > 0 and _has_class_beside(folder)
    return any(map(_holds_images, below)) and not is_class


def loose_images(folder: Path) -> int:
    """Counts the images that lie in a folder itself, not in one below."""
    return sum(is_meant_as_image(path) for path in own_files(folder))


def _has_class_beside(folder: Path) -> bool:
    beside, _ = subfolders(folder.parent)
    return any(p.name.lower() not in ROLES and _holds_images(p) for p in beside)


def _holds_images(folder: Path) -> bool:
    return any(is_meant_as_image(path) for path in iterate_files(folder, []))


def _listed(found: list[Path] | list[str]) -> str:
    names = [printable(f if isinstance(f, str) else f.name, one_line=True) for f in found]
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:_MOST_NAMED]) + more
