"""What every dataset gives to the preparation."""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from experiments.record.predictions import Targets

Image = npt.NDArray[np.uint8]
Row = npt.NDArray[Any]  # an image, or a row of arrays of another kind


class Inputs(StrEnum):
    """What a model is given."""

    IMAGES = "images"  # brought to one size and colour, uint8, 0..255
    ARRAYS = "arrays"  # rows of any shape, as they are


@dataclass(frozen=True)
class Wanted:
    """What a space takes of arrays.

    Args:
        images: Whether it takes images.
        arrays: Whether it takes arrays of any shape.
        targets: What its loss is for; `None` if the arrays decide.
    """

    images: bool = True
    arrays: bool = False
    targets: Targets | None = Targets.CLASSES


IMAGES_ALONE = Wanted()  # images and their classes, as the suite's own spaces take


class Progress(Protocol):
    """Receives the number of images done, of images in all, and the name of the step."""

    def __call__(self, done: int, total: int, what: str = ..., /) -> None: ...


@dataclass(frozen=True)
class Access:
    """Where a dataset is looked for, and what receives the progress.

    Args:
        data_dir: Folder of tensorflow-datasets.
        cache_dir: The cache folder; nothing is remembered without.
        progress: Receives the number of images read.
        wanted: What the space takes of arrays.
        left_out: Images of a folder, by their paths in it, that are not to be used.
    """

    data_dir: str | None = None
    cache_dir: Path | None = None
    progress: Progress | None = None
    wanted: Wanted = IMAGES_ALONE
    left_out: Set[str] = frozenset()


@dataclass(frozen=True)
class RawSplit:
    """Images of one split, in the dataset's own order and sizes.

    Args:
        labels: `(num_images,)`, int64, class indices; of other targets float32, `(num_rows, ...)`.
        images: Called with sorted indices into `labels`, yields those images in that order, each
            `(height, width, channels)`, uint8, 0..255; or those rows of other arrays.
        name: What the dataset calls it.
    """

    labels: npt.NDArray[Any]
    images: Callable[[npt.NDArray[np.int64]], Iterator[Row]]
    name: str = "all images"

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """Returns what draws are balanced over, `(num_images,)`: classes, if it has such."""
        is_class = self.labels.ndim == 1 and self.labels.dtype.kind in "iu"
        return self.labels if is_class else np.zeros(len(self.labels), np.int64)


@dataclass(frozen=True)
class RawDataset:
    """Everything known of a dataset before it is prepared.

    Args:
        name: The name it was asked for by.
        identity: What its content is, for cache keys: name, version, fingerprint of files.
        class_names: One a class or label; none for values.
        channels: Channels of its images, 1 or 3; 0 for other arrays.
        train: Images to train on, and to validate on if there are none for that.
        validation: Images to validate on; `None` if the dataset brings none.
        test: Images never seen by the search; `None` if the dataset brings none.
        skipped: Images that could not be read, and folders without one: path and reason.
        notes: What is to be said of it, a line each.
        former_identity: What `identity` was by the rules of format 1, if they gave other pixels.
        known_as: Other identities that studies recorded of the same content.
        inputs: What its rows are.
        targets: What is predicted of them.
        shape: Shape of a row that is no image.
    """

    name: str
    identity: str
    class_names: tuple[str, ...]
    channels: int
    train: RawSplit
    validation: RawSplit | None = None
    test: RawSplit | None = None
    skipped: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    former_identity: str | None = None
    known_as: tuple[str, ...] = ()
    inputs: Inputs = Inputs.IMAGES
    targets: Targets = Targets.CLASSES
    shape: tuple[int, ...] = ()
