"""Transfer learning: a pretrained backbone under a new head, frozen or partially unfrozen."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import keras
import keras_tuner
from keras_tuner.engine.hyperparameters import Choice
from keras_tuner.src.engine.conditions import Parent

from search_spaces._backbone import (
    BaseKey,
    TransferNetwork,
    compile_for,
    part_before,
    pooled_part,
    shared_base,
    unfreeze_from,
    views_of,
)
from search_spaces._bases import BASES, Base, first_line
from search_spaces._by_base import check_weights_used, parse_alphas, parse_bases, parse_weights
from search_spaces._recipe import MEANINGS, RECIPE, learning_rate_at
from search_spaces.base import ImageSpace, Phase, draw_sizes
from search_spaces.frozen import FrozenPart

_DEFAULT = "MobileNetV2"
_RISING = "warmup_cosine"
_SCHEDULE = Choice("fine_tune_schedule", ["constant", _RISING], default="constant")
_CROPS = Choice("crops", ["none", "corners"], default="none")
_RECIPE = tuple(each for each in RECIPE if each.name != "warmup_epochs")
_HELD_ALWAYS = (*_RECIPE, _CROPS)
_MOST_STARTING_POINTS = 8
_FROZEN_POINT = {"dense_layers": 1, "dropout": 0.4}
_UNFROZEN_POINT = {"dropout": 0.2, "unfreeze": True, "fine_tune_learning_rate": 1e-4}


class TransferHead(ImageSpace):
    """A backbone with a new head: the tutorial's cat-and-dog recogniser, made searchable.

    The default is the tutorial's own model: a frozen MobileNetV2 at 224x224x3, average pooling, the
    output layer directly on it (no dense layer, no dropout), Adam at 1e-3, no augmentation.

    Preprocessing and augmentation are inside the model, which takes raw images of 0..255. The
    base always runs in inference mode, so its batch normalisation keeps the statistics that it
    came with. Where layers are unfrozen, the head is trained alone for the first half of the
    epochs, then both are trained at `fine_tune_learning_rate`. `split` gives the frozen part
    apart, so that its output need be computed only once.

    Training images are shown as they are, flipped, and, if `crops` says so, as their four corners.
    The suite shows the corners; plain Keras Tuner does not.

    With several bases, `base` is a hyperparameter, and each base has its own `unfreeze_from_BASE`
    and, with several widths, `alpha_BASE`.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
    and the sources that `keras.applications` names for the other bases.

    Args:
        input_shape: `(height, width, 3)` of the images, values 0..255.
        num_classes: Number of classes, at least 2.
        base: Names of `keras.applications`, or paths of backbones of one's own (`.keras`, without
            top, with their preprocessing inside); several, as a list or separated by commas, are
            searched.
        alpha: Width of the base; a list or comma-separated string of widths is searched. For
            one of several bases: `MobileNet=0.25`, or a mapping.
        image_size: Side in pixels that the suite brings images to; `None` is the base's own, of
            several the smallest. Not used by the model itself.
        weights: `"imagenet"`, `"none"` (drawn from a fixed seed), or the path of a weights file of
            the base without top; for one of several bases as for `alpha`.
        crop: Share of each side that a random zoom in training may cut off, below 1. A random shift
            by up to half of it follows, with reflected edges. 0 for none.

    Raises:
        ValueError: Images are not RGB or too small for a base, or a setting does not fit.
    """

    summary: ClassVar[str] = "pretrained backbone, frozen or partly unfrozen, under a new head"
    meanings: ClassVar[Mapping[str, str]] = {
        "base": "the backbone (searched only if several are set)",
        "alpha": "width of the base (searched only if several are set; of several bases "
        "alpha_BASE)",
        "unfreeze": "whether the last layers of the base are trained after the head",
        "unfreeze_from": "first unfrozen layer or block of the base (of several bases "
        "unfreeze_from_BASE)",
        "fine_tune_learning_rate": "step size while unfrozen layers are trained",
        "head_pooling": "how the base's feature map becomes a vector: average or max",
        "dense_layers": "number of dense layers before the output",
        "dense_units_0": "units of the dense layer (one hyperparameter a layer)",
        "dropout": "share of units dropped before the output",
        "learning_rate": "step size while the head is trained alone",
        "flip": "random horizontal flips in training",
        "batch_size": "images a batch",
        _SCHEDULE.name: "constant, or a rise in the first epoch of fine-tuning, then a cosine",
        _CROPS.name: "fixed crops of training images besides the whole: none, or the four corners",
        **{each.name: MEANINGS[each.name] for each in _RECIPE},
    }
    settings: ClassVar[Mapping[str, str]] = {
        "base": "backbone; several, separated by commas, are searched: "
        f"{', '.join(BASES)}, or the path of a .keras file",
        "alpha": "width of the base; several, separated by commas, are searched; for one of "
        "several bases MobileNet=0.25",
        "image_size": "side of the square images, in pixels; by default the base's own, 224 for "
        "most, and the smallest of several",
        "weights": "imagenet, none, or the path of a weights file; for one of several bases "
        "MobileNet=PATH",
        "crop": "share of each side that a random zoom may cut off, before a random shift by up to "
        "half of it (edges are reflected); above 0 nothing can be cached",
    }
    architecture: ClassVar[tuple[str, ...]] = (
        "unfreeze",
        "unfreeze_from",
        "head_pooling",
        "dense_layers",
        "flip",
        "alpha",
        "base",
    )
    held = (*_HELD_ALWAYS, _SCHEDULE)
    added = frozenset(each.name for each in held)

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        base: str | Sequence[str] = _DEFAULT,
        alpha: object = 1.0,
        image_size: int | None = None,
        weights: object = "imagenet",
        crop: float = 0.0,
    ) -> None:
        super().__init__(input_shape, num_classes)
        self.bases = parse_bases(base)
        largest = max(self.bases, key=lambda row: row.least)
        if self.input_shape[2] != 3 or min(self.input_shape[:2]) < largest.least:
            raise ValueError(
                f"transfer_head with {largest.name} needs RGB images of "
                f"{largest.least}x{largest.least} pixels or more, got {input_shape}"
            )
        self.alphas = parse_alphas(alpha, self.bases)
        self.image_size = image_size or _own_size(self.bases)
        self.weights = parse_weights(weights, self.bases, self.alphas)
        self.crop = _parse_crop(crop)

    def architecture_names(self) -> tuple[str, ...]:
        """Returns the names of `architecture`, and those that each of several bases has."""
        own = (self._of(row, name) for name in ("alpha", "unfreeze_from") for row in self.bases)
        return (*self.architecture, *own) if len(self.bases) > 1 else self.architecture

    def starting_points(self) -> Sequence[Mapping[str, Any]]:
        """Returns good points of each base and width: frozen, then deep unfrozen."""
        drawn: list[tuple[Base, dict[str, Any]]] = [
            (
                row,
                ({"base": row.name} if len(self.bases) > 1 else {})
                | ({self._of(row, "alpha"): alpha} if len(self.alphas[row.name]) > 1 else {}),
            )
            for row in self.bases
            for alpha in reversed(self.alphas[row.name])
        ]
        frozen = [_FROZEN_POINT | values for _, values in drawn]
        unfrozen = [
            # Not from the last cut: that is half of the base, and costs the most.
            _UNFROZEN_POINT | values | {self._of(row, "unfreeze_from"): row.cuts[-2:][0]}
            for row, values in drawn
            if row.cuts
        ]
        return [*frozen, *unfrozen][:_MOST_STARTING_POINTS]

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        size = settings.get("image_size") or _own_size(parse_bases(settings.get("base", _DEFAULT)))
        return (int(size), int(size), 3)

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        if "weights" in settings:
            bases = parse_bases(settings.get("base", _DEFAULT))
            check_weights_used(settings["weights"], bases)

    def fetch(self) -> None:
        """Loads the bases' weights once, downloading them where needed."""
        for base in self.bases:
            for alpha in self.alphas[base.name] if self.weights[base.name] else ():
                try:
                    shared_base(self._key(base, alpha))
                except Exception as error:  # downloads fail in as many ways as there are servers
                    raise ValueError(self._not_loaded(base, alpha, error)) from error

    def _not_loaded(self, base: Base, alpha: float, error: Exception) -> str:
        weights, side = self.weights[base.name], self.input_shape[0]
        width = f" for alpha {alpha}" if base.alphas else ""
        remedy = (
            "connect to the network, put the file into the models folder of KERAS_HOME, or "
            "choose weights=none or a file's path"
            if weights == "imagenet"
            else f"a file is needed that {base.name} without top{width and ' of this alpha'} has "
            "saved"
        )
        return (
            f"weights {weights!r} of {base.name}{width} at {side}x{self.input_shape[1]} can't be "
            f"loaded ({first_line(error)}): {remedy}"
        )

    def draw(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        base = self._draw_base(hp)
        alphas = {row.name: self._draw_alpha(hp, row) for row in self.bases}
        values: dict[str, Any] = {
            "base": base,
            "alpha": alphas[base.name],
            "flip": hp.Boolean("flip", default=False),
            "head_pooling": hp.Choice("head_pooling", ["average", "max"], default="average"),
            "dense_units": draw_sizes(hp, "dense_layers", "dense_units", (0, 0, 2), (32, 256, 128)),
            "dropout": hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.0),
            "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3),
            "batch_size": hp.Choice("batch_size", [16, 32, 64], default=32),
            "unfreeze": False,
        }
        if any(row.cuts for row in self.bases):
            values |= self._draw_unfrozen(hp, base)
        return values | self.draw_held(hp, *(each.name for each in _HELD_ALWAYS))

    def _draw_base(self, hp: keras_tuner.HyperParameters) -> Base:
        names = [row.name for row in self.bases]
        if len(names) == 1:
            return self.bases[0]
        default = _DEFAULT if _DEFAULT in names else names[0]
        return self.bases[names.index(hp.Choice("base", names, default=default))]

    def _draw_alpha(self, hp: keras_tuner.HyperParameters, base: Base) -> float:
        alphas = self.alphas[base.name]
        if len(alphas) == 1:
            return alphas[0]
        with self._only_of(hp, [base]):
            alpha = hp.Choice(self._of(base, "alpha"), list(alphas), default=alphas[-1])
        return alphas[-1] if alpha is None else float(alpha)  # None where another base is drawn

    def _draw_unfrozen(self, hp: keras_tuner.HyperParameters, base: Base) -> dict[str, Any]:
        cuttable = [row for row in self.bases if row.cuts]
        with self._only_of(hp, cuttable):
            unfreeze = hp.Boolean("unfreeze", default=False)
            with hp.conditional_scope("unfreeze", [True]):
                if len(self.bases) == 1:
                    cut = hp.Choice("unfreeze_from", list(base.cuts), default=base.cuts[0])
                else:
                    cut = _draw_cut(hp, cuttable)
                rate = hp.Float("fine_tune_learning_rate", 1e-6, 1e-4, sampling="log", default=1e-5)
                schedule = self.draw_held(hp, _SCHEDULE.name)
        return {
            **schedule,
            "unfreeze": bool(unfreeze and base.cuts),
            "unfreeze_from": cut,
            "fine_tune_learning_rate": rate,
        }

    def _only_of(
        self, hp: keras_tuner.HyperParameters, bases: Sequence[Base]
    ) -> AbstractContextManager[object]:
        """Makes hyperparameters active only where one of `bases` is drawn."""
        if len(bases) == len(self.bases):
            return nullcontext()
        scope: AbstractContextManager[object] = hp.conditional_scope(
            "base", [row.name for row in bases]
        )
        return scope

    def _of(self, base: Base, name: str) -> str:
        """Returns the name of a hyperparameter that each base has for itself."""
        return name if len(self.bases) == 1 else f"{name}_{base.name}"

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network that `hp` describes, its base frozen."""
        return self.split(hp).join()

    def split(self, hp: keras_tuner.HyperParameters) -> TransferNetwork:
        """Cuts the network of `hp` behind the pooling, or where layers are unfrozen."""
        values = self.draw(hp)
        _check(values)
        key = self._key(values["base"], values["alpha"])
        return TransferNetwork(self, key, values, self.crop)

    def _key(self, base: Base, alpha: float) -> BaseKey:
        return BaseKey(base, self.input_shape, float(alpha), self.weights[base.name])

    def possible_parts(
        self, hp: keras_tuner.HyperParameters
    ) -> list[tuple[FrozenPart, tuple[str, ...]]]:
        """Returns the pooled bases and, where trials may unfreeze them, each before its cuts."""
        if self.crop:
            return []
        ranges = {h.name: tuple(getattr(h, "values", None) or (h.value,)) for h in hp.space}
        views = views_of(True in ranges["flip"], "corners" in ranges.get(_CROPS.name, ()))
        drawn = ranges.get("base", tuple(base.name for base in self.bases))
        parts: list[tuple[FrozenPart, tuple[str, ...]]] = []
        for base in (base for base in self.bases if base.name in drawn):
            cuts = ranges.get(self._of(base, "unfreeze_from"), ())
            for alpha in ranges.get(self._of(base, "alpha"), self.alphas[base.name]):
                key = self._key(base, alpha)
                parts.append((pooled_part(key), views))
                if True in ranges.get("unfreeze", ()):
                    parts += [(part_before(key, cut), views) for cut in cuts]
        return parts

    def phases(self, hp: keras_tuner.HyperParameters, epochs: int) -> list[Phase]:
        """Returns one phase where the base stays frozen, else the head's and the fine-tuning's."""
        values = self.draw(hp.copy())
        if not values["unfreeze"] or epochs < 2:
            return [Phase(epochs)]

        def unfreeze(model: keras.Model) -> None:
            base = values["base"]
            unfreeze_from(model.get_layer(base.layer_name), base, values["unfreeze_from"])
            compile_for(self, model, values, "fine_tune_learning_rate")

        head_epochs = (epochs + 1) // 2
        return [Phase(head_epochs), Phase(epochs - head_epochs, unfreeze)]

    def phase_callbacks(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, end: int
    ) -> list[keras.callbacks.Callback]:
        """Returns the schedule of fine-tuning, where layers of the base are trained."""
        schedule = hp.values.get(_SCHEDULE.name, _SCHEDULE.default)
        bases = [layer for layer in model.layers if isinstance(layer, keras.Model)]
        if schedule != _RISING or not any(base.trainable_weights for base in bases):
            return []
        rate = float(hp.get("fine_tune_learning_rate"))
        # The phase is the second half, as `phases` has it; it begins later where it resumes.
        by_epoch = learning_rate_at(rate, end, warmup_epochs=1, first=(end + 1) // 2)
        return [keras.callbacks.LearningRateScheduler(by_epoch)]


def _draw_cut(hp: keras_tuner.HyperParameters, bases: Sequence[Base]) -> str | None:
    """Draws where to unfreeze each base; returns the cut of the one that is drawn."""
    drawn = None
    for base in bases:
        # Not by a scope: within one, Keras Tuner knows no parent that was declared outside.
        conditions = [Parent("base", [base.name]), Parent("unfreeze", [True])]
        cut = Choice(
            f"unfreeze_from_{base.name}",
            list(base.cuts),
            default=base.cuts[0],
            conditions=conditions,
        )
        hp.merge([cut], overwrite=False)
        if hp.is_active(cut):
            drawn = str(hp.get(cut.name))
    return drawn


def _check(values: Mapping[str, Any]) -> None:
    """Refuses choices that mean nothing here, which a wider range may bring."""
    for known in (_SCHEDULE, _CROPS):
        value = values.get(known.name)
        if value is not None and value not in known.values:
            raise ValueError(f"{known.name} {value!r}: there are {', '.join(known.values)}")


def _own_size(bases: Sequence[Base]) -> int:
    """Returns the smallest side that one of the bases was made for and all of them take."""
    return max(min(base.size for base in bases), *(base.least for base in bases))


def _parse_crop(crop: float | str) -> float:
    try:
        share = float(crop)
    except ValueError:
        raise ValueError(f"crop should be a number such as 0.2, got {crop!r}") from None
    if not 0 <= share < 1:
        raise ValueError(f"crop should be from 0 to below 1, got {crop!r}")
    return share
