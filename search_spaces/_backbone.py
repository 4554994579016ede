"""A backbone as the base of a transfer: frozen, shared between trials, cut inside or behind."""

import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import keras

from search_spaces._bases import Base, copy_weights, load_base, sized, version_of
from search_spaces._cuts import joined, layers_before, parted, tensors_before
from search_spaces._recipe import make_optimizer
from search_spaces.frozen import CORNERS, FLIPPED, ORIGINAL, Cut, FrozenPart

if TYPE_CHECKING:
    from search_spaces.base import ImageSpace

_WEIGHTS_SEED = 20180113  # of weights "none": the same base in every trial


@dataclass(frozen=True)
class BaseKey:
    """What determines a base.

    Args:
        base: Its row of the table.
        shape: `(height, width, 3)` of the images.
        alpha: Its width; 1 where there is one width.
        weights: `"imagenet"`, a file's path, or `None` for weights drawn from a fixed seed, or
            those of the base's own file.

    Attributes:
        version: Of the base's own file, or of the weights file; `None` where there is none.
    """

    base: Base
    shape: tuple[int, int, int]
    alpha: float = 1.0
    weights: str | None = None
    version: tuple[int, int] | None = field(init=False)

    def __post_init__(self) -> None:
        file = self.base.path or (self.weights if self.weights != "imagenet" else None)
        object.__setattr__(self, "version", None if file is None else version_of(file))

    def __str__(self) -> str:
        return f"{self.base.name} {self.alpha:g}" if self.base.alphas else self.base.name

    @property
    def edition(self) -> int:
        """See `FrozenPart`: the `Normalization` of a file's base was lost at first."""
        layers = shared_base(self)._flatten_layers() if self.base.path else ()
        return int(any(isinstance(layer, keras.layers.Normalization) for layer in layers))

    def build(self) -> keras.Model:
        """Builds the base; twice the same key is twice the same weights."""
        with _seeded():
            return _loaded(self) if self.base.path else _built(self)


@contextmanager
def _seeded() -> Iterator[None]:
    state = random.getstate()  # Keras draws the seeds of its initializers from it
    random.seed(_WEIGHTS_SEED)
    try:
        yield
    finally:
        random.setstate(state)


def _built(key: BaseKey) -> keras.Model:
    width = {"alpha": key.alpha} if key.base.alphas else {}
    with warnings.catch_warnings():
        # ImageNet weights of 224 pixels serve every size that has none of its own.
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
        model: keras.Model = getattr(keras.applications, key.base.name)(
            input_shape=key.shape, include_top=False, weights=key.weights, **width
        )
    model.name = key.base.layer_name  # not given before: some look up what they are by it
    return model


def _loaded(key: BaseKey) -> keras.Model:
    """Loads the base's file, and makes it one for images of the key's shape."""
    path = str(key.base.path)
    model = sized(path, load_base(path), key.shape)
    model.name = key.base.layer_name
    return model


@lru_cache(maxsize=16)
def shared_base(key: BaseKey) -> keras.Model:
    """The base that all frozen trials of this process share; nothing ever trains it."""
    base = key.build()
    base.trainable = False
    return base


def own_base(key: BaseKey) -> keras.Model:
    """A base for one trial to train: the same layers and weights, copied instead of read again."""
    shared = shared_base(key)
    with _seeded():
        base = keras.models.clone_model(shared)
    copy_weights(base, shared)
    base.trainable = False
    return base


@lru_cache(maxsize=16)
def pooled_part(key: BaseKey) -> FrozenPart:
    """The whole base and both poolings, `average` and `max`, each `(batch, channels)`."""
    inputs = keras.Input(key.shape, name="image")
    x = shared_base(key)(key.base.preprocess(inputs), training=False)
    pooled = {
        kind: pooling_layer(kind, len(x.shape), f"{kind}_pooling")(x) for kind in ("average", "max")
    }
    model = keras.Model(inputs, pooled)
    return FrozenPart(f"{key}, pooled", model, str(key), key.edition)


