"""The table of backbones: one row each. A new backbone is a new row, and is tested at once."""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras

from search_spaces._cuts import stage_cuts

_NAME = re.compile(r"[\w.-]+")
_LAYERS = re.compile(  # that `TransferNetwork` has beside the base
    r"image|flip|crop_size|crop_place|(head|average|max)_pooling|dense_\d+|dropout|probabilities"
)
_RESNET_CUTS = ("conv5_block3", "conv5_block1", "conv4_block1")
_EFFICIENT_CUTS = ("block7a", "block6a", "block5a", "block4a")
_EFFICIENT_V2_CUTS = ("top_conv", "block6a", "block5a", "block4a")  # no seventh stage


def _as_is(images: Any) -> Any:
    return images


def _to_one(images: Any) -> Any:
    """From 0..255 to -1..1."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(images)


def _standardised(images: Any) -> Any:
    """Standardises each channel with ImageNet's mean and standard deviation."""
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scale = [1 / (255 * deviation) for deviation in deviations]
    offset = [-mean / deviation for mean, deviation in zip(means, deviations, strict=True)]
    return keras.layers.Rescaling(scale, offset=offset, name="rescale")(images)


def _blue_first(images: Any) -> Any:
    """Subtracts ImageNet's mean of each channel, and reverses the channels: blue, green, red."""
    offset = [-123.68, -116.779, -103.939]
    return keras.ops.flip(keras.layers.Rescaling(1.0, offset=offset, name="rescale")(images), -1)


@dataclass(frozen=True)
class Base:
    """A backbone.

    Args:
        name: Its constructor in `keras.applications`; for a file its name without `.keras`.
        cuts: Where training may begin: names of layers, or what such names begin with. The first
            layer so named and all after it are unfrozen. The least unfrozen comes first.
        preprocess: Turns images, `(batch, height, width, 3)`, 0..255, into what the base takes;
            made of layers, so that it is a part of every model.
        size: Side of images in pixels that it was made for.
        least: Least side in pixels.
        alphas: Widths that have ImageNet weights; empty if there is one width.
        streams: Tensors through which everything goes at a cut.
        path: File of a backbone of the user's own, or `None`.
    """

    name: str
    cuts: tuple[str, ...]
    preprocess: Callable[[Any], Any] = _to_one
    size: int = 224
    least: int = 32
    alphas: tuple[float, ...] = ()
    streams: int = 1
    path: str | None = None

    @property
    def layer_name(self) -> str:
        """Name of the base as a layer of the whole network."""
        name = "mobilenet_v2" if self.name == "MobileNetV2" else re.sub(r"\W", "_", self.name)
        return f"{name}_base" if _LAYERS.fullmatch(name) else name


def _rows() -> list[Base]:
    efficient = zip(range(8), (224, 240, 260, 300, 380, 456, 528, 600), strict=True)
    efficient_v2 = zip(range(4), (224, 240, 260, 300), strict=True)
    wide_v2 = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
    v2_cuts = ("block_16_expand", "block_13_expand", "block_10_expand", "block_6_expand")
    return [
        Base(
            "MobileNet",
            ("conv_dw_13", "conv_dw_12", "conv_dw_9", "conv_dw_6"),
            alphas=(0.25, 0.5, 0.75, 1.0),
        ),
        Base("MobileNetV2", v2_cuts, alphas=wide_v2),
        Base(
            "MobileNetV3Small",
            ("expanded_conv_10", "expanded_conv_8", "expanded_conv_6", "expanded_conv_3"),
            _as_is,
            alphas=(0.75, 1.0),
        ),
        Base(
            "MobileNetV3Large",
            ("expanded_conv_14", "expanded_conv_12", "expanded_conv_10", "expanded_conv_6"),
            _as_is,
            alphas=(0.75, 1.0),
        ),
        *(Base(f"EfficientNetB{n}", _EFFICIENT_CUTS, _as_is, side) for n, side in efficient),
        *(Base(f"EfficientNetV2B{n}", _EFFICIENT_V2_CUTS, _as_is, s) for n, s in efficient_v2),
        Base("EfficientNetV2S", _EFFICIENT_V2_CUTS, _as_is, 384),
        Base("EfficientNetV2M", _EFFICIENT_CUTS, _as_is, 480),
        Base("EfficientNetV2L", _EFFICIENT_CUTS, _as_is, 480),
        *(Base(f"ResNet{depth}", _RESNET_CUTS, _blue_first) for depth in (50, 101, 152)),
        *(Base(f"ResNet{depth}V2", _RESNET_CUTS) for depth in (50, 101, 152)),
        Base("DenseNet121", ("conv5_block9", "conv5_block1", "conv4_block1"), _standardised),
        Base("DenseNet169", ("conv5_block17", "conv5_block1", "conv4_block1"), _standardised),
        Base("DenseNet201", ("conv5_block17", "conv5_block1", "conv4_block1"), _standardised),
        Base("Xception", ("block14", "block13", "block9", "block4"), size=299, least=71),
        Base("InceptionV3", ("mixed10", "mixed8", "mixed6", "mixed3"), size=299, least=75),
        Base(
            "InceptionResNetV2",
            ("conv_7b", "block8_6", "mixed_7a", "block17_11"),
            size=299,
            least=75,
        ),
        # Each of its cells takes the outputs of the two cells before it.
        Base("NASNetMobile", _nasnet_cuts(4), streams=2),
        Base("NASNetLarge", _nasnet_cuts(6), size=331, streams=2),
        *(
            Base(f"ConvNeXt{size}", _convnext_cuts(size.lower()), _as_is)
            for size in ("Tiny", "Small", "Base", "Large", "XLarge")
        ),
        Base("VGG16", ("block5_conv3", "block5", "block4"), _blue_first),
        Base("VGG19", ("block5_conv4", "block5", "block4"), _blue_first),
    ]


