"""Random shifts and affine changes of a batch of images, in NumPy: some microseconds an image."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]

SHIFT = 0.07  # of a side: 2 pixels of 28
ROTATION = 12.0  # degrees
STRETCH = 0.12  # of a side, the logarithm of its factor
SHEAR = 0.15  # of the other side
_CHUNK_VALUES = 64 * 28 * 28  # what is computed of them stays in the processor's cache


def shifted(images: Images, rng: np.random.Generator) -> Images:
    """Shifts each image by whole pixels, up to `SHIFT` of its sides; edges are repeated.

    Args:
        images: `(num_images, height, width, channels)`, uint8.
        rng: Draws the shifts.

    Returns:
        As many, of the same shape.
    """
    count, height, width, _ = images.shape
    down, right = _most(height), _most(width)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), mode="edge")
    # (num_images, 2 * down + 1, 2 * right + 1, channels, height, width), without copying
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = rng.integers(0, 2 * down + 1, count), rng.integers(0, 2 * right + 1, count)
    return np.ascontiguousarray(np.moveaxis(windows[np.arange(count), top, left], 1, -1))


def _most(side: int) -> int:
    return max(1, round(SHIFT * side))


def affine(images: Images, rng: np.random.Generator) -> Images:
    """Turns, stretches, shears and shifts each image at random; edges are repeated.

    Args:
        images: `(num_images, height, width, channels)`, uint8.
        rng: Draws the changes, evenly up to `ROTATION`, `STRETCH`, `SHEAR` and `SHIFT`.

    Returns:
        As many, of the same shape.
    """
    return transformed(images, *_drawn(len(images), images.shape[1:3], rng))


def _drawn(count: int, sides: tuple[int, int], rng: np.random.Generator) -> tuple[_Floats, _Floats]:
    """Draws matrices `(count, 2, 2)` and offsets `(count, 2)` of x and y, in pixels."""
    turn, wide, high, shear, right, down = rng.uniform(-1, 1, (6, count))
    cos, sin = np.cos(turn * math.radians(ROTATION)), np.sin(turn * math.radians(ROTATION))
    wide, high, shear = np.exp(wide * STRETCH), np.exp(high * STRETCH), shear * SHEAR
    matrices = np.array(
        [[cos * wide, (cos * shear - sin) * high], [sin * wide, (sin * shear + cos) * high]],
        dtype=np.float32,
    )
    offsets = np.array([right * _most(sides[1]), down * _most(sides[0])], dtype=np.float32)
    return matrices.transpose(2, 0, 1), offsets.T


def transformed(images: Images, matrices: _Floats, offsets: _Floats) -> Images:
    """Applies an affine map to each image, about its centre, with bilinear interpolation.

    The pixel at `p` from the centre is taken from `matrix @ p + offset`; edges are repeated.

    Args:
        images: `(num_images, height, width, channels)`, uint8.
        matrices: `(num_images, 2, 2)`, of x and y.
        offsets: `(num_images, 2)`, x and y in pixels.

    Returns:
        As many, of the same shape.
    """
    result = np.empty_like(images)
    for part in _chunks(images):
        result[part] = _transformed(images[part], matrices[part], offsets[part])
    return result


def _chunks(images: Images) -> Iterator[slice]:
    size = max(1, _CHUNK_VALUES // math.prod(images.shape[1:]))
    for first in range(0, len(images), size):
        yield slice(first, first + size)


def _transformed(images: Images, matrices: _Floats, offsets: _Floats) -> Images:
    count, height, width, channels = images.shape
    x, left = _places(matrices[:, 0], offsets[:, 0], (height, width), width)
    y, top = _places(matrices[:, 1], offsets[:, 1], (height, width), height)
    first = np.arange(count)[:, None, None] * (height * width)
    # The four neighbours of each place are side by side, so that one look-up gets them all.
    squares = _squares(images).reshape(count * height * width, channels)
    near = squares.take(first + top * width + left, axis=0).view(np.uint8)
    near = near.reshape(count, height, width, channels, 4)
    x, y = x[..., None], y[..., None]
    upper = near[..., 0] + (near[..., 1].astype(np.float32) - near[..., 0]) * x
    lower = near[..., 2] + (near[..., 3].astype(np.float32) - near[..., 2]) * x
    values: Images = (upper + (lower - upper) * y + np.float32(0.5)).astype(np.uint8)
    return values


def _places(
    row: _Floats, offset: _Floats, sides: tuple[int, int], side: int
) -> tuple[_Floats, npt.NDArray[np.intp]]:
    """Returns where each pixel is taken from along one axis: fraction and whole number.

    Args:
        row: `(num_images, 2)`, the row of the matrices that gives this axis.
        offset: `(num_images,)`, in pixels.
        sides: Height and width.
        side: The one along this axis.
    """
    down, right = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in sides)
    begin = row[:, 1, None] * down + (offset + np.float32((side - 1) / 2))[:, None]
    places = row[:, 0, None, None] * right + begin[:, :, None]
    np.clip(places, 0, side - 1, out=places)
    whole = places.astype(np.intp)
    places -= whole
    return places, whole


def _squares(images: Images) -> npt.NDArray[np.uint32]:
    """Returns each pixel with its neighbours right, below and right below, as one number."""
    padded = np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
    parts = (padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:])
    return np.stack(parts, axis=-1).view(np.uint32)[..., 0]
