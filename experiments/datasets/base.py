"""What every dataset gives to the preparation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RawSplit:
    """Images of one split, in the dataset's own order and sizes.

    Args:
        labels: `(num_images,)`, int64, class indices.
        images: Called with sorted indices into `labels`, yields those images in that order, each
            `(height, width, channels)`, uint8, 0..255.
    """

    labels: npt.NDArray[np.int64]
    images: Callable[[npt.NDArray[np.int64]], Iterator[Image]]


@dataclass(frozen=True)
class RawDataset:
    """Everything known of a dataset before it is prepared.

    Args:
        name: The name it was asked for by.
        identity: What its content is, for cache keys: name, version, fingerprint of files.
        class_names: One a class.
        channels: Channels of its images, 1 or 3.
        train: Images to train and validate on.
        test: Images never seen by the search; `None` if the dataset brings none.
        skipped: Images that could not be read, and folders without one, by path.
    """

    name: str
    identity: str
    class_names: tuple[str, ...]
    channels: int
    train: RawSplit
    test: RawSplit | None = None
    skipped: tuple[str, ...] = field(default=())
