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
_EVEN_BYTES = np.uint32(0x00FF00FF)
_CHUNK_VALUES = 16 * 28 * 28  # what is computed of them stays in the processor's cache


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
    near = squares.take(first + top * width + left, axis=0)
    return _interpolated(near, x[..., None], y[..., None])


def _interpolated(
    squares: npt.NDArray[np.uint32], x: npt.NDArray[np.uint32], y: npt.NDArray[np.uint32]
) -> Images:
    """Interpolates within squares of four pixels, two of them at once.

    Args:
        squares: From `_squares`.
        x: Place between left and right, from 0 to below 256.
        y: Place between above and below, likewise.
    """
    left, right = squares & _EVEN_BYTES, squares >> 8 & _EVEN_BYTES
    # The upper pixel's part is in the lower half of each number: at most 255 * 256.
    columns = left * (256 - x) + right * x
    values = (columns & 0xFFFF) * (256 - y) + (columns >> 16) * y
    result: Images = ((values + 2**15) >> 16).astype(np.uint8)
    return result


def _places(
    row: _Floats, offset: _Floats, sides: tuple[int, int], side: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
    """Returns where each pixel is taken from along one axis: 256ths of a pixel, and pixels.

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
    parts = (places * np.float32(256)).astype(np.int32)
    return (parts & 255).view(np.uint32), (parts >> 8).astype(np.intp)


def _squares(images: Images) -> npt.NDArray[np.uint32]:
    """Returns each pixel with its neighbours right, below and right below, as one number.

    From its lowest byte on: the pixel, the one right of it, the one below, the one right below.
    """
    padded = np.pad(images, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge").astype(np.uint32)
    columns = padded[:, :-1] | padded[:, 1:] << np.uint32(16)
    squares: npt.NDArray[np.uint32] = columns[:, :, :-1] | columns[:, :, 1:] << np.uint32(8)
    return squares
