"""The features of one frozen part, split and view: their cache key, shapes and size."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from experiments.data.prepare import PreparedData
from experiments.training.feature_key import identity
from search_spaces.frozen import ORIGINAL, FrozenPart

# 2: the key includes the connections of layers and their compute precision; checksums.
_FORMAT = 2
HALF, SINGLE = "float16", "float32"


@dataclass(frozen=True)
class Entry:
    """The features of one split in one view, computed by one frozen part.

    Args:
        part: The frozen part.
        data: The prepared dataset.
        split: `train` or `validation`.
        view: One of `VIEWS`.
    """

    part: FrozenPart
    data: PreparedData
    split: str
    view: str = ORIGINAL

    @property
    def key(self) -> str:
        """The cache key: a name for the content."""
        determined_by = [
            _FORMAT,
            identity(self.part),
            self.data.fingerprint,
            list(self.data.shape),
            self.split,
            self.view,
            sorted(self.dtypes.items()),
        ]
        return hashlib.sha256(json.dumps(determined_by).encode()).hexdigest()[:32]

    @property
    def num_images(self) -> int:
        """Number of images in the split."""
        return self.data.counts[self.split]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one image's features, by output."""
        return {name: tuple(x.shape[1:]) for name, x in self.part.model.output.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        """Preferred dtype by output; single precision replaces it if values do not fit."""
        return {n: SINGLE if len(shape) == 1 else HALF for n, shape in self.shapes.items()}

    @property
    def num_bytes(self) -> int:
        """Size of all arrays in bytes."""
        return self.num_bytes_as(self.dtypes)

    def num_bytes_as(self, dtypes: dict[str, str]) -> int:
        """Returns the size of all arrays in bytes, with other dtypes."""
        return self.num_images * sum(
            int(np.prod(shape)) * np.dtype(dtypes[name]).itemsize
            for name, shape in self.shapes.items()
        )

    def __str__(self) -> str:
        flipped = "" if self.view == ORIGINAL else f", {self.view}"
        return f"features of {self.part.name}, {self.split}{flipped}"
