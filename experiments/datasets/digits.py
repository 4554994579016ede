"""scikit-learn's embedded handwritten digits: 8x8, 1,797 images, no network."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from experiments.datasets.base import Access, Image, RawDataset, RawSplit


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the dataset. Its 0..16 values are brought to 0..255."""
    import sklearn
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return iter(pixels[indices])

    return RawDataset(
        name=name,
        identity=f"digits/scikit-learn-{sklearn.__version__}",
        class_names=tuple(str(digit) for digit in range(10)),
        channels=1,
        train=RawSplit(bunch.target.astype(np.int64), images),
    )
