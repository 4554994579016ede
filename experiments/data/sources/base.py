"""What every dataset gives to the preparation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


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
    """

    data_dir: str | None = None
    cache_dir: Path | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class RawSplit:
    """Images of one split, in the dataset's own order and sizes.

    Args:
        labels: `(num_images,)`, int64, class indices.
        images: Called with sorted indices into `labels`, yields those images in that order, each
            `(height, width, channels)`, uint8, 0..255.
        name: What the dataset calls it.
    """

    labels: npt.NDArray[np.int64]
    images: Callable[[npt.NDArray[np.int64]], Iterator[Image]]
    name: str = "all images"


@dataclass(frozen=True)
class RawDataset:
    """Everything known of a dataset before it is prepared.

    Args:
        name: The name it was asked for by.
        identity: What its content is, for cache keys: name, version, fingerprint of files.
        class_names: One a class.
        channels: Channels of its images, 1 or 3.
        train: Images to train on, and to validate on if there are none for that.
        validation: Images to validate on; `None` if the dataset brings none.
        test: Images never seen by the search; `None` if the dataset brings none.
        skipped: Images that could not be read, and folders without one: path and reason.
        notes: What is to be said of it, a line each.
        former_identity: What `identity` was by the rules of format 1, if they gave other pixels.
        known_as: Other identities that studies recorded of the same content.
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
