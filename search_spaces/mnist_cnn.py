"""A small convolutional network for handwritten digits and images like them."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import keras_tuner

from search_spaces.base import ImageSpace

_MAX_BLOCKS = 4


class MnistCnn(ImageSpace):
    """Convolution blocks, then dense layers: the tutorial's digit recogniser, made searchable.

    The default is the tutorial's own model: one block of 32 3x3 filters with max pooling, one
    dense layer of 128 units, softmax, Adam at 1e-3, batches of 64.

    Convolutions keep the size of the feature map and each pooling halves it, so the number of
    blocks is limited by the image's size and no draw can shrink the map below 1x1.

    Args:
        input_shape: `(height, width, channels)` of the images, values 0..255.
        num_classes: Number of classes, at least 2.
        image_size: Side in pixels that the suite brings images to; not used by the model itself.
    """

    summary: ClassVar[str] = "small CNN: convolution blocks, then dense layers"
    meanings: ClassVar[Mapping[str, str]] = {
        "conv_blocks": "number of blocks: convolution, batch norm or not, ReLU, pooling",
        "filters_0": "filters of the block's convolution (one hyperparameter a block)",
        "kernel_size": "side of every convolution's kernel, in pixels",
        "pooling": "how each block halves the map: max, average, or a strided convolution",
        "dense_layers": "number of dense layers before the output",
        "dense_units_0": "units of the dense layer (one hyperparameter a layer)",
        "dropout": "share of units dropped before the output",
        "batch_norm": "batch normalisation after each convolution",
        "optimizer": "how weights are updated",
        "learning_rate": "step size of the optimizer",
        "batch_size": "images a batch",
    }
    settings: ClassVar[Mapping[str, str]] = {"image_size": "side of the square images, in pixels"}
    architecture: ClassVar[tuple[str, ...]] = (
        "pooling",
        "conv_blocks",
        "dense_layers",
        "kernel_size",
        "batch_norm",
    )

    def __init__(
        self, input_shape: tuple[int, int, int], num_classes: int, image_size: int = 28
    ) -> None:
        super().__init__(input_shape, num_classes)
        self.image_size = image_size
        if min(self.input_shape[:2]) < 2:
            raise ValueError(f"images should be at least 2x2 pixels, they are {input_shape}")

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        size = int(settings.get("image_size", 28))
        return (size, size, channels)

    @property
    def max_blocks(self) -> int:
        """Most blocks the image's size allows: each halves the shorter side."""
        return min(_MAX_BLOCKS, int(math.log2(min(self.input_shape[:2]))))

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network that `hp` describes."""
        inputs = keras.Input(self.input_shape, name="image")
        x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
        x = self._convolutions(hp, x)
        x = keras.layers.Flatten(name="flatten")(x)
        x = self._dense(hp, x)
        model = keras.Model(inputs, self.output_layer()(x), name=self.name)
        hp.Choice("batch_size", [32, 64, 128, 256], default=64)
        self.compile(model, self._optimizer(hp))
        return model

    def _convolutions(self, hp: keras_tuner.HyperParameters, x: Any) -> Any:
        kernel_size = hp.Choice("kernel_size", [3, 5], default=3)
        pooling = hp.Choice("pooling", ["max", "average", "stride"], default="max")
        batch_norm = hp.Boolean("batch_norm", default=False)
        blocks = hp.Int("conv_blocks", 1, self.max_blocks, default=1)
        for index in range(self.max_blocks):
            with hp.conditional_scope("conv_blocks", list(range(index + 1, self.max_blocks + 1))):
                if index < blocks:
                    filters = hp.Int(
                        f"filters_{index}", 16, 128, step=2, sampling="log", default=32
                    )
                    x = self._block(x, index, filters, kernel_size, pooling, batch_norm)
        return x

    @staticmethod
    def _block(
        x: Any, index: int, filters: int, kernel_size: int, pooling: str, batch_norm: bool
    ) -> Any:
        strides = 2 if pooling == "stride" else 1
        x = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            # A strided "same" convolution rounds up, pooling rounds down: neither goes below 1x1.
            padding="same",
            use_bias=not batch_norm,
            name=f"conv_{index}",
        )(x)
        if batch_norm:
            x = keras.layers.BatchNormalization(name=f"batch_norm_{index}")(x)
        x = keras.layers.ReLU(name=f"relu_{index}")(x)
        if pooling == "max":
            return keras.layers.MaxPooling2D(2, name=f"pool_{index}")(x)
        if pooling == "average":
            return keras.layers.AveragePooling2D(2, name=f"pool_{index}")(x)
        return x

    @staticmethod
    def _dense(hp: keras_tuner.HyperParameters, x: Any) -> Any:
        layers = hp.Int("dense_layers", 0, 2, default=1)
        for index in range(2):
            with hp.conditional_scope("dense_layers", list(range(index + 1, 3))):
                if index < layers:
                    units = hp.Int(
                        f"dense_units_{index}", 32, 256, step=2, sampling="log", default=128
                    )
                    x = keras.layers.Dense(units, activation="relu", name=f"dense_{index}")(x)
        dropout = hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.0)
        return keras.layers.Dropout(dropout, name="dropout")(x)

    @staticmethod
    def _optimizer(hp: keras_tuner.HyperParameters) -> keras.optimizers.Optimizer:
        name = hp.Choice("optimizer", ["adam", "sgd", "rmsprop"], default="adam")
        learning_rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
        if name == "sgd":
            return keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
        return keras.optimizers.get(
            {"class_name": name, "config": {"learning_rate": learning_rate}}
        )
