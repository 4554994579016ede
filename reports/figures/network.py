"""Outputs of the first convolution and pooling for one image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.reading import as_dict, dicts
from reports.figures import _style as style
from reports.figures._gallery import canvas, show, show_filter
from reports.study.study import Study

SECTION, ORDER = "what-it-sees", 70
TITLE = "Filters and feature maps"
_POOLING = {"max": "max pooling", "average": "average pooling", "strides": ""}


@dataclass(frozen=True)
class Info:
    """One image, the filters of the first convolution, and their maps.

    Args:
        image: `(height, width, channels)`, uint8.
        filters: `(kernel_height, kernel_width, channels, n)`.
        convolution: `(height, width, n)`, after the activation.
        pooling: `(height, width, n)`.
        pooling_kind: `max`, `average` or `strides` (the network has no pooling there).
    """

    image: npt.NDArray[Any]
    filters: npt.NDArray[Any]
    convolution: npt.NDArray[Any]
    pooling: npt.NDArray[Any]
    pooling_kind: str


def info(study: Study) -> Info | str:
    """Reads the recorded maps."""
    stored = study.arrays("features")
    if stored is None:
        return "No feature maps are recorded: no finalist was trained, or it has no convolution."
    parts: dict[str, Any] = {
        name: stored.get(name) for name in ("image", "filters", "convolution", "pooling")
    }
    kind = str(stored.get("pooling_kind"))
    shapes = [None if part is None else part.ndim for part in parts.values()]
    if shapes != [3, 4, 3, 3] or kind not in _POOLING:
        return "The recorded feature maps are damaged."
    return Info(**parts, pooling_kind=kind if _pools(study) else "strides")


def _pools(study: Study) -> bool:
    """Whether the exported network has a pooling layer of patches, by its recorded layers.

    Else the recorded maps were made for the picture. Without recorded layers, it is taken to have
    one.
    """
    kinds = [str(layer.get("kind", "")) for layer in dicts(as_dict(study.model).get("layers"))]
    return not kinds or any("Pooling2D" in k and not k.startswith("Global") for k in kinds)


def _pooled_by(info: Info) -> str:
    """`2x2 max pooling`, by the sizes before and after; empty where the network has none."""
    name = _POOLING[info.pooling_kind]
    before, after = info.convolution.shape[:2], info.pooling.shape[:2]
    tall, wide = (round(b / max(a, 1)) for b, a in zip(before, after, strict=True))
    return f"{wide}x{tall} {name}" if name else ""


def finding(info: Info) -> str:
    """Says how the sizes change, and how many maps stay dark."""
    dark = int((np.ptp(info.convolution, axis=(0, 1)) == 0).sum())
    silent = f"; {dark} of them {'does' if dark == 1 else 'do'} not respond to it" if dark else ""
    a, b = info.convolution.shape, info.pooling.shape
    pooled = _pooled_by(info)
    further = f"and {pooled} into {b[1]}x{b[0]}" if pooled else "and no pooling follows them"
    return (
        f"{info.filters.shape[-1]} filters of the first convolution turn a "
        f"{info.image.shape[1]}x{info.image.shape[0]} image into maps of {a[1]}x{a[0]}, "
        f"{further}{silent}."
    )


def height(info: Info) -> float:
    """Inches."""
    return float(style.WIDTH * _rows_height(info) / (info.filters.shape[-1] + 1.2))


def _rows_height(info: Info) -> float:
    return 3.35 if _pooled_by(info) else 2.3


def draw(info: Info, ax: Axes) -> Axes:
    """Draws the image, and a column a filter: filter, convolution, and pooling if there is any."""
    count, pooled = info.filters.shape[-1], _pooled_by(info)
    canvas(ax, count + 1.2, _rows_height(info))
    show(ax, info.image, 0.05, 0.3, 0.9)
    side, size = info.convolution.shape, info.pooling.shape
    texts = [
        (0.15, f"{info.image.shape[1]}x{info.image.shape[0]} px"),
        (1.75, f"convolution\n{side[1]}x{side[0]}"),
    ]
    rows = [(1.3, info.convolution)]
    if pooled:
        texts.append((2.78, f"{pooled.replace(' ', chr(10), 1)}\n{size[1]}x{size[0]}"))
        rows.append((2.3, info.pooling))
    for top, text in texts:
        ax.text(0.5, top, text, ha="center", va="center", fontsize=7)
    for index in range(count):
        left = index + 1.22
        ax.text(left + 0.45, 0.15, f"filter {index + 1}", ha="center", va="center", fontsize=7)
        show_filter(ax, info.filters[..., index], left, 0.3, 0.92)
        for top, maps in rows:
            show(ax, maps[..., index], left, top, 0.92, cmap="viridis")
    return ax
