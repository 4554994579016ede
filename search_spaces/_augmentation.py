"""Random shifts and affine changes of a batch of images, in NumPy: some microseconds an image."""

import math

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]

SHIFT = 0.07  # of a side: 2 pixels of 28
ROTATION = 12.0  # degrees
STRETCH = 0.12  # of a side, the logarithm of its factor
SHEAR = 0.15  # of the other side
GROUP = 8  # images that are changed alike: the bytes of a 64-bit number
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
_HALF = np.uint64(0x0080008000800080)  # of what a byte's sum is divided by, to round it


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
    """Turns, stretches, shears and shifts images at random, `GROUP` alike; edges are repeated.

    Args:
        images: `(num_images, height, width, channels)`, uint8, in random order.
        rng: Draws the changes, evenly up to `ROTATION`, `STRETCH`, `SHEAR` and `SHIFT`.

    Returns:
        As many, of the same shape.
    """
    return transformed(images, *_drawn(-(-len(images) // GROUP), images.shape[1:3], rng))


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
    """Applies an affine map to each `GROUP` images, about their centre, with bilinear weights.

    The pixel at `p` from the centre is taken from `matrix @ p + offset`; edges are repeated.

    Args:
        images: `(num_images, height, width, channels)`, uint8.
        matrices: `(num_groups, 2, 2)`, of x and y.
        offsets: `(num_groups, 2)`, x and y in pixels.

    Returns:
        As many, of the same shape.
    """
    height, width, channels = images.shape[1:]
    x, left = _places(matrices[:, 0], offsets[:, 0], (height, width), width)
    y, top = _places(matrices[:, 1], offsets[:, 1], (height, width), height)
    first = np.arange(len(matrices))[:, None, None] * (height * width)
    above, below = first + top * width, first + np.minimum(top + 1, height - 1) * width
    right = np.minimum(left + 1, width - 1)
    both = x * y >> np.uint64(8)
    corners = [
        (above + left, 256 - x - y + both),
        (above + right, x - both),
        (below + left, y - both),
        (below + right, both),
    ]
    return _unpacked(_blended(_packed(images).reshape(-1, channels), corners), images.shape)


def _packed(images: Images) -> npt.NDArray[np.uint64]:
    """Returns the pixels of `GROUP` images, the same of each, side by side in one number."""
    missing = -len(images) % GROUP
    if missing:
        images = np.concatenate([images, np.zeros_like(images[:1]).repeat(missing, axis=0)])
    groups = images.reshape(len(images) // GROUP, GROUP, -1)
    return np.ascontiguousarray(groups.transpose(0, 2, 1)).view(np.uint64)


def _unpacked(packed: npt.NDArray[np.uint64], shape: tuple[int, ...]) -> Images:
    groups = packed.view(np.uint8).reshape(len(packed), -1, GROUP)
    images: Images = groups.transpose(0, 2, 1).reshape(-1, *shape[1:])[: shape[0]]
    return images


def _blended(
    pixels: npt.NDArray[np.uint64],
    corners: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]],
) -> npt.NDArray[np.uint64]:
    """Returns weighted means of packed pixels, four bytes an operation.

    Args:
        pixels: `(num_pixels, channels)`.
        corners: Which pixels, and what they weigh: 256 in all. So a byte and its weight stay
            within 16 bits, and no sum carries over into the next byte but one.
    """
    even: npt.NDArray[np.uint64] = np.array(_HALF)
    odd = even
    for places, weights in corners:
        near, weight = pixels.take(places, axis=0), weights[..., None]
        even = even + (near & _EVEN_BYTES) * weight
        odd = odd + (near >> np.uint64(8) & _EVEN_BYTES) * weight
    result: npt.NDArray[np.uint64] = even >> np.uint64(8) & _EVEN_BYTES | odd & ~_EVEN_BYTES
    return result


def _places(
    row: _Floats, offset: _Floats, sides: tuple[int, int], side: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Returns where each pixel is taken from along one axis: 256ths of a pixel, and pixels.

    Args:
        row: `(num_groups, 2)`, the row of the matrices that gives this axis.
        offset: `(num_groups,)`, in pixels.
        sides: Height and width.
        side: The one along this axis.
    """
    down, right = (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2) for n in sides)
    begin = row[:, 1, None] * down + (offset + np.float32((side - 1) / 2))[:, None]
    places = row[:, 0, None, None] * right + begin[:, :, None]
    np.clip(places, 0, side - 1, out=places)
    parts = (places * np.float32(256)).astype(np.int64)
    return (parts & 255).view(np.uint64), parts >> 8
