"""What the first convolution and pooling make of an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.figures._gallery import show
from reports.load import Study

ORDER, RASTER = 90, True
TITLE = "What the network sees"
QUESTION = "What do convolution and then pooling make of an image?"
_POOLING = {
    "max": "max pooling",
    "average": "average pooling",
    "strides": "2x2 max pooling\n(for this picture)",
}


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
    return Info(**(stored | {"pooling_kind": str(stored["pooling_kind"])}))


def draw(info: Info) -> Figure:
    """Draws the image, and a column a filter: filter, convolution, pooling."""
    count = info.filters.shape[-1]
    figure, axes = style.subplots(3, count + 1, 3.6)
    for ax in axes.flat:
        ax.axis("off")
    show(axes[0][0], info.image)
    axes[0][0].set_title(f"{info.image.shape[1]}x{info.image.shape[0]} px", fontsize=8)
    side, pooled = info.convolution.shape, info.pooling.shape
    labels = (
        "",
        f"convolution\n{side[1]}x{side[0]}",
        f"{_POOLING[info.pooling_kind]}\n{pooled[1]}x{pooled[0]}",
    )
    for row, label in enumerate(labels):
        axes[row][0].text(
            0.5,
            0.5,
            label,
            ha="center",
            va="center",
            fontsize=7.5,
            transform=axes[row][0].transAxes,
        )
    for index in range(count):
        _show_filter(axes[0][index + 1], info.filters[..., index])
        axes[0][index + 1].set_title(f"filter {index + 1}", fontsize=8, fontweight="normal")
        axes[1][index + 1].imshow(info.convolution[..., index], cmap="viridis")
        axes[2][index + 1].imshow(info.pooling[..., index], cmap="viridis")
    return figure


def _show_filter(ax: Any, kernel: npt.NDArray[Any]) -> None:
    if kernel.shape[-1] == 3:
        low, high = kernel.min(), kernel.max()
        ax.imshow((kernel - low) / max(high - low, 1e-9))
        return
    grey = kernel.mean(axis=-1)
    limit = max(float(np.abs(grey).max()), 1e-9)
    ax.imshow(grey, cmap="RdBu", vmin=-limit, vmax=limit)
