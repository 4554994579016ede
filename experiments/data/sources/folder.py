"""A folder of images: one sub-folder a class, splits of such, or a file of labels beside them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.data.sources.argument import labels_file, split_labels
from experiments.data.sources.base import Access, Image, RawDataset, RawSplit
from experiments.data.sources.labelled import in_order, scan_labelled
from experiments.data.sources.layout import Layout, layout_of, loose_images
from experiments.data.sources.pixels import UnusableImageError, decode
from experiments.data.sources.scan import Scan, readable, shown
from experiments.data.sources.walk import find_files, identity, with_parents
from experiments.record.errors import UserError
from experiments.record.formatting import plural
from experiments.record.layout import expanded

_CAUSES_NAMED = 3


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the folder `argument`; what can't be decoded is skipped, and named with the reason.

    Args:
        name: The dataset's name.
        argument: The folder, followed by `?labels=` and a CSV file where that names the classes.
        access: Says where it is remembered what files are.

    Raises:
        UserError: There is no such folder, it can't be read, or it holds no images by class.
    """
    folder, labels = split_labels(argument)
    root = expanded(folder)
    try:
        if not root.is_dir():
            raise UserError(f"dataset {name!r}: there is no folder {str(root)!r}")
        if labels is None:
            layout = layout_of(root, name)
            scan = _scan(root, layout, access)
        else:
            layout = Layout({}, {})
            scan = scan_labelled(name, root, labels_file(root, labels), access)
    except UserError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        where = getattr(error, "filename", None) or str(root)
        words = getattr(error, "strerror", None) or error
        raise UserError(
            f"dataset {name!r}: {readable(str(where))!r} can't be read ({words})"
        ) from None
    there = {c for found in scan.paths.values() for c, paths in found.items() if paths}
    classes = sorted(there) if labels is None else in_order(there)
    if not classes:
        raise UserError(_no_image(name, root, layout, scan))
    content = f"{'folder' if labels is None else 'labelled'}/{scan.digest.hexdigest()[:32]}"
    splits = {role: _split(name, role, layout, scan, classes) for role in scan.paths}
    return RawDataset(
        name=name,
        identity=f"{content}/pixels-2" if scan.rescued else content,
        class_names=tuple(readable(c) for c in classes),
        channels=3,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        skipped=tuple(scan.skipped),
        notes=tuple(scan.notes),
        former_identity=content if scan.rescued else None,
    )


def _scan(root: Path, layout: Layout, access: Access) -> Scan:
    """Examines every file; a file that is no image and isn't called one is passed over."""
    scan = Scan()
    problems = [*layout.problems, *_loose(root, layout)]
    place: dict[Path, tuple[str, str]] = {}  # file -> role and class
    used = {identity(folder) for folders in layout.classes.values() for folder in folders}
    for role, folders in layout.classes.items():
        scan.paths[role] = {folder.name: [] for folder in folders}
        for folder in folders:
            found = find_files(folder, used | with_parents(root))
            problems += found.problems
            place |= dict.fromkeys(found.files, (role, folder.name))
    scan.skip([*problems, *scan.examine(place, root, access)], root)
    for role, folders in layout.classes.items():
        empty = [folder for folder in folders if not scan.paths[role][folder.name]]
        scan.skipped += [f"{shown(folder, root)}/ (no image in it)" for folder in empty]
    return scan


def _loose(root: Path, layout: Layout) -> Iterator[tuple[Path, str]]:
    for folder in (root, *layout.splits.values()):
        count = loose_images(folder)
        if count:
            yield folder, f"{plural(count, 'image')} in no class"


def _split(name: str, role: str, layout: Layout, scan: Scan, classes: list[str]) -> RawSplit:
    paths = [path for c in classes for path in scan.paths[role].get(c, [])]
    counts = [len(scan.paths[role].get(c, [])) for c in classes]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), counts)

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return (_read(name, paths[index]) for index in indices)

    called = f"{readable(layout.splits[role].name)}/" if layout.divided else "all images"
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
        f"dataset {name!r}: {readable(str(path))!r} has changed since it was read ({reason}): "
        "try again"
    )


def _no_image(name: str, root: Path, layout: Layout, scan: Scan) -> str:
    num = len(layout.classes.get("train", []))
    causes = [line for line in scan.skipped if not line.endswith("/ (no image in it)")]
    more = ", ..." if len(causes) > _CAUSES_NAMED else ""
    named = f": {', '.join(causes[:_CAUSES_NAMED])}{more}" if causes else ""
    return (
        f"dataset {name!r}: no readable image in {readable(str(root))!r}; expected one "
        f"sub-folder a class with image files, found {num} sub-folders and "
        f"{scan.num_unreadable} unreadable files{named}"
    )
