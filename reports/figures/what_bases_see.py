"""What each base makes of one image: first filters, their maps, and the maps at its end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import listed, short
from experiments.record.reading import clean
from reports.figures import _style as style
from reports.figures._gallery import canvas, show, show_filter
from reports.study.study import Study

SECTION, ORDER = "what-it-sees", 75
TITLE = "What each base sees"
_MOST = 8  # bases
_SIDE, _STEP = 0.6, 0.66  # of a picture, and from one to the next
_LEFT = 2.7
_ROW = 2.45
_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Seen:
    """What one base sees.

    Args:
        name: The base.
        filters: `(kernel_height, kernel_width, channels, n)`, of the first convolution.
        first: `(height, width, n)`, uint8, what it makes of the image; thinned.
        last: `(height, width, n)`, uint8, the output of the base.
        sizes: Height and width of both maps, before they were thinned: `(2, 2)`.
    """

    name: str
    filters: _Array
    first: _Array
    last: _Array
    sizes: _Array


@dataclass(frozen=True)
class Info:
    """One image, `(height, width, channels)`, uint8, and what each base sees of it."""

    image: _Array
    bases: tuple[Seen, ...]


def info(study: Study) -> Info | str:
    """Reads the recorded maps; empty where there are none, as in studies of one base."""
    stored = study.arrays("bases")
    if stored is None:
        return ""
    names = [clean(name, 60) for name in stored["names"].tolist()][:_MOST]
    if not names:
        return ""
    bases = tuple(
        Seen(name, *(stored[f"{part}_{place}"] for part in ("filters", "first", "last", "sizes")))
        for place, name in enumerate(names)
    )
    shapes = {(s.filters.ndim, s.first.ndim, s.last.ndim, s.sizes.shape) for s in bases}
    if stored["image"].ndim != 3 or shapes != {(4, 3, 3, (2, 2))}:
        return "What the bases see is recorded, and damaged."
    return Info(stored["image"], bases)


def finding(info: Info) -> str:
    """Says what sizes the maps have."""
    sizes = [
        f"{seen.name} {_size(seen.sizes[0])}, then {_size(seen.sizes[1])}" for seen in info.bases
    ]
    return (
        f"One {_size(info.image.shape)} image, with the weights that each base came with; maps of "
        f"the first convolution and at the end of the base: {listed(sizes, _MOST)}."
    )


def _size(shape: Any) -> str:
    return f"{shape[1]}x{shape[0]}"


def height(info: Info) -> float:
    """Inches."""
    width, tall = _extent(info)
    return float(style.WIDTH * tall / width)


def _extent(info: Info) -> tuple[float, float]:
    count = max(seen.filters.shape[-1] for seen in info.bases)
    rows = -(-len(info.bases) // 2)
    return 2 * (_LEFT + count * _STEP) - 1.2, 0.3 + _ROW * rows


def draw(info: Info, ax: Axes) -> Axes:
    """Draws two bases a row, each with a row of filters, of first maps and of last maps."""
    canvas(ax, *_extent(info))
    count = max(seen.filters.shape[-1] for seen in info.bases)
    show(ax, info.image, 0.05, 0.35, 1.0)
    for place, seen in enumerate(info.bases):
        left = 1.25 + (place % 2) * (1.3 + count * _STEP)
        _draw_base(ax, seen, left, 0.05 + (place // 2) * _ROW)
    return ax


def _draw_base(ax: Axes, seen: Seen, left: float, top: float) -> None:
    start = left + 0.85
    ax.text(start, top + 0.12, short(seen.name, 34), fontsize=8.5, va="center", fontweight="bold")
    texts = ("filters", f"first maps\n{_size(seen.sizes[0])}", f"last maps\n{_size(seen.sizes[1])}")
    for row, text in enumerate(texts):
        middle = top + 0.3 + row * _STEP + _SIDE / 2
        ax.text(start - 0.08, middle, text, fontsize=7, ha="right", va="center")
    for index in range(seen.filters.shape[-1]):
        place, down = start + index * _STEP, top + 0.3
        show_filter(ax, seen.filters[..., index].astype(np.float32), place, down, _SIDE)
        for row, maps in enumerate((seen.first, seen.last), 1):
            if index < maps.shape[-1]:
                show(ax, maps[..., index], place, down + row * _STEP, _SIDE, cmap="viridis")
