"""Prepares a dataset once: splits, size and colour, memory-mapped arrays in the cache folder.

Splits are drawn from the split seed alone (`splits.py`), so that every trial and every study that
is to be compared sees the same images.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from experiments.data.balance import balanced_weights
from experiments.data.cache_use import begun, touch
from experiments.data.health import Census, health_of
from experiments.data.sources.argument import is_code
from experiments.data.sources.base import Progress, RawDataset
from experiments.data.sources.pixels import on_white
from experiments.data.sources.registry import resolve
from experiments.data.splits import Indices, as_recorded, fingerprint, notes_of, roles_of
from experiments.record.errors import UserError
from experiments.record.files import sync

# Of the prepared arrays. 2: transparency on white, more than 8 bits scaled; health is recorded.
_FORMAT = 2
_PARTS = ("images", "labels", "sizes")
PREPARING = "preparing images"


@dataclass(frozen=True)
class DatasetSplit:
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
        recorded: Fingerprint that a study has recorded.
    """

    data_dir: str | None = None
    sample: int | None = None
    split_seed: int = 0
    recorded: str | None = None


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
        skipped: Images that could not be read, and folders without one: path and reason.
        recipe: How to prepare it again, should its folder be gone.
        roles: What each split is taken from, in words.
        notes: What is to be said of the splits, a line each.
        health: Counts that `health.health_of` lists.
        former_fingerprint: What `fingerprint` was by the rules of format 1, if they gave other
            pixels.
    """

    folder: str
    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    counts: dict[str, int]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    recipe: Recipe | None = None
    roles: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    health: dict[str, Any] = field(default_factory=dict)
    former_fingerprint: str | None = None

    def record(self) -> dict[str, Any]:
        """Returns what `study.json` holds under `dataset`."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "shape": list(self.shape),
            "counts": self.counts,
            "fingerprint": self.fingerprint,
            "skipped": list(self.skipped),
            "roles": self.roles,
            "notes": list(self.notes),
            **self.health,
        }

    @property
    def class_weights(self) -> list[float]:
        """Weights that balance the classes in the training split, in their order."""
        return balanced_weights(self.health["per_class"]["train"])

    def why_changed(self, recorded: object) -> str:
        """Says why the data are not those of a study that recorded another fingerprint."""
        if recorded is not None and recorded == self.former_fingerprint:
            return (
                "images with transparency or more than 8 bits are read differently now, "
                "because part of their content was lost before"
            )
        if is_code(self.name):
            return "its function gives other arrays now; what it draws at random needs a fixed seed"
        return "its version or its files have changed"

    def open(self, split: str) -> DatasetSplit:
        """Opens `train`, `validation` or `test` as read-only memory maps, once a process.

        Raises:
            MissingDataError: They are gone, and can't be prepared again.
        """
        try:
            return self._opened(split)
        except (FileNotFoundError, ValueError, EOFError) as error:
            self._prepare_again(error)
            return self._opened(split)

    def _opened(self, split: str) -> DatasetSplit:
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
def _open(folder: str, split: str, state: tuple[int, ...]) -> DatasetSplit:
    # By the file's state, for one that was made anew is another file.
    return DatasetSplit(
        *(np.load(Path(folder) / f"{split}-{p}.npy", mmap_mode="r") for p in _PARTS)
    )


def prepare(
    name: str,
    shape_for: Callable[[int], tuple[int, int, int]],
    cache_dir: Path,
    *,
    data_dir: str | None = None,
    sample: int | None = None,
    split_seed: int = 0,
    progress: Progress | None = None,
    recorded: str | None = None,
) -> PreparedData:
    """Brings a dataset to a space's shape, or finds it done in the cache.

    Args:
        name: The dataset's name.
        shape_for: From the dataset's channels to the `(height, width, channels)` needed.
        cache_dir: Where prepared arrays are kept.
        data_dir: Folder of tensorflow-datasets.
        sample: Size of a class-balanced subset; all images if `None`.
        split_seed: Seed of the subset and the splits.
        progress: Receives the number of images done.
        recorded: The fingerprint of the splits that a study was begun with.

    Raises:
        UserError: The dataset can't be had, or is too small to be split.
    """
    raw = resolve(name, data_dir, cache_dir, progress)
    shape = shape_for(raw.channels)
    raw, indices = as_recorded(raw, sample, split_seed, recorded)
    name_of_splits = fingerprint(raw, indices)
    folder = _entry(cache_dir, name_of_splits, shape)
    counts = {split: len(chosen) for split, (_, chosen) in indices.items()}
    touch(folder)
    if not _is_whole(folder, shape, counts):
        with _refusing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _write(raw, indices, shape, folder, progress)
    former = raw.former_identity
    return PreparedData(
        folder=str(folder),
        name=name,
        class_names=raw.class_names,
        shape=shape,
        counts=counts,
        fingerprint=name_of_splits,
        skipped=raw.skipped,
        recipe=Recipe(data_dir, sample, split_seed, recorded),
        roles=roles_of(raw),
        notes=(*raw.notes, *notes_of(raw, indices)),
        health=_health(folder),
        former_fingerprint=fingerprint(raw, indices, former) if former else None,
    )


