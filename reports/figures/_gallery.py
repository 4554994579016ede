"""Pictures in rows, each with a caption."""

import math
from typing import Any

import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import _style as style


def gallery(images: npt.NDArray[Any], captions: tuple[str, ...], wrong: tuple[bool, ...]) -> Figure:
    """Draws images `(n, height, width, channels)`, uint8; captions of wrong ones stand out."""
    columns = 6
    rows = math.ceil(len(images) / columns)
    figure, axes = style.subplots(rows, columns, 1.95 * rows)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, caption, bad in zip(axes.flat, images, captions, wrong, strict=False):
        show(ax, image)
        color = style.FAILED if bad else "0.15"
        ax.set_title(caption, fontsize=8, fontweight="normal", color=color)
    return figure


def show(ax: Axes, image: npt.NDArray[Any]) -> Axes:
    """Shows one image `(height, width, channels)`, grey or RGB."""
    if image.shape[-1] == 1:
        ax.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    else:
        ax.imshow(image)
    ax.axis("off")
    return ax
