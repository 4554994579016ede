"""The part of a network that training leaves alone, declared so that it is computed once.

A hypermodel that has such a part gives a `Split` of itself for given hyperparameters. Its frozen
part turns images into features; they are the same in every epoch of every trial, so whoever runs
the search may keep them. What is trained takes features instead of images. `Split.join` is the
whole network again, from image to class, and shares the weights of both parts.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt

from search_spaces._drawn import settle_drawn

Images = npt.NDArray[Any]

ORIGINAL, FLIPPED = "original", "flipped"
CORNERS = ("top left", "top right", "bottom left", "bottom right")
_CORNER_SHARE = 7 / 8  # of each side


def corner(images: Images, name: str) -> Images:
    """Returns a corner of images, seven eighths of each side, brought back to their size.

    Args:
        images: `(batch, height, width, channels)`.
        name: One of `CORNERS`.
    """
    height, width = images.shape[1:3]
    tall = _sampled(images, _positions(height, "bottom" in name), 1)
    sampled = _sampled(tall, _positions(width, "right" in name), 2)
    return np.rint(sampled).astype(images.dtype)


def _positions(side: int, at_end: bool) -> npt.NDArray[np.float64]:
    """Returns where in a side of `side` pixels the pixels of its window's image are taken."""
    window = max(round(side * _CORNER_SHARE), 1)
    start = side - window if at_end else 0
    centres = start + (np.arange(side) + 0.5) * window / side - 0.5
    return np.clip(centres, start, start + window - 1)


def _sampled(images: Images, positions: npt.NDArray[np.float64], axis: int) -> Images:
    """Interpolates linearly along an axis."""
    before = np.floor(positions).astype(np.int64)
    after = np.minimum(before + 1, images.shape[axis] - 1)
    share = (positions - before).astype(np.float32)
    share = share[:, None, None] if axis == 1 else share[:, None]
    sampled: Images = np.take(images, before, axis) * (1 - share)
    sampled += np.take(images, after, axis) * share
    return sampled


# view -> what it makes of images, (batch, height, width, channels)
VIEWS: Mapping[str, Callable[[Images], Images]] = {
    ORIGINAL: lambda images: images,
    FLIPPED: lambda images: images[:, :, ::-1],
    **{name: partial(corner, name=name) for name in CORNERS},
}


@dataclass(frozen=True, eq=False)
class FrozenPart:
    """What turns images into features and is not trained.

    Args:
        name: Says what it is; shown to users.
        model: From raw images, `(batch, height, width, channels)`, 0..255, to a dict of features
            by name, each `(batch, ...)`.
        backbone: Parts that cut the same backbone at different places say the same here.
        edition: Raised where features that were kept before are wrong.
    """

    name: str
    model: keras.Model
    backbone: str = ""
    edition: int = 0


@dataclass(frozen=True)
class Cut:
    """Where one phase of training begins: at a frozen part's output.

    Args:
        part: The frozen part.
        output: Which of its outputs the trainable part is trained on.
        trainable: Makes the compiled model from that output to probabilities. Called when the
            phase begins, so that it continues from what the phase before has learnt.
    """

    part: FrozenPart
    output: str
    trainable: Callable[[], keras.Model]


class Split(Protocol):
    """A network of given hyperparameters, cut into a frozen and a trained part.

    Attributes:
        views: Names of `VIEWS`; each epoch every training image is shown in one of them, drawn
            at random. `("original",)` is no augmentation.
        uncached: Why features can't be kept (an augmentation with endless views, say), or
            `None` if they can.
    """

    views: tuple[str, ...]
    uncached: str | None

    def cuts(self, epochs: int) -> list[Cut]:
        """Returns the cuts of the phases of a trial of `epochs` epochs.

        Where there are fewer cuts than phases, the last one serves all further phases. None of the
        phases may prepare the model then: else the suite trains on images.
        """

    def join(self, augment: bool = True) -> keras.Model:
        """Returns the whole network, from raw images to probabilities, compiled.

        Args:
            augment: Whether layers that make the views are in it; they do nothing in inference.
        """


class LayerSplit:
    """Cuts an ordinary functional model behind one of its layers: all before it is frozen.

    The simplest way to declare a frozen part:

        def split(self, hp):
            return LayerSplit(self.build(hp), "embedding", "random convolution")

    The layers up to the cut have the same weights in every trial: given ones stay, and what an
    initializer without a seed has drawn is drawn again, as a function of the layers alone.

    Args:
        model: Compiled, with one input and one output.
        layer: Name of the last frozen layer; every path from input to output goes through it. Where
            a layer before it draws in training (augmentation, dropout), nothing can be kept.
        name: Says what the frozen part is; shown to users.
    """

    views: tuple[str, ...] = (ORIGINAL,)
    uncached: str | None = None

    def __init__(self, model: keras.Model, layer: str, name: str) -> None:
        features = model.get_layer(layer).output
        self._model = model
        self._part = FrozenPart(name, keras.Model(model.input, {"features": features}))
        self._features = features
        for inner in self._part.model.layers:
            inner.trainable = False
        settle_drawn(self._part.model)
        drawing = next(_drawing(self._part.model), None)
        if drawing is not None:
            self.uncached = f"layer {drawing.name!r} of the frozen part draws anew in each epoch"

    def cuts(self, epochs: int) -> list[Cut]:
        """Returns the one cut, of all phases."""
        return [Cut(self._part, "features", self._trainable)]

    def _trainable(self) -> keras.Model:
        whole = self._model
        model = keras.Model(self._features, whole.output)
        # As they were given: Keras can't make every loss and metric again from its description.
        model.compile(**(whole._compile_config.config | {"optimizer": whole.optimizer}))
        return model

    def join(self, augment: bool = True) -> keras.Model:
        """Returns the model that was cut."""
        return self._model


def _drawing(model: Any) -> Iterator[Any]:
    """Yields the layers that draw when a model is trained."""
    for layer in model.layers:
        if not isinstance(layer, keras.Model):
            if any(each._seed_generators for each in layer._flatten_layers()):
                yield layer
        elif not _stays_in_inference(layer):
            yield from _drawing(layer)


def _stays_in_inference(base: Any) -> bool:
    """Whether a model within another was called with `training=False`, as bases are."""
    calls = [node.arguments.kwargs.get("training") for node in base._inbound_nodes]
    return bool(calls) and all(training is False for training in calls)


def freeze_before(model: keras.Model, layer: str) -> None:
    """Makes every layer of `model` up to and including `layer` untrainable."""
    names = [inner.name for inner in model.layers]
    for inner in model.layers[: names.index(layer) + 1]:
        inner.trainable = False