def kept(name: str, record: Mapping[str, Any], cache_dir: Path) -> PreparedData | None:
    """Finds the prepared data of a study in the cache, by what it recorded; nothing is opened.

    Args:
        name: The dataset's name.
        record: What `study.json` holds under `dataset`.
        cache_dir: Where prepared arrays are kept.

    Returns:
        `None` if they are not there, or if the record lacks some of their facts.
    """
    try:
        height, width, channels = map(int, record["shape"])
        counts = {str(split): int(count) for split, count in record["counts"].items()}
        folder = _entry(cache_dir, str(record["fingerprint"]), (height, width, channels))
        touch(folder)
        if not _is_whole(folder, (height, width, channels), counts):
            return None
        return PreparedData(
            folder=str(folder),
            name=name,
            class_names=tuple(record["class_names"]),
            shape=(height, width, channels),
            counts=counts,
            fingerprint=str(record["fingerprint"]),
            skipped=tuple(record["skipped"]),
            roles=dict(record["roles"]),
            notes=tuple(record["notes"]),
            health=_health(folder),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _entry(cache_dir: Path, fingerprint: str, shape: tuple[int, int, int]) -> Path:
    """Returns where the arrays of some splits are kept, in one shape."""
    key = hashlib.sha256(json.dumps([_FORMAT, fingerprint, shape]).encode()).hexdigest()[:24]
    return cache_dir / "datasets" / key


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"prepared images can't be written to {str(folder.parent)!r} "
            f"({error.strerror or error}): choose another --cache-dir"
        ) from None


def _health(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "info.json").read_text(encoding="utf-8"))["health"]
    return found


def _is_whole(folder: Path, shape: tuple[int, int, int], counts: Mapping[str, int]) -> bool:
    """Whether the arrays are in the cache, and none was cut short since."""
    try:
        for split, count in counts.items():
            for part, each in (("images", shape), ("labels", ()), ("sizes", (2,))):
                array = np.load(folder / f"{split}-{part}.npy", mmap_mode="r")
                if array.shape != (count, *each):
                    return False
        return isinstance(_health(folder), dict)
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return False


def _write(
    raw: RawDataset,
    indices: Indices,
    shape: tuple[int, int, int],
    folder: Path,
    progress: Progress | None,
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with begun(folder.parent) as temporary:
        done, total = 0, sum(len(chosen) for _, chosen in indices.values())
        census = Census()
        for split, (source, chosen) in indices.items():
            sizes = []
            with (temporary / f"{split}-images.npy").open("wb") as file:
                _write_header(file, (len(chosen), *shape))
                for image in source.images(chosen):
                    fitted = fit_image(image, shape)
                    file.write(fitted.tobytes())
                    census.add(split, fitted)
                    sizes.append(image.shape[:2])
                    done += 1
                    if progress is not None:
                        progress(done, total, PREPARING)
                file.flush()
                sync(file.fileno())
            if len(sizes) != len(chosen):
                raise UserError(
                    f"dataset {raw.name!r} gave {len(sizes)} of {len(chosen)} {split} images: "
                    "its files are damaged"
                )
            np.save(temporary / f"{split}-labels.npy", source.labels[chosen])
            np.save(temporary / f"{split}-sizes.npy", np.array(sizes, dtype=np.int32))
        labels = {split: source.labels[chosen] for split, (source, chosen) in indices.items()}
        info = {
            "name": raw.name,
            "dataset": raw.identity,
            "shape": shape,
            "num_images": total,
            "health": health_of(census, labels, raw.class_names),
        }
        (temporary / "info.json").write_text(json.dumps(info), encoding="utf-8")
        _publish(temporary, folder)


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
    if image.shape[-1] in (2, 4):  # with transparency
        picture = on_white(picture.convert("RGBA"))
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8).reshape(shape)
