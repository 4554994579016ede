"""A folder of images: one sub-folder a class, or splits with one sub-folder a class each."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import Access, Image, RawDataset, RawSplit
from experiments.data.sources.layout import Layout, layout_of, loose_images
from experiments.data.sources.manifest import Examined, Manifest
from experiments.data.sources.pixels import UnusableImageError, decode
from experiments.data.sources.walk import find_files, identity, with_parents
from experiments.process.output import printable
from experiments.record.errors import UserError
from experiments.record.formatting import plural

_CAUSES_NAMED = 3
_LONGEST = 200  # characters of a path that is shown


@dataclass
class _Scan:
    """What a folder was found to hold.

    Args:
        paths: Role -> class -> its usable images.
        skipped: What can't be used, and why.
        digest: Hash of names and contents, in order.
        rescued: Whether format 1 would have decoded some to other pixels.
        num_unreadable: Images that can't be used.
    """

    paths: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    rescued: bool = False
    num_unreadable: int = 0

    def take(self, path: Path, role: str, class_name: str, root: Path, seen: Examined) -> None:
        """Takes a usable image into its class."""
        self.paths[role][class_name].append(path)
        self.digest.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
        self.digest.update(bytes.fromhex(seen.sha256))
        self.rescued |= seen.rescued


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the folder `argument`; what can't be decoded is skipped, and named with the reason.

    Raises:
        UserError: There is no such folder, it can't be read, or it holds no images by class.
    """
    root = Path(argument).expanduser()
    try:
        if not root.is_dir():
            raise UserError(f"dataset {name!r}: there is no folder {str(root)!r}")
        layout = layout_of(root, name)
        scan = _scan(root, layout, access)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        where = getattr(error, "filename", None) or str(root)
        words = getattr(error, "strerror", None) or error
        raise UserError(
            f"dataset {name!r}: {_readable(str(where))!r} can't be read ({words})"
        ) from None
    classes = sorted({c for found in scan.paths.values() for c, paths in found.items() if paths})
    if not classes:
        raise UserError(_no_image(name, root, layout, scan))
    content = f"folder/{scan.digest.hexdigest()[:32]}"
    splits = {role: _split(name, role, layout, scan, classes) for role in scan.paths}
    return RawDataset(
        name=name,
        identity=f"{content}/pixels-2" if scan.rescued else content,
        class_names=tuple(_readable(c) for c in classes),
        channels=3,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        skipped=tuple(scan.skipped),
        former_identity=content if scan.rescued else None,
    )


def _scan(root: Path, layout: Layout, access: Access) -> _Scan:
    """Examines every file; a file that is no image and isn't called one is passed over."""
    scan = _Scan()
    problems = [*layout.problems, *_loose(root, layout)]
    place: dict[Path, tuple[str, str]] = {}  # file -> role and class
    used = {identity(folder) for folders in layout.classes.values() for folder in folders}
    for role, folders in layout.classes.items():
        scan.paths[role] = {folder.name: [] for folder in folders}
        for folder in folders:
            found = find_files(folder, used | with_parents(root))
            problems += found.problems
            place |= dict.fromkeys(found.files, (role, folder.name))
    for path, seen in Manifest(root, access.cache_dir).examine(list(place), access.progress):
        if seen.problem:
            problems.append((path, seen.problem))
            scan.num_unreadable += 1
        if seen.sha256:
            scan.take(path, *place[path], root, seen)
    scan.skipped += [f"{_shown(path, root)} ({reason})" for path, reason in sorted(problems)]
    for role, folders in layout.classes.items():
        empty = [folder for folder in folders if not scan.paths[role][folder.name]]
        scan.skipped += [f"{_shown(folder, root)}/ (no image in it)" for folder in empty]
    return scan


def _loose(root: Path, layout: Layout) -> Iterator[tuple[Path, str]]:
    for folder in (root, *layout.splits.values()):
        count = loose_images(folder)
        if count:
            yield folder, f"{plural(count, 'image')} in no class"


def _split(name: str, role: str, layout: Layout, scan: _Scan, classes: list[str]) -> RawSplit:
    paths = [path for c in classes for path in scan.paths[role].get(c, [])]
    counts = [len(scan.paths[role].get(c, [])) for c in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return (_read(name, paths[index]) for index in indices)

    called = f"{_readable(layout.splits[role].name)}/" if layout.divided else "all images"
    return RawSplit(labels, images, called)


def _read(name: str, path: Path) -> Image:
    try:
        found = decode(path)
        if found is not None:
            return found.pixels
        reason = "it is no image"
    except (UnusableImageError, OSError) as error:
        reason = str(error)
    raise UserError(
        f"dataset {name!r}: {_readable(str(path))!r} has changed since it was read ({reason}): "
        "try again"
    )


def _no_image(name: str, root: Path, layout: Layout, scan: _Scan) -> str:
    num = len(layout.classes.get("train", []))
    causes = [line for line in scan.skipped if not line.endswith("/ (no image in it)")]
    more = ", ..." if len(causes) > _CAUSES_NAMED else ""
    named = f": {', '.join(causes[:_CAUSES_NAMED])}{more}" if causes else ""
    return (
        f"dataset {name!r}: no readable image in {_readable(str(root))!r}; expected one "
        f"sub-folder a class with image files, found {num} sub-folders and "
        f"{scan.num_unreadable} unreadable files{named}"
    )


def _shown(path: Path, root: Path) -> str:
    shown = printable(path.relative_to(root).as_posix(), one_line=True)
    half = _LONGEST // 2
    return shown if len(shown) <= _LONGEST else f"{shown[:half]}…{shown[-half:]}"


def _readable(name: str) -> str:
    """Returns a name that every file and page can hold, for one that is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