def _nasnet_cuts(cells: int) -> tuple[str, ...]:
    """Of `cells` cells a stage: the last cell, the last half of the last stage, and all of it."""
    last = 3 * cells
    halves = (f"normal_add_1_{last}", f"normal_add_1_{last - cells // 2 + 1}")
    return (*halves, f"reduction_add_1_reduce_{2 * cells}")


def _convnext_cuts(size: str) -> tuple[str, ...]:
    cuts = ("stage_3_block_2", "downsampling_block_2", "downsampling_block_1")
    return tuple(f"convnext_{size}_{cut}" for cut in cuts)


BASES: Mapping[str, Base] = {row.name: row for row in _rows()}


def first_line(error: Exception) -> str:
    """Returns the first line of an error's text, cut to 200 characters; its name if it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def find_base(text: str) -> Base:
    """Returns the base of a name or of a file's path.

    Raises:
        ValueError: There is none, or the file is no backbone.
    """
    if text.endswith(".keras"):
        if not os.path.isfile(text):
            raise ValueError(f"base should be a name or a .keras file; no file at {text!r}")
        return _base_of(text, version_of(text))
    if text not in BASES:
        lower = {name.lower(): name for name in BASES}
        close = difflib.get_close_matches(text.lower(), lower, 1, 0.5)
        hint = f"did you mean {lower[close[0]]}? " if close else ""
        raise ValueError(
            f"base {text!r} is none that there is: {hint}`experiments spaces transfer_head` lists "
            "them; a file's name ends in .keras"
        )
    return BASES[text]


def version_of(path: str) -> tuple[int, int]:
    """Returns what is another for a file that was saved again: when in ns, and its bytes."""
    found = Path(path).stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _base_of(path: str, _version: tuple[int, int]) -> Base:
    name = Path(path).stem
    if name in BASES or _NAME.fullmatch(name) is None:
        raise ValueError(
            f"base {path!r}: the file should have a name of its own, of letters, digits, _, - and "
            f"., it is {name!r}: rename it"
        )
    model = load_base(path)
    sides = [side for side in model.input.shape[1:3] if side is not None]
    size = max(sides, default=224)
    return Base(
        name,
        stage_cuts(sized(path, model, (size, size, 3))),
        _as_is,
        size=size,
        least=max(sides, default=32),
        path=path,
    )


def sized(path: str, model: keras.Model, shape: tuple[int, int, int]) -> keras.Model:
    """Returns a copy of a base's model for images of `shape`, with the same weights.

    Args:
        path: The base's file.
        model: What `load_base` returns.
        shape: `(height, width, 3)`.

    Raises:
        ValueError: It takes images of another size, or its layers can't be copied.
    """
    inputs = keras.Input(shape)
    try:
        copied = keras.models.clone_model(model, input_tensors=inputs)
        copy_weights(copied, model)
    except Exception as error:  # of a layer whose config does not make it again, say
        size = f"{shape[0]}x{shape[1]}"
        raise ValueError(
            f"base {path!r} can't be copied for images of {size}: {first_line(error)}"
        ) from error
    return keras.Model(inputs, copied.outputs[0], name=model.name)


def copy_weights(copied: keras.Model, model: keras.Model) -> None:
    """Gives a clone the weights of `model`, and the constants that layers make of them."""
    copied.set_weights(model.get_weights())
    for layer in copied._flatten_layers():
        if hasattr(layer, "finalize_state"):  # `Normalization` computes with constants
            layer.finalize_state()


def load_base(path: str) -> keras.Model:
    """Loads a backbone of the user's own: a plain functional model.

    Args:
        path: A `.keras` file; it is loaded in Keras' safe mode.

    Returns:
        From images, `(batch, height, width, 3)`, to a feature map, `(batch, height, width,
        channels)`, or tokens, `(batch, tokens, channels)`.

    Raises:
        ValueError: It can't be loaded, or is no such model.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # a file fails in as many ways as there are layers
        raise ValueError(f"base {path!r} can't be loaded: {first_line(error)}") from error
    if not hasattr(model, "operations"):
        raise ValueError(
            f"base {path!r} should be a functional model, it is a {type(model).__name__}"
        )
    shapes = [tuple(x.shape) for x in (*model.inputs, *model.outputs)]
    if len(shapes) != 2 or len(shapes[0]) != 4 or shapes[0][3] != 3 or len(shapes[1]) not in (3, 4):
        raise ValueError(
            f"base {path!r} should take images (height, width, 3) and give one feature map (height,"
            f" width, channels): save it without its top; its shapes are "
            f"{', '.join(str(shape[1:]) for shape in shapes)}"
        )
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
