"""Transfer learning: MobileNetV2 under a new head, frozen or partially unfrozen."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import keras
import keras_tuner

from search_spaces._mobilenet import (
    BASE_NAME,
    CUT_POINTS,
    BaseKey,
    TransferNetwork,
    part_before,
    pooled_part,
    shared_base,
    unfreeze_from,
)
from search_spaces.base import ImageSpace, Phase, draw_sizes
from search_spaces.frozen import FLIPPED, ORIGINAL, FrozenPart

_MOST_ALPHA = 4  # sixteen times the weights of 1; more is a slip of the keyboard
_IMAGENET_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


class TransferHead(ImageSpace):
    """MobileNetV2 with a new head: the tutorial's cat-and-dog recogniser, made searchable.

    The default is the tutorial's own model: a frozen base at 224x224x3, average pooling, the
    output layer directly on it (no dense layer, no dropout), Adam at 1e-3, no augmentation.

    Preprocessing and augmentation are inside the model, which takes raw images of 0..255. The
    base always runs in inference mode, so its batch normalisation keeps ImageNet's statistics.
    Where layers are unfrozen, the head is trained alone for the first half of the epochs, then
    both are trained at `fine_tune_learning_rate`. `split` gives the frozen part apart, so that its
    output need be computed only once.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.

    Args:
        input_shape: `(height, width, 3)` of the images, values 0..255.
        num_classes: Number of classes, at least 2.
        alpha: Width of the base; a list or comma-separated string of widths is searched.
        image_size: Side in pixels that the suite brings images to; not used by the model itself.
        weights: `"imagenet"`, `"none"` (drawn from a fixed seed), or the path of a weights file of
            the base without top.
        crop: Share of each side that random crops in training may cut off, below 1; 0 for none.

    Raises:
        ValueError: Images are not RGB or under 32 pixels, or a setting does not fit.
    """

    summary: ClassVar[str] = "MobileNetV2, frozen or partially unfrozen, under a new head"
    meanings: ClassVar[Mapping[str, str]] = {
        "alpha": "width of MobileNetV2 (searched only if several are set)",
        "unfreeze": "whether the last layers of the base are trained after the head",
        "unfreeze_from": "first unfrozen layer of the base",
        "fine_tune_learning_rate": "step size while unfrozen layers are trained",
        "head_pooling": "how the base's feature map becomes a vector: average or max",
        "dense_layers": "number of dense layers before the output",
        "dense_units_0": "units of the dense layer (one hyperparameter a layer)",
        "dropout": "share of units dropped before the output",
        "learning_rate": "step size while the head is trained alone",
        "flip": "random horizontal flips in training",
        "batch_size": "images a batch",
    }
    settings: ClassVar[Mapping[str, str]] = {
        "alpha": "width of MobileNetV2; several, separated by commas, are searched",
        "image_size": "side of the square images, in pixels",
        "weights": "imagenet, none, or the path of a weights file",
        "crop": "share of each side that random crops may cut off; above 0 nothing can be cached",
    }
    architecture: ClassVar[tuple[str, ...]] = (
        "unfreeze",
        "unfreeze_from",
        "head_pooling",
        "dense_layers",
        "flip",
        "alpha",
    )

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        num_classes: int,
        alpha: float | str | tuple[float, ...] = 1.0,
        image_size: int = 224,
        weights: str = "imagenet",
        crop: float = 0.0,
    ) -> None:
        super().__init__(input_shape, num_classes)
        if self.input_shape[2] != 3 or min(self.input_shape[:2]) < 32:
            raise ValueError(
                f"transfer_head needs RGB images of 32x32 pixels or more, got {input_shape}"
            )
        self.alphas = _parse_alphas(alpha)
        self.image_size = image_size
        self.weights = _parse_weights(weights, self.alphas)
        self.crop = _parse_crop(crop)

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        size = int(settings.get("image_size", 224))
        return (size, size, 3)

    def fetch(self) -> None:
        """Loads the base's weights once, downloading them where needed."""
        if self.weights is None:
            return
        for alpha in self.alphas:
            try:
                shared_base(self._key(alpha))
            except Exception as error:  # downloads fail in as many ways as there are servers
                lines = str(error).strip().splitlines() or [type(error).__name__]
                remedy = (
                    "connect to the network, put the file into the models folder of KERAS_HOME, or "
                    "choose weights=none or a file's path"
                    if self.weights == "imagenet"
                    else "a file is needed that MobileNetV2 without top of this alpha has saved"
                )
                raise ValueError(
                    f"weights {self.weights!r} of MobileNetV2 for alpha {alpha} at "
                    f"{self.input_shape[0]}x{self.input_shape[1]} can't be loaded "
                    f"({lines[0][:200]}): {remedy}"
                ) from error

    def draw(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        alpha = self.alphas[0]
        if len(self.alphas) > 1:
            alpha = hp.Choice("alpha", list(self.alphas), default=self.alphas[-1])
        values: dict[str, Any] = {
            "alpha": alpha,
            "flip": hp.Boolean("flip", default=False),
            "head_pooling": hp.Choice("head_pooling", ["average", "max"], default="average"),
            "dense_units": draw_sizes(hp, "dense_layers", "dense_units", (0, 0, 2), (32, 256, 128)),
            "dropout": hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.0),
            "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3),
            "batch_size": hp.Choice("batch_size", [16, 32, 64], default=32),
            "unfreeze": hp.Boolean("unfreeze", default=False),
        }
        with hp.conditional_scope("unfreeze", [True]):
            values["unfreeze_from"] = hp.Choice(
                "unfreeze_from", list(CUT_POINTS), default=CUT_POINTS[0]
            )
            values["fine_tune_learning_rate"] = hp.Float(
                "fine_tune_learning_rate", 1e-6, 1e-4, sampling="log", default=1e-5
            )
        return values

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network that `hp` describes, its base frozen."""
        return self.split(hp).join()

    def split(self, hp: keras_tuner.HyperParameters) -> TransferNetwork:
        """Cuts the network of `hp` behind the pooling, or where layers are unfrozen."""
        values = self.draw(hp)
        return TransferNetwork(self, self._key(values["alpha"]), values, self.crop)

    def _key(self, alpha: float) -> BaseKey:
        return BaseKey(self.input_shape, float(alpha), self.weights)

    def possible_parts(
        self, hp: keras_tuner.HyperParameters
    ) -> list[tuple[FrozenPart, tuple[str, ...]]]:
        """Returns the pooled base and, where trials may unfreeze it, the base before each cut."""
        if self.crop:
            return []
        ranges = {h.name: tuple(getattr(h, "values", None) or (h.value,)) for h in _choices(hp)}
        views = (ORIGINAL, FLIPPED) if True in ranges["flip"] else (ORIGINAL,)
        cuts = ranges["unfreeze_from"] if True in ranges["unfreeze"] else ()
        parts: list[tuple[FrozenPart, tuple[str, ...]]] = []
        for key in map(self._key, ranges.get("alpha", self.alphas)):
            parts.append((pooled_part(key), views))
            parts += [(part_before(key, cut), views) for cut in cuts]
        return parts

    def phases(self, hp: keras_tuner.HyperParameters, epochs: int) -> list[Phase]:
        """Returns one phase where the base stays frozen, else the head's and the fine-tuning's."""
        if not hp.values.get("unfreeze", False) or epochs < 2:
            return [Phase(epochs)]
        cut = str(hp.get("unfreeze_from"))
        rate = float(hp.get("fine_tune_learning_rate"))

        def unfreeze(model: keras.Model) -> None:
            unfreeze_from(model.get_layer(BASE_NAME), cut)
            self.compile(model, keras.optimizers.Adam(rate))

        head_epochs = (epochs + 1) // 2
        return [Phase(head_epochs), Phase(epochs - head_epochs, unfreeze)]


def _choices(hp: keras_tuner.HyperParameters) -> list[Any]:
    """Returns the hyperparameters that decide which frozen parts there are."""
    names = ("alpha", "flip", "unfreeze", "unfreeze_from")
    return [h for h in hp.space if h.name in names]


def _parse_crop(crop: float | str) -> float:
    try:
        share = float(crop)
    except ValueError:
        raise ValueError(f"crop should be a number such as 0.2, got {crop!r}") from None
    if not 0 <= share < 1:
        raise ValueError(f"crop should be from 0 to below 1, got {crop!r}")
    return share


def _parse_alphas(alpha: float | str | tuple[float, ...]) -> tuple[float, ...]:
    parts: Any = alpha
    if isinstance(alpha, str):
        parts = alpha.split(",")
    elif isinstance(alpha, int | float):
        parts = [alpha]
    try:
        alphas = tuple(sorted({float(part) for part in parts}))
    except (TypeError, ValueError):
        raise ValueError(f"alpha should be a number such as 0.35, got {alpha!r}") from None
    if isinstance(alpha, bool) or not alphas or not all(0 < a <= _MOST_ALPHA for a in alphas):
        raise ValueError(f"alpha should be above 0 and at most {_MOST_ALPHA}, got {alpha!r}")
    return alphas


def _parse_weights(weights: str | os.PathLike[str], alphas: tuple[float, ...]) -> str | None:
    text = str(weights)
    if text == "none":
        return None
    if text == "imagenet":
        unknown = [alpha for alpha in alphas if alpha not in _IMAGENET_ALPHAS]
        if unknown:
            raise ValueError(
                f"there are ImageNet weights for alpha {_IMAGENET_ALPHAS}, not for {unknown}: "
                "choose one of them or weights=none"
            )
        return text
    if not Path(text).is_file():
        raise ValueError(f"weights should be imagenet, none or a file's path; no file at {text!r}")
    if len(alphas) > 1:
        raise ValueError("a weights file fits one alpha: set one, or weights=imagenet")
    return text
