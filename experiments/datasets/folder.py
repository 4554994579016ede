"""A folder of images, one sub-folder a class."""

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from experiments.datasets.base import Image, RawDataset, RawSplit
from experiments.errors import UserError


def load(name: str, argument: str, data_dir: str | None) -> RawDataset:
    """Opens the folder `argument`; images that Pillow can't decode are skipped and named."""
    root = Path(argument).expanduser()
    if not root.is_dir():
        raise UserError(f"dataset {name!r}: there is no folder {str(root)!r}")
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    paths: list[Path] = []
    labels: list[int] = []
    skipped: list[str] = []
    class_names: list[str] = []
    digest = hashlib.sha256()
    for folder in classes:
        good = list(_readable(folder, root, skipped, digest))
        if not good:
            skipped.append(f"{folder.name}/ (no image in it)")
            continue
        labels += [len(class_names)] * len(good)
        class_names.append(folder.name)
        paths += good
    if not paths:
        raise UserError(
            f"dataset {name!r}: no readable image in {str(root)!r}; expected one sub-folder a "
            f"class with image files, found {len(classes)} sub-folders and "
            f"{len(skipped) - len(classes)} unreadable files"
        )

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return (_read(paths[index]) for index in indices)

    return RawDataset(
        name=name,
        identity=f"folder/{digest.hexdigest()[:32]}",
        class_names=tuple(class_names),
        channels=3,
        train=RawSplit(np.array(labels, dtype=np.int64), images),
        skipped=tuple(skipped),
    )


def _readable(
    folder: Path, root: Path, skipped: list[str], digest: "hashlib._Hash"
) -> Iterator[Path]:
    for path in sorted(p for p in folder.rglob("*") if not p.is_dir() and p.name[0] != "."):
        relative = path.relative_to(root).as_posix()
        try:
            _read(path)
        except Exception:  # Pillow raises whatever a broken file leads it into
            skipped.append(relative)
            continue
        digest.update(f"{relative}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        yield path


def _read(path: Path) -> Image:
    from PIL import Image as PillowImage
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow finds odd in an image that it can read
        with PillowImage.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
