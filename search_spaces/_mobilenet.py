"""MobileNetV2 as the base of a transfer: frozen, shared between trials, cut inside or behind."""

import random
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import keras

from search_spaces.frozen import FLIPPED, ORIGINAL, Cut, FrozenPart

if TYPE_CHECKING:
    from search_spaces.base import ImageSpace

# Where training may begin inside MobileNetV2: this layer and all after it are unfrozen.
CUT_POINTS = ("block_16_expand", "block_13_expand", "block_10_expand", "block_6_expand")
BASE_NAME = "mobilenet_v2"
_WEIGHTS_SEED = 20180113  # of weights "none": the same base in every trial


@dataclass(frozen=True)
class BaseKey:
    """What determines a base.

    Args:
        shape: `(height, width, 3)` of the images.
        alpha: Its width.
        weights: `"imagenet"`, a file's path, or `None` for weights drawn from a fixed seed.
    """

    shape: tuple[int, int, int]
    alpha: float
    weights: str | None

    def build(self) -> keras.Model:
        """Builds the base; twice the same key is twice the same weights."""
        state = random.getstate()  # Keras draws the seeds of its initializers from it
        random.seed(_WEIGHTS_SEED)
        try:
            return _build(self, self.weights)
        finally:
            random.setstate(state)


def _build(key: BaseKey, weights: str | None) -> keras.Model:
    with warnings.catch_warnings():
        # ImageNet weights of 224 pixels serve every size that has none of its own.
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
        return keras.applications.MobileNetV2(
            input_shape=key.shape,
            alpha=key.alpha,
            include_top=False,
            weights=weights,
            name=BASE_NAME,
        )


@lru_cache(maxsize=8)
def shared_base(key: BaseKey) -> keras.Model:
    """The base that all frozen trials of this process share; nothing ever trains it."""
    base = key.build()
    base.trainable = False
    return base


def own_base(key: BaseKey) -> keras.Model:
    """A base for one trial to train: the same weights, copied instead of read again."""
    base = _build(key, None)
    base.set_weights(shared_base(key).get_weights())
    base.trainable = False
    return base


@lru_cache(maxsize=8)
def pooled_part(key: BaseKey) -> FrozenPart:
    """The whole base and both poolings, `average` and `max`, each `(batch, channels)`."""
    inputs, x = _preprocessed(key)
    x = shared_base(key)(x, training=False)
    pooled = {kind: pooling_layer(kind, f"{kind}_pooling")(x) for kind in ("average", "max")}
    return FrozenPart(f"MobileNetV2 {key.alpha:g}, pooled", keras.Model(inputs, pooled))


@lru_cache(maxsize=32)
def part_before(key: BaseKey, cut: str) -> FrozenPart:
    """The base up to the layer `cut`; its output `map` is `(batch, height, width, channels)`."""
    inputs, x = _preprocessed(key)
    base = shared_base(key)
    front = keras.Model(base.input, base.get_layer(cut).input)
    return FrozenPart(
        f"MobileNetV2 {key.alpha:g} before {cut}",
        keras.Model(inputs, {"map": front(x, training=False)}),
    )


def _preprocessed(key: BaseKey) -> tuple[Any, Any]:
    inputs = keras.Input(key.shape, name="image")
    return inputs, rescaling()(inputs)


