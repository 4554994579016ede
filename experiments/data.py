"""Prepares a dataset once: splits, size and colour, memory-mapped arrays in the cache folder.

Splits are drawn from the split seed alone, so that every trial and every study that is to be
compared sees the same images. Where the dataset brings no test images, 10 % are set aside first;
20 % of what is left to train on are for validation. Both draws are stratified by class.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from experiments.cache_use import touch
from experiments.datasets.base import RawDataset, RawSplit
from experiments.datasets.registry import resolve
from experiments.errors import UserError

VALIDATION_SHARE = 0.2
TEST_SHARE = 0.1
SPLITS = ("train", "validation", "test")
_FORMAT = 1
_PARTS = ("images", "labels", "sizes")
Progress = Callable[[int, int], None]  # (images done, images in all)


@dataclass(frozen=True)
class Split:
    """One split, opened without copying.

    Args:
        images: `(num_images, height, width, channels)`, uint8, 0..255, memory-mapped.
        labels: `(num_images,)`, int64.
        sizes: `(num_images, 2)`, int32, original height and width in pixels.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]


class MissingDataError(OSError):
    """Prepared images are gone and can't be prepared again; no fault of who wanted them."""


@dataclass(frozen=True)
class Recipe:
    """What `prepare` is called with to have the same images again, beside name and shape.

    Args:
        data_dir: Folder of tensorflow-datasets.
        sample: Size of the subset.
        split_seed: Seed of the subset and the splits.
    """

    data_dir: str | None = None
    sample: int | None = None
    split_seed: int = 0


@dataclass(frozen=True)
class PreparedData:
    """A prepared dataset: plain facts, so it crosses process boundaries; arrays open on demand.

    Args:
        folder: Where the arrays are.
        name: The dataset's name.
        class_names: One a class.
        shape: `(height, width, channels)` of every image.
        counts: Number of images by split.
        fingerprint: Names the splits: same fingerprint, same images in the same splits.
        skipped: Images that could not be read, and folders without one.
        recipe: How to prepare it again, should its folder be gone.
    """

    folder: str
    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    counts: dict[str, int]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    recipe: Recipe | None = None

    def open(self, split: str) -> Split:
        """Opens `train`, `validation` or `test` as read-only memory maps, once a process.

        Raises:
            MissingDataError: They are gone, and can't be prepared again.
        """
        try:
            return self._opened(split)
        except (FileNotFoundError, ValueError, EOFError) as error:
            self._prepare_again(error)
            return self._opened(split)

    def _opened(self, split: str) -> Split:
        touch(Path(self.folder))
        state = (Path(self.folder) / f"{split}-images.npy").stat()
        return _open(self.folder, split, (state.st_ino, state.st_size, state.st_mtime_ns))

    def _prepare_again(self, error: Exception) -> None:
        gone = f"prepared images of {self.name!r} are gone from {self.folder!r}"
        if self.recipe is None:
            raise MissingDataError(errno.ENOENT, f"{gone} ({error})") from None
        cache = Path(self.folder).parent.parent
        try:
            again = prepare(self.name, lambda _: self.shape, cache, **asdict(self.recipe))
        except (UserError, OSError) as why:
            raise MissingDataError(errno.ENOENT, f"{gone}: {why}") from None
        if again.folder != self.folder:
            raise MissingDataError(errno.ENOENT, f"{gone}, and the dataset has changed since")


@lru_cache(maxsize=12)
def _open(folder: str, split: str, state: tuple[int, ...]) -> Split:
    # By the file's state, for one that was made anew is another file.
    return Split(*(np.load(Path(folder) / f"{split}-{p}.npy", mmap_mode="r") for p in _PARTS))


def prepare(
    name: str,
    shape_for: Callable[[int], tuple[int, int, int]],
    cache_dir: Path,
    *,
    data_dir: str | None = None,
    sample: int | None = None,
    split_seed: int = 0,
    progress: Progress | None = None,
) -> PreparedData:
    """Brings a dataset to a space's shape, or finds it done in the cache.

    Args:
        name: The dataset's name.
        shape_for: From the dataset's channels to the `(height, width, channels)` needed.
        cache_dir: Where prepared arrays are kept.
        data_dir: Folder of tensorflow-datasets.
        sample: Size of a class-balanced subset; all images if `None`.
        split_seed: Seed of the subset and the splits.
        progress: Told of images done.

    Raises:
        UserError: The dataset can't be had, or is too small to be split.
    """
    raw = resolve(name, data_dir)
    shape = shape_for(raw.channels)
    indices = make_splits(raw, sample, split_seed)
    fingerprint = _fingerprint(raw, indices)
    key = hashlib.sha256(json.dumps([_FORMAT, fingerprint, shape]).encode()).hexdigest()[:24]
    folder = cache_dir / "datasets" / key
    touch(folder)
    if not _is_whole(folder, shape, indices):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _write(raw, indices, shape, folder, progress)
        except OSError as error:
            raise UserError(
                f"prepared images can't be written to {str(folder.parent)!r} "
                f"({error.strerror or error}): choose another --cache-dir"
            ) from None
    return PreparedData(
        folder=str(folder),
        name=name,
        class_names=raw.class_names,
        shape=shape,
        counts={split: len(chosen) for split, (_, chosen) in indices.items()},
        fingerprint=fingerprint,
        skipped=raw.skipped,
        recipe=Recipe(data_dir, sample, split_seed),
    )


