"""Pictures in rows, each with a caption."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import percent, short
from experiments.record.predictions import Targets
from reports.analysis.label_scores import THRESHOLD, label_arrays
from reports.analysis.numbers import numbers
from reports.analysis.predictions import class_names, picture_arrays, predictions
from reports.analysis.task import output_names, task_of
from reports.figures import _style as style
from reports.study.study import Study

_COLUMNS = 6
_MOST_PIXELS = 160  # a side; larger pictures are thinned, the page shows them no larger


@dataclass(frozen=True)
class Gallery:
    """Images `(n, height, width, channels)`, uint8, with a caption each.

    Args:
        images: The images.
        captions: One an image.
        wrong: Whether the prediction is wrong, one an image; of numbers none is.
        task: What is predicted.
    """

    images: npt.NDArray[Any]
    captions: tuple[str, ...]
    wrong: tuple[bool, ...]
    task: Targets = Targets.CLASSES


def collect(study: Study, kind: str, otherwise: str) -> Gallery | str:
    """Collects pictures of one kind with the model's predictions."""
    parts, task = picture_arrays(study, kind), task_of(study)
    found = predictions(study) if task in (Targets.CLASSES, None) else ""
    if isinstance(found, str) and found:
        return found
    if parts is None:
        return "No pictures are recorded."
    if not len(parts["images"]):
        return otherwise
    if isinstance(found, str):
        return _of_labels(study, parts) if task is Targets.LABELS else _of_numbers(study, parts)
    labels, chances = found
    names = class_names(study, chances.shape[1])
    captions, wrong = [], []
    for position, size in zip(parts["positions"], parts["sizes"], strict=True):
        row, label = chances[int(position)], int(labels[int(position)])
        guess = int(row.argmax())
        wrong.append(guess != label)
        predicted = f"{short(names[guess], 14)} ({percent(row[guess], 1)})"
        truth = f"is {short(names[label], 12)}, said" if wrong[-1] else "rightly"
        captions.append(f"{truth}\n{predicted}\n{size[1]}x{size[0]} px")
    return Gallery(parts["images"], tuple(captions), tuple(wrong))


def _of_numbers(study: Study, parts: dict[str, Any]) -> Gallery | str:
    found = numbers(study)
    if isinstance(found, str):
        return found
    captions = []
    for position, size in zip(parts["positions"], parts["sizes"], strict=True):
        true, said = found.targets[int(position)], found.outputs[int(position)]
        captions.append(f"is {_few(true)}\nsaid {_few(said)}\n{size[1]}x{size[0]} px")
    return Gallery(parts["images"], tuple(captions), (False,) * len(captions), Targets.VALUES)


def _few(values: npt.NDArray[np.float64]) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values[:2])
    return shown + ", …" * (len(values) > 2)


def _of_labels(study: Study, parts: dict[str, Any]) -> Gallery | str:
    found = label_arrays(study)
    if isinstance(found, str):
        return found
    targets, chances = found
    names, captions, wrong = output_names(study, targets.shape[1]), [], []
    for position, size in zip(parts["positions"], parts["sizes"], strict=True):
        true, said = targets[int(position)], chances[int(position)] >= THRESHOLD
        wrong.append(bool((true != said).any()))
        rows = ((names[i] for i in np.flatnonzero(row)) for row in (true, said))
        has, says = (short(", ".join(row) or "none", 18) for row in rows)
        captions.append(f"has {has}\nsaid {says}\n{size[1]}x{size[0]} px")
    return Gallery(parts["images"], tuple(captions), tuple(wrong), Targets.LABELS)


def gallery_height(info: Gallery) -> float:
    """Inches."""
    return 1.95 * math.ceil(len(info.images) / _COLUMNS)


def draw_gallery(info: Gallery, ax: Axes) -> Axes:
    """Draws the pictures; captions of wrong ones stand out."""
    rows = math.ceil(len(info.images) / _COLUMNS)
    canvas(ax, _COLUMNS, rows * 1.42)
    for index, (image, caption, bad) in enumerate(
        zip(info.images, info.captions, info.wrong, strict=True)
    ):
        left, top = index % _COLUMNS, (index // _COLUMNS) * 1.42
        color = style.RED if bad else style.INK
        ax.text(
            left + 0.47, top + 0.36, caption, fontsize=7.5, color=color, ha="center", va="bottom"
        )
        show(ax, image, left + 0.04, top + 0.42, 0.86)
    return ax


def canvas(ax: Axes, width: float, height: float) -> None:
    """Makes one axes a canvas from the top left; many small axes would take far longer to draw."""
    ax.set_axis_off()
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)
    ax.set_aspect("equal", adjustable="box", anchor="NW")


def show(
    ax: Axes, image: npt.NDArray[Any], left: float, top: float, side: float, **how: Any
) -> None:
    """Shows an image on a canvas, `(height, width, channels)` grey or RGB, or a map with `cmap`."""
    step = max(1, math.ceil(max(image.shape[:2]) / _MOST_PIXELS))
    image = image[::step, ::step]
    if image.ndim == 3 and image.shape[-1] == 1:  # as RGB: the SVG holds the pixels as they are
        image = np.repeat(image, 3, axis=-1)
    tall, wide = image.shape[0] / max(image.shape[:2]), image.shape[1] / max(image.shape[:2])
    ax.imshow(
        image, extent=(left, left + side * wide, top + side * tall, top), interpolation="none",
        aspect="equal", **how,
    )  # fmt: skip


def show_filter(ax: Axes, kernel: npt.NDArray[Any], left: float, top: float, side: float) -> None:
    """Shows the kernel of a filter, `(height, width, channels)`, in colours or red to blue."""
    if kernel.shape[-1] == 3:
        low, high = kernel.min(), kernel.max()
        show(ax, (kernel - low) / max(high - low, 1e-9), left, top, side)
        return
    grey = kernel.mean(axis=-1)
    limit = max(float(np.abs(grey).max()), 1e-9)
    show(ax, grey, left, top, side, cmap="RdBu", vmin=-limit, vmax=limit)
