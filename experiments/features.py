"""Keeps what frozen parts make of images: computed once, used by every trial that needs it.

An entry is a folder of the cache, named by everything that determines its content: the frozen
part's weights and layers, the split's fingerprint, the images' size, the view, the kind of number.
It holds one memory-mapped array an output. While it is being computed it is called
`<key>.partial` and says in `rows` how far it is, so that an interrupted computation goes on where
it was; when it is whole it is renamed. A lock that dies with its holder keeps two workers from
computing the same.

Vectors are kept as float32. Feature maps, some hundred times larger, are kept as float16: see
`docs/architecture.md` for what that costs.
"""

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data import PreparedData
from experiments.files import preallocate, write_json
from experiments.trial import Note
from search_spaces.frozen import ORIGINAL, VIEWS, FrozenPart

_FORMAT = 1
_BATCH = 64
_SYNC_SECONDS = 2.0
_SPARE_BYTES = 256 * 2**20  # left free on the disk, for everything else that is written


class NoSpaceError(OSError):
    """The disk is too full for features; nothing was written."""


@dataclass(frozen=True)
class Entry:
    """What one frozen part makes of one split in one view.

    Args:
        part: The frozen part.
        data: The prepared dataset.
        split: `train`, `validation` or `test`.
        view: One of `VIEWS`.
    """

    part: FrozenPart
    data: PreparedData
    split: str
    view: str = ORIGINAL

    @property
    def key(self) -> str:
        """Names the content."""
        determined_by = [
            _FORMAT,
            _identity(self.part),
            self.data.fingerprint,
            list(self.data.shape),
            self.split,
            self.view,
            sorted(self.dtypes.items()),
        ]
        return hashlib.sha256(json.dumps(determined_by).encode()).hexdigest()[:32]

    @property
    def num_images(self) -> int:
        """Images of the split."""
        return self.data.counts[self.split]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one image's features, by output."""
        return {name: tuple(x.shape[1:]) for name, x in self.part.model.output.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        """Kind of number, by output."""
        return {n: "float32" if len(shape) == 1 else "float16" for n, shape in self.shapes.items()}

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays."""
        return self.num_images * sum(
            int(np.prod(shape)) * np.dtype(self.dtypes[name]).itemsize
            for name, shape in self.shapes.items()
        )

    def __str__(self) -> str:
        flipped = "" if self.view == ORIGINAL else f", {self.view}"
        return f"features of {self.part.name}, {self.split}{flipped}"


@lru_cache(maxsize=16)
def _identity(part: FrozenPart) -> str:
    """Names a frozen part by its weights and layers."""
    digest = hashlib.sha256(_topology(part.model).encode())
    for weight in part.model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _topology(model: Any) -> str:
    """Describes the layers of a model, without their names, which differ from build to build."""
    rows = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            rows.append(_topology(layer))
            continue
        config = {k: v for k, v in layer.get_config().items() if k not in ("name", "dtype")}
        rows.append(f"{type(layer).__name__} {json.dumps(config, sort_keys=True, default=repr)}")
    return "\n".join(rows)


class FeatureStore:
    """Features on disk, shared by trials, workers and studies.

    Args:
        cache_dir: The cache folder.
        note: Told of progress.
    """

    def __init__(self, cache_dir: str | Path, note: Note | None = None) -> None:
        self.folder = Path(cache_dir) / "features"
        self._note = note

    def has(self, entry: Entry) -> bool:
        """Whether `entry` is computed."""
        return (self.folder / entry.key / "info.json").is_file()

    def open(self, entry: Entry, output: str) -> npt.NDArray[Any]:
        """Returns the array of one output, memory-mapped, computing it first if need be.

        Raises:
            NoSpaceError: It is not computed and there is no room for it.
        """
        folder = self.folder / entry.key
        array = _opened(folder, entry, output)
        if array is None:
            shutil.rmtree(folder, ignore_errors=True)
            self._compute(entry)
            array = np.load(folder / f"{output}.npy", mmap_mode="r")
        os.utime(folder / "info.json")  # the time of last use, which pruning goes by
        return array

    def _compute(self, entry: Entry) -> None:
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / f"{entry.key}.lock"):
            if self.has(entry):  # another worker was faster
                return
            partial = self.folder / f"{entry.key}.partial"
            done = _rows_done(partial)
            if done == 0:
                self._begin(entry, partial)
            arrays = {n: np.load(partial / f"{n}.npy", mmap_mode="r+") for n in entry.shapes}
            started = time.perf_counter()
            for rows in self._write(entry, arrays, done):
                _write_rows(partial, rows, arrays)
            write_json(partial / "info.json", _describe(entry, time.perf_counter() - started))
            (partial / "rows").unlink(missing_ok=True)
            partial.rename(self.folder / entry.key)

    def _begin(self, entry: Entry, partial: Path) -> None:
        shutil.rmtree(partial, ignore_errors=True)
        check_space(self.folder, entry.num_bytes, str(entry))
        partial.mkdir()
        try:
            for name, shape in entry.shapes.items():
                dtype = np.dtype(entry.dtypes[name])
                preallocate(partial / f"{name}.npy", (entry.num_images, *shape), dtype)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise NoSpaceError(error.errno, f"no room for {entry}: {error.strerror}") from None

    def _write(self, entry: Entry, arrays: dict[str, npt.NDArray[Any]], done: int) -> Iterator[int]:
        """Computes the rows from `done` on; yields now and then how many are done."""
        images, total = entry.data.open(entry.split).images, entry.num_images
        synced = time.monotonic()
        if self._note is not None:
            self._note(str(entry), done, total)
        for first in range(done, total, _BATCH):
            last = min(first + _BATCH, total)
            for name, value in forward(entry.part, images[first:last], entry.view).items():
                arrays[name][first:last] = value
            if self._note is not None:
                self._note(str(entry), last, total)
            if time.monotonic() - synced > _SYNC_SECONDS:
                yield last
                synced = time.monotonic()
        yield total


def _opened(folder: Path, entry: Entry, output: str) -> npt.NDArray[Any] | None:
    """Returns an array of a whole entry; `None` if there is none, or it was cut short since."""
    try:
        array: npt.NDArray[Any] = np.load(folder / f"{output}.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    right = array.shape == (entry.num_images, *entry.shapes[output])
    return array if right and (folder / "info.json").is_file() else None


def check_space(folder: Path, num_bytes: int, what: str) -> None:
    """Checks that the disk of `folder` has room.

    Raises:
        NoSpaceError: It has not.
    """
    free = shutil.disk_usage(folder).free
    if free < num_bytes + _SPARE_BYTES:
        raise NoSpaceError(
            errno.ENOSPC,
            f"no room for {what}: {megabytes(num_bytes)} are needed and {megabytes(_SPARE_BYTES)} "
            f"to spare, {megabytes(free)} are free in {str(folder)!r}; make room with "
            "`experiments cache --prune`, or choose another --cache-dir",
        )


def megabytes(num_bytes: float) -> str:
    """`1234567` -> `1.2 MB`."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def forward(part: FrozenPart, images: npt.NDArray[Any], view: str) -> dict[str, Any]:
    """Returns the features of images, `(batch, height, width, channels)`, uint8, by output."""
    import tensorflow as tf

    seen = np.ascontiguousarray(VIEWS[view](np.asarray(images)))
    outputs = _compiled(part)(tf.constant(seen))
    return {n: np.asarray(v) for n, v in zip(sorted(part.model.output), outputs, strict=True)}


@lru_cache(maxsize=4)
def _compiled(part: FrozenPart) -> Any:
    """Returns the part as a graph of constants.

    TensorFlow then folds batch normalisation and activations into the convolutions, which makes
    MobileNetV2 1.6 times faster on a CPU and changes its output by float rounding alone.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def run(images: Any) -> list[Any]:
        outputs = part.model(tf.cast(images, tf.float32), training=False)
        return [outputs[name] for name in sorted(outputs)]

    spec = tf.TensorSpec(part.model.input.shape, tf.uint8)
    function = tf.function(run, autograph=False, input_signature=[spec])
    return convert_variables_to_constants_v2(function.get_concrete_function())


def _rows_done(partial: Path) -> int:
    try:
        return int((partial / "rows").read_text())
    except (OSError, ValueError):
        return 0


def _write_rows(partial: Path, done: int, arrays: dict[str, Any]) -> None:
    for array in arrays.values():
        array.flush()
    # Only after the rows themselves are on the disk.
    temporary = partial / ".rows"
    temporary.write_text(str(done))
    temporary.replace(partial / "rows")


def _describe(entry: Entry, seconds: float) -> dict[str, Any]:
    return {
        "what": str(entry),
        "dataset": entry.data.name,
        "fingerprint": entry.data.fingerprint,
        "image_shape": list(entry.data.shape),
        "num_images": entry.num_images,
        "num_bytes": entry.num_bytes,
        "shapes": {name: list(shape) for name, shape in entry.shapes.items()},
        "dtypes": entry.dtypes,
        "seconds": seconds,
        "created": time.time(),
    }