def rescaling() -> keras.layers.Layer:
    """Brings 0..255 to the -1..1 that MobileNetV2 was trained with."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")


def pooling_layer(kind: str, name: str = "head_pooling") -> keras.layers.Layer:
    """Makes a feature map `(batch, height, width, channels)` a vector `(batch, channels)`."""
    if kind == "average":
        return keras.layers.GlobalAveragePooling2D(name=name)
    if kind == "max":
        return keras.layers.GlobalMaxPooling2D(name=name)
    raise ValueError(f"head_pooling {kind!r}: there are average, max")


class TransferNetwork:
    """A base under a head, for given hyperparameters: a `Split`.

    Args:
        space: Compiles models and makes the head's layers.
        key: What determines the base.
        values: Drawn hyperparameters.
        crop: Share of each side that random crops may cut off; 0 for none.
    """

    def __init__(
        self, space: "ImageSpace", key: BaseKey, values: Mapping[str, Any], crop: float
    ) -> None:
        self._space = space
        self._key = key
        self._values = values
        self._crop = crop
        # Before the base, so that the head's first weights do not depend on whether it is built.
        self._head = space.head_layers(values)
        self.views: tuple[str, ...] = (ORIGINAL, FLIPPED) if values["flip"] else (ORIGINAL,)
        self.uncached = "random crops: every view is new" if crop else None

    @cached_property
    def base(self) -> keras.Model:
        """The base of this network, frozen at first; a copy of its own where it is trained."""
        return own_base(self._key) if self._values["unfreeze"] else shared_base(self._key)

    def join(self, augment: bool = True) -> keras.Model:
        """Returns the whole network, compiled to train its head."""
        inputs = keras.Input(self._key.shape, name="image")
        x = inputs
        if augment and self._values["flip"]:
            x = keras.layers.RandomFlip("horizontal", name="flip")(x)
        if self._crop:
            x = _random_crop(x, self._crop)
        x = self.base(rescaling()(x), training=False)
        outputs = self._under_head(pooling_layer(self._values["head_pooling"])(x))
        model = keras.Model(inputs, outputs, name=self._space.name)
        self._space.compile(model, keras.optimizers.Adam(self._values["learning_rate"]))
        return model

    def _under_head(self, x: Any) -> Any:
        for layer in self._head:
            x = layer(x)
        return x

    def cuts(self, epochs: int) -> list[Cut]:
        """Returns the head's cut behind the pooling and, where layers are unfrozen, theirs."""
        cuts = [Cut(pooled_part(self._key), self._values["head_pooling"], self._trained_head)]
        if self._values["unfreeze"] and epochs > 1:
            part = part_before(self._key, self._values["unfreeze_from"])
            cuts.append(Cut(part, "map", self._trained_tail))
        return cuts

    def _trained_head(self) -> keras.Model:
        pooled = keras.Input(self.pooled_shape, name="features")
        return self._compiled(pooled, self._under_head(pooled), "learning_rate")

    @property
    def pooled_shape(self) -> tuple[int]:
        """Shape of an image's pooled features."""
        return (int(shared_base(self._key).output.shape[-1]),)

    def _trained_tail(self) -> keras.Model:
        cut = self._values["unfreeze_from"]
        unfreeze_from(self.base, cut)
        at_cut = self.base.get_layer(cut).input
        features = keras.Input(at_cut.shape[1:], name="features")
        x = keras.Model(at_cut, self.base.output, name="tail")(features, training=False)
        x = pooling_layer(self._values["head_pooling"])(x)
        return self._compiled(features, self._under_head(x), "fine_tune_learning_rate")

    def _compiled(self, inputs: Any, outputs: Any, rate: str) -> keras.Model:
        model = keras.Model(inputs, outputs, name=f"{self._space.name}_trained")
        self._space.compile(model, keras.optimizers.Adam(self._values[rate]))
        return model


def _random_crop(x: Any, share: float) -> Any:
    """A random window of at least `1 - share` of each side, brought back to full size."""
    x = keras.layers.RandomZoom((-share, 0.0), (-share, 0.0), name="crop_size")(x)
    return keras.layers.RandomTranslation(share / 2, share / 2, name="crop_place")(x)


def unfreeze_from(base: keras.Model, cut: str) -> None:
    """Makes the layers of `base` from `cut` on trainable; the ones before stay frozen.

    Batch normalisation stays frozen everywhere: its parameters belong to the statistics that
    inference mode uses.
    """
    base.get_layer(cut)  # which raises where there is none
    base.trainable = True
    reached = False
    for layer in base.layers:
        reached = reached or layer.name == cut
        layer.trainable = reached and not isinstance(layer, keras.layers.BatchNormalization)
