"""scikit-learn's embedded handwritten digits: 8x8, 1,797 images, no network."""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import Access, Image, RawDataset, RawSplit

# What scikit-learn holds since its first release, by the name that studies know it by.
_KNOWN = {"0b7e9c3202d7bcd255d6a19a238d3743": "digits/scikit-learn-1.9.1"}
# Studies of before were named by the release that was installed.
_RELEASES = tuple(
    f"digits/scikit-learn-1.{minor}{patch}"
    for minor in range(10)
    for patch in ("", ".0", ".1", ".2", ".3")
)


def load(name: str, argument: str, access: Access) -> RawDataset:
    """Opens the dataset. Its 0..16 values are brought to 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]

    labels = bunch.target.astype(np.int64)
    digest = hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest()[:32]
    known = _KNOWN.get(digest)

    def images(indices: npt.NDArray[np.int64]) -> Iterator[Image]:
        return iter(pixels[indices])

    return RawDataset(
        name=name,
        identity=known or f"digits/{digest}",
        class_names=tuple(str(digit) for digit in range(10)),
        channels=1,
        train=RawSplit(labels, images),
        known_as=_RELEASES if known else (),
    )