Indices = dict[str, tuple[RawSplit, npt.NDArray[np.int64]]]


def make_splits(raw: RawDataset, sample: int | None, seed: int) -> Indices:
    """Draws the splits: sorted indices into the dataset's own splits.

    A sample of N images takes them from train, validation and test in the shares that the
    dataset's splits have, balanced over the classes.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    train = np.arange(len(raw.train.labels))
    total = len(train) + (len(raw.test.labels) if raw.test else 0)
    if raw.test is None:
        test_source, labels = raw.train, raw.train.labels
        train, test = _stratified(labels, train, TEST_SHARE, rng)
    else:
        test_source, test = raw.test, np.arange(len(raw.test.labels))
    if sample is not None:
        if sample > total:
            raise UserError(f"--sample {sample}: dataset {raw.name!r} has {total} images")
        test_count = max(1, round(sample * len(test) / total))
        test = _balanced(test_source.labels, test, test_count, rng)
        train = _balanced(raw.train.labels, train, sample - test_count, rng)
    train, validation = _stratified(raw.train.labels, train, VALIDATION_SHARE, rng)
    splits: Indices = {
        "train": (raw.train, train),
        "validation": (raw.train, validation),
        "test": (test_source, test),
    }
    _check_splits(raw, splits, sample)
    return splits


def _stratified(
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    share: float,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    taken = []
    for label in np.unique(labels[indices]):
        of_class = rng.permutation(indices[labels[indices] == label])
        taken.append(of_class[: round(len(of_class) * share)])
    out = np.sort(np.concatenate(taken))
    return np.setdiff1d(indices, out, assume_unique=True), out


def _balanced(
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Takes `count` indices, the classes in turn, until a class has no more."""
    shuffled = rng.permutation(indices)
    rank = np.zeros(len(shuffled), dtype=np.int64)  # the image's place within its class
    for label in np.unique(labels[indices]):
        of_class = labels[shuffled] == label
        rank[of_class] = np.arange(of_class.sum())
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:count]])


def _check_splits(raw: RawDataset, splits: Indices, sample: int | None) -> None:
    for split, (source, chosen) in splits.items():
        missing = set(range(len(raw.class_names))) - set(source.labels[chosen].tolist())
        if missing and split != "test":
            sampled = "--sample is" if sample is not None else f"dataset {raw.name!r} is"
            raise UserError(
                f"{sampled} too small: no image of class {raw.class_names[min(missing)]!r} is "
                f"left for the {split} split"
            )
        if not len(chosen):
            raise UserError(f"dataset {raw.name!r} is too small: the {split} split is empty")


def _fingerprint(raw: RawDataset, indices: Indices) -> str:
    digest = hashlib.sha256(f"{_FORMAT}\0{raw.identity}".encode())
    for split, (source, chosen) in indices.items():
        digest.update(split.encode())
        digest.update(chosen.tobytes())
        digest.update(source.labels[chosen].tobytes())
    return digest.hexdigest()[:16]


def _is_whole(folder: Path, shape: tuple[int, int, int], indices: Indices) -> bool:
    """Whether the arrays are in the cache, and none was cut short since."""
    try:
        for split, (_, chosen) in indices.items():
            images, labels, sizes = (
                np.load(folder / f"{split}-{part}.npy", mmap_mode="r") for part in _PARTS
            )
            if images.shape != (len(chosen), *shape) or {len(labels), len(sizes)} != {len(chosen)}:
                return False
    except (OSError, ValueError, EOFError):
        return False
    return (folder / "info.json").is_file()


def _write(
    raw: RawDataset,
    indices: Indices,
    shape: tuple[int, int, int],
    folder: Path,
    progress: Progress | None,
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tmp-"))
    try:
        done, total = 0, sum(len(chosen) for _, chosen in indices.values())
        for split, (source, chosen) in indices.items():
            sizes = []
            with (temporary / f"{split}-images.npy").open("wb") as file:
                _write_header(file, (len(chosen), *shape))
                for image in source.images(chosen):
                    file.write(fit_image(image, shape).tobytes())
                    sizes.append(image.shape[:2])
                    done += 1
                    if progress is not None:
                        progress(done, total)
                file.flush()
                os.fsync(file.fileno())
            if len(sizes) != len(chosen):
                raise UserError(
                    f"dataset {raw.name!r} gave {len(sizes)} of {len(chosen)} {split} images: "
                    "its files are damaged"
                )
            np.save(temporary / f"{split}-labels.npy", source.labels[chosen])
            np.save(temporary / f"{split}-sizes.npy", np.array(sizes, dtype=np.int32))
        info = {"name": raw.name, "dataset": raw.identity, "shape": shape, "num_images": total}
        (temporary / "info.json").write_text(json.dumps(info), encoding="utf-8")
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    # Written as a file, not through a memory map, where a full disk kills the process.
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _publish(temporary: Path, folder: Path) -> None:
    temporary.chmod(0o755)
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "info.json").is_file():  # else another process was first
            raise


def fit_image(image: npt.NDArray[np.uint8], shape: tuple[int, int, int]) -> Any:
    """Brings one image to `(height, width, channels)`: colour first, then size (bilinear)."""
    from PIL import Image

    height, width, channels = shape
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)
