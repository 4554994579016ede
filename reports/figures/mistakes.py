"""The test images that the model was most surely wrong about."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from matplotlib.figure import Figure

from reports.figures._gallery import gallery
from reports.load import Study

ORDER, RASTER = 70, True
TITLE = "Worst mistakes"
QUESTION = "What do the images look like that the exported model is surest and wrong about?"


@dataclass(frozen=True)
class Info:
    """Images `(n, height, width, channels)`, uint8, with a caption each."""

    images: npt.NDArray[Any]
    captions: tuple[str, ...]
    wrong: tuple[bool, ...]


def info(study: Study) -> Info | str:
    """Collects the worst mistakes."""
    return collect(study, "mistake", "The exported model makes no mistake on the test split.")


def collect(study: Study, kind: str, otherwise: str) -> Info | str:
    """Collects pictures of one kind with what the model says of them."""
    pictures, stored = study.arrays("pictures"), study.arrays("predictions")
    if pictures is None or stored is None:
        return "No test predictions are recorded: no finalist was trained."
    if not len(pictures[f"{kind}_images"]):
        return otherwise
    names = study.class_names or [str(i) for i in range(stored["probabilities"].shape[1])]
    captions, wrong = [], []
    for position, label, size in zip(
        pictures[f"{kind}_positions"],
        pictures[f"{kind}_labels"],
        pictures[f"{kind}_sizes"],
        strict=True,
    ):
        chances = stored["probabilities"][position]
        guess = int(chances.argmax())
        wrong.append(guess != int(label))
        said = f"{names[guess]} ({chances[guess]:.1%})"
        truth = f"is {names[int(label)]}, said" if wrong[-1] else "rightly"
        captions.append(f"{truth}\n{said}\n{size[1]}x{size[0]} px")
    return Info(pictures[f"{kind}_images"], tuple(captions), tuple(wrong))


def draw(info: Info) -> Figure:
    """Draws the pictures with true and predicted class."""
    return gallery(info.images, info.captions, info.wrong)
