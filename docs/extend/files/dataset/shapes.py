"""Squares and discs, drawn by a seed: a dataset that needs no download."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import Access, Image, RawDataset, RawSplit

_COUNT, _SIDE = 400, 16


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the dataset.

    Args:
        name: The name it was asked for by, `shapes`.
        argument: What follows the colon of a name that takes an argument; else the name.
        access: Folders of data and cache, and what receives the progress.
    """
    labels = np.arange(_COUNT, dtype=np.int64) % 2

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return (_drawn(int(index), bool(labels[index])) for index in indices)

    return RawDataset(
        name=name,
        identity="shapes/1",  # raise the number when the images change
        class_names=("square", "disc"),
        channels=1,
        train=RawSplit(labels, images),
    )


def _drawn(index: int, is_disc: bool) -> Image:
    """Returns one image, `(16, 16, 1)`, uint8, a function of its index alone."""
    rng = np.random.default_rng(index)
    x, y = rng.uniform(5, 11, 2)
    radius, brightness = rng.uniform(2, 5), rng.integers(100, 256)
    rows, columns = np.ogrid[:_SIDE, :_SIDE]
    far = np.hypot(rows - y, columns - x)
    if not is_disc:
        far = np.maximum(abs(rows - y), abs(columns - x))
    pixels = np.where(far <= radius, brightness, rng.integers(0, 60, (_SIDE, _SIDE)))
    return np.asarray(pixels, dtype=np.uint8)[..., None]
