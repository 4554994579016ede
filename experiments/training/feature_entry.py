"""What one frozen part makes of one split in one view: its name in the cache, shapes, bytes."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from experiments.data.prepare import PreparedData
from experiments.training.feature_key import identity
from search_spaces.frozen import ORIGINAL, FrozenPart

# 2: how layers are joined, and the precision they compute in, are in the key; checksums.
_FORMAT = 2
HALF, SINGLE = "float16", "float32"


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
        """Images of the split."""
        return self.data.counts[self.split]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one image's features, by output."""
        return {name: tuple(x.shape[1:]) for name, x in self.part.model.output.items()}

    @property
    def dtypes(self) -> dict[str, str]:
        """Kind of number, by output, where its values allow it."""
        return {n: SINGLE if len(shape) == 1 else HALF for n, shape in self.shapes.items()}

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays."""
        return self.num_bytes_as(self.dtypes)

    def num_bytes_as(self, dtypes: dict[str, str]) -> int:
        """Returns the bytes of all arrays in other kinds of number."""
        return self.num_images * sum(
            int(np.prod(shape)) * np.dtype(dtypes[name]).itemsize
            for name, shape in self.shapes.items()
        )

    def __str__(self) -> str:
        flipped = "" if self.view == ORIGINAL else f", {self.view}"
        return f"features of {self.part.name}, {self.split}{flipped}"
