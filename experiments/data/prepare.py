"""Prepares a dataset once: splits, size and colour, memory-mapped arrays in the cache folder.

Splits are drawn from the split seed alone (`splits.py`), so that every trial and every study that
is to be compared sees the same images.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from experiments.data.balance import balanced_weights
from experiments.data.cache_use import begun, publish, touch
from experiments.data.health import Census, health_of, health_of_values
from experiments.data.sources.argument import is_code
from experiments.data.sources.base import IMAGES_ALONE, Inputs, Progress, RawDataset, Row, Wanted
from experiments.data.sources.given import hold_given
from experiments.data.sources.pixels import on_white
from experiments.data.sources.registry import resolve
from experiments.data.sources.scan import named
from experiments.data.splits import Indices, as_recorded, fingerprint, notes_of, roles_of
from experiments.record.errors import UserError
from experiments.record.files import sync
from experiments.record.predictions import Targets

# Of the prepared arrays. 2: transparency on white, more than 8 bits scaled; health is recorded.
_FORMAT = 2
_PARTS = ("images", "labels", "sizes")
PREPARING = "preparing images"


@dataclass(frozen=True)
class DatasetSplit:
    """One split, opened without copying.

    Args:
        images: `(num_images, height, width, channels)`, uint8, 0..255, memory-mapped; or rows of
            other arrays, `(num_rows, ...)`.
        labels: `(num_images,)`, int64; of other targets float32, `(num_rows, ...)`.
        sizes: `(num_images, 2)`, int32, original height and width in pixels; 0 of other arrays.
    """

    images: npt.NDArray[Any]
    labels: npt.NDArray[Any]
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
        wanted: What the space takes of arrays.
        skipped: What that study recorded as unusable.
    """

    data_dir: str | None = None
    sample: int | None = None
    split_seed: int = 0
    recorded: str | None = None
    wanted: Wanted = IMAGES_ALONE
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class PreparedData:
    """A prepared dataset: plain facts, so it crosses process boundaries; arrays open on demand.

    Args:
        folder: Where the arrays are.
        name: The dataset's name.
        class_names: One a class or label; none for values.
        shape: `(height, width, channels)` of every image, or the shape of a row.
        counts: Number of images by split.
        fingerprint: Names the splits: same fingerprint, same images in the same splits.
        skipped: Images that could not be read, and folders without one: path and reason.
        recipe: How to prepare it again, should its folder be gone.
        roles: What each split is taken from, in words.
        notes: What is to be said of the splits, a line each.
        health: Counts that `health.health_of` lists.
        former_fingerprint: What `fingerprint` was by the rules of format 1, if they gave other
            pixels.
        inputs: What its rows are.
        targets: What is predicted of them.
        target_shape: Shape of the targets of a row; `()` for a single number or class.
    """

    folder: str
    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    counts: dict[str, int]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    recipe: Recipe | None = None
    roles: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    health: dict[str, Any] = field(default_factory=dict)
    former_fingerprint: str | None = None
    inputs: Inputs = Inputs.IMAGES
    targets: Targets = Targets.CLASSES
    target_shape: tuple[int, ...] = ()

    @property
    def num_outputs(self) -> int:
        """Number of classes, of labels, or of values that are predicted."""
        if self.targets == Targets.CLASSES:
            return len(self.class_names)
        return self.target_shape[-1] if self.target_shape else 1

    @property
    def is_usual(self) -> bool:
        """Whether it is a classification of images."""
        return self.inputs == Inputs.IMAGES and self.targets == Targets.CLASSES

    @property
    def noun(self) -> str:
        """What its rows are called: `images` or `rows`."""
        return "images" if self.inputs == Inputs.IMAGES else "rows"

    @property
    def wanted(self) -> Wanted:
        """What a space took of arrays to have these data."""
        if self.is_usual:
            return IMAGES_ALONE
        return Wanted(self.inputs == Inputs.IMAGES, True, self.targets)

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
            **({} if self.is_usual else self._kinds()),
        }

    def _kinds(self) -> dict[str, Any]:
        shape = list(self.target_shape)
        return {"inputs": str(self.inputs), "targets": str(self.targets), "target_shape": shape}

    @property
    def class_weights(self) -> list[float]:
        """Weights that balance the classes in the training split, in their order."""
        return balanced_weights(self.health["per_class"]["train"])

    def is_recorded(self, dataset: Mapping[str, Any]) -> bool:
        """Whether these are the data of a study, by what it holds under `dataset`."""
        shape = list(self.target_shape)
        same_shape = dataset.get("target_shape", shape) == shape
        return same_shape and dataset.get("fingerprint") == self.fingerprint

    def why_changed(self, dataset: Mapping[str, Any]) -> str:
        """Says why these are not the data of a study, by what it holds under `dataset`."""
        recorded = dataset.get("fingerprint")
        if recorded == self.fingerprint:
            was, now = dataset.get("target_shape"), list(self.target_shape)
            return f"each row has targets of shape {now} now, not {was}"
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

    def _image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.shape
        return height, width, channels

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
            again = prepare(self.name, lambda _: self._image_shape(), cache, **vars(self.recipe))
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
    wanted: Wanted = IMAGES_ALONE,
    skipped: tuple[str, ...] = (),
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
        wanted: What the space takes of arrays.
        skipped: What that study recorded as unusable: it goes on without, if that is usable now.

    Returns:
        The dataset; while it lives, arrays that were given are not pruned.

    Raises:
        UserError: The dataset can't be had, or is too small to be split.
    """

    def found(left_out: Set[str]) -> tuple[RawDataset, Indices, str]:
        raw = resolve(name, data_dir, cache_dir, progress, wanted, left_out)
        raw, indices = as_recorded(raw, sample, split_seed, recorded)
        return raw, indices, fingerprint(raw, indices)

    def without_skipped(now: Set[str]) -> tuple[RawDataset, Indices, str] | None:
        usable_now = named(set(skipped) - now)
        if recorded is not None and usable_now:
            with suppress(UserError):
                found_without = found(usable_now)
                return found_without if found_without[-1] == recorded else None
        return None

    try:
        raw, indices, name_of_splits = found(frozenset())
    except UserError:  # a class that was skipped may be too small
        instead = without_skipped(frozenset())
        if instead is None:
            raise
    else:
        instead = without_skipped(set(raw.skipped)) if name_of_splits != recorded else None
    raw, indices, name_of_splits = instead or (raw, indices, name_of_splits)
    shape = shape_for(raw.channels) if raw.inputs == Inputs.IMAGES else raw.shape
    target_shape = raw.train.labels.shape[1:]
    folder = _entry(cache_dir, name_of_splits, shape, target_shape)
    counts = {split: len(chosen) for split, (_, chosen) in indices.items()}
    touch(folder)
    if not _is_whole(folder, shape, counts, target_shape):
        with _refusing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _write(raw, indices, shape, folder, progress)
    former = raw.former_identity
    prepared = PreparedData(
        folder=str(folder),
        name=name,
        class_names=raw.class_names,
        shape=shape,
        counts=counts,
        fingerprint=name_of_splits,
        skipped=raw.skipped,
        recipe=Recipe(data_dir, sample, split_seed, recorded, wanted, skipped),
        roles=roles_of(raw, indices),
        notes=(*raw.notes, *notes_of(raw, indices)),
        health=_health(folder),
        former_fingerprint=fingerprint(raw, indices, former) if former else None,
        inputs=raw.inputs,
        targets=raw.targets,
        target_shape=target_shape,
    )
    hold_given(prepared, name, cache_dir)
    return prepared


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
        stated = described(name, record)
        counts = {str(split): int(count) for split, count in record["counts"].items()}
        folder = _entry(cache_dir, str(record["fingerprint"]), stated.shape, stated.target_shape)
        touch(folder)
        if not _is_whole(folder, stated.shape, counts, stated.target_shape):
            return None
        return replace(
            stated,
            folder=str(folder),
            counts=counts,
            fingerprint=str(record["fingerprint"]),
            skipped=tuple(record["skipped"]),
            roles=dict(record["roles"]),
            notes=tuple(record["notes"]),
            health=_health(folder),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def described(name: str, record: Mapping[str, Any]) -> PreparedData:
    """Returns what a record says of the shapes of a dataset, without arrays.

    Args:
        name: The dataset's name.
        record: What `study.json` holds under `dataset`.

    Raises:
        KeyError, TypeError, ValueError: The record is damaged.
    """
    return PreparedData(
        folder="",
        name=name,
        class_names=tuple(record["class_names"]),
        shape=tuple(map(int, record["shape"])),
        counts={},
        fingerprint="",
        inputs=Inputs(record.get("inputs", Inputs.IMAGES)),
        targets=Targets(record.get("targets", Targets.CLASSES)),
        target_shape=tuple(map(int, record.get("target_shape", ()))),
    )


def _entry(
    cache_dir: Path, fingerprint: str, shape: tuple[int, ...], target_shape: tuple[int, ...]
) -> Path:
    """Returns where the arrays of some splits are kept, in one shape."""
    named: list[Any] = [_FORMAT, fingerprint, shape]
    # The fingerprint is of the values of targets: (N,) has those of (N, 1), (N, 6) of (N, 2, 3).
    if len(target_shape) > 1 or target_shape == (1,):
        named.append(target_shape)
    key = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:24]
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


def _is_whole(
    folder: Path,
    shape: tuple[int, ...],
    counts: Mapping[str, int],
    target_shape: tuple[int, ...] = (),
) -> bool:
    """Whether the arrays are in the cache, and none was cut short since."""
    try:
        for split, count in counts.items():
            for part, each in (("images", shape), ("labels", target_shape), ("sizes", (2,))):
                array = np.load(folder / f"{split}-{part}.npy", mmap_mode="r")
                if array.shape != (count, *each):
                    return False
        return isinstance(_health(folder), dict)
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return False


def _write(
    raw: RawDataset,
    indices: Indices,
    shape: tuple[int, ...],
    folder: Path,
    progress: Progress | None,
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with begun(folder.parent) as temporary:
        done, total = 0, sum(len(chosen) for _, chosen in indices.values())
        census, is_image = Census(), raw.inputs == Inputs.IMAGES
        for split, (source, chosen) in indices.items():
            sizes = []
            with (temporary / f"{split}-images.npy").open("wb") as file:
                _write_header(file, (len(chosen), *shape), _dtype(raw))
                for image in source.images(chosen):
                    fitted = fit_image(image, shape) if is_image else image
                    file.write(fitted.tobytes())
                    census.add(split, fitted, is_image)
                    sizes.append(image.shape[:2] if is_image else (0, 0))
                    done += 1
                    if progress is not None and is_image:
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
            "health": _health_of(census, labels, raw),
        }
        (temporary / "info.json").write_text(json.dumps(info), encoding="utf-8")
        publish(temporary, folder)


def _health_of(
    census: Census, labels: dict[str, npt.NDArray[Any]], raw: RawDataset
) -> dict[str, Any]:
    counted = {} if raw.inputs == Inputs.IMAGES else {"counted": "row"}
    if raw.targets == Targets.CLASSES:
        return health_of(census, labels, raw.class_names) | counted
    return health_of_values(census, labels) | counted


def _dtype(raw: RawDataset) -> np.dtype[Any]:
    """Returns the type of the rows of a dataset."""
    if raw.inputs == Inputs.IMAGES:
        return np.dtype(np.uint8)
    row: Row = next(raw.train.images(np.zeros(1, np.int64)))
    return row.dtype


def _write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    # Written as a file, not through a memory map, where a full disk kills the process.
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def fit_image(image: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> Any:
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