@lru_cache(maxsize=64)
def part_before(key: BaseKey, cut: str) -> FrozenPart:
    """The base up to the cut `cut`; its output `map` is `(batch, height, width, channels)`."""
    inputs = keras.Input(key.shape, name="image")
    base = shared_base(key)
    front = keras.Model(base.input, joined(tensors_before(base, cut, key.base.streams)))
    features = front(key.base.preprocess(inputs), training=False)
    model = keras.Model(inputs, {"map": features})
    return FrozenPart(f"{key} before {cut}", model, str(key), key.edition)


def pooling_layer(kind: str, rank: int = 4, name: str = "head_pooling") -> keras.layers.Layer:
    """Makes a feature map `(batch, height, width, channels)` a vector `(batch, channels)`.

    Args:
        kind: `average` or `max`.
        rank: 4; 3 for tokens, `(batch, tokens, channels)`.
        name: The layer's name.
    """
    layers = keras.layers
    if kind == "average":
        average = layers.GlobalAveragePooling2D if rank == 4 else layers.GlobalAveragePooling1D
        return average(name=name)
    if kind == "max":
        most = layers.GlobalMaxPooling2D if rank == 4 else layers.GlobalMaxPooling1D
        return most(name=name)
    raise ValueError(f"head_pooling {kind!r}: there are average, max")


def views_of(flip: bool, corners: bool) -> tuple[str, ...]:
    """Returns the views that training images are shown in."""
    flipped = (FLIPPED,) if flip else ()
    return (ORIGINAL, *flipped, *(CORNERS if corners else ()))


class TransferNetwork:
    """A base under a head, for given hyperparameters: a `Split`.

    Args:
        space: Compiles models and makes the head's layers.
        key: What determines the base.
        values: Drawn hyperparameters.
        crop: Share of each side that random crops may cut off, see `_random_crop`; 0 for none.
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
        self.views = views_of(values["flip"], values["crops"] == "corners")
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
        x = self.base(self._key.base.preprocess(x), training=False)
        outputs = self._under_head(self._pooled(x))
        model = keras.Model(inputs, outputs, name=self._space.name)
        compile_for(self._space, model, self._values, "learning_rate")
        return model

    def _pooled(self, x: Any) -> Any:
        return pooling_layer(self._values["head_pooling"], len(x.shape))(x)

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
        tensors = tensors_before(self.base, self._values["unfreeze_from"], self._key.base.streams)
        unfreeze(self.base, tensors)
        channels = sum(tensor.shape[-1] for tensor in tensors)
        features = keras.Input((*tensors[0].shape[1:-1], channels), name="features")
        at_cut = tensors[0] if len(tensors) == 1 else tensors
        tail = keras.Model(at_cut, self.base.output, name="tail")
        x = tail(parted(features, tensors), training=False)
        return self._compiled(
            features, self._under_head(self._pooled(x)), "fine_tune_learning_rate"
        )

    def _compiled(self, inputs: Any, outputs: Any, rate: str) -> keras.Model:
        model = keras.Model(inputs, outputs, name=f"{self._space.name}_trained")
        compile_for(self._space, model, self._values, rate)
        return model


def compile_for(
    space: "ImageSpace", model: keras.Model, values: Mapping[str, Any], rate: str
) -> None:
    """Compiles `model` to be trained at the learning rate that `values` has under `rate`."""
    optimizer = make_optimizer("adam", values[rate], values["weight_decay"])
    space.compile(model, optimizer, values["label_smoothing"])


def _random_crop(x: Any, share: float) -> Any:
    """Zooms in by up to `share` of each side, then shifts by up to half of it.

    Both are drawn independently, for each side too. What lies beyond an edge is reflected.
    """
    x = keras.layers.RandomZoom((-share, 0.0), (-share, 0.0), name="crop_size")(x)
    return keras.layers.RandomTranslation(share / 2, share / 2, name="crop_place")(x)


def unfreeze_from(base: keras.Model, row: Base, cut: str) -> None:
    """Makes the layers of `base`, of the row `row`, from `cut` on trainable."""
    unfreeze(base, tensors_before(base, cut, row.streams))


def unfreeze(base: keras.Model, tensors: list[Any]) -> None:
    """Makes the layers of `base` after `tensors` trainable; the ones before stay frozen.

    Batch normalisation stays frozen everywhere: its parameters belong to the statistics that
    inference mode uses.
    """
    frozen = layers_before(base, tensors)
    base.trainable = True
    for layer in base.layers:
        layer.trainable = id(layer) not in frozen
    for layer in base._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
