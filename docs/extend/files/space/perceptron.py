"""A multilayer perceptron: the smallest search space that does everything a space has to do."""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import keras_tuner

from search_spaces.base import ImageSpace, draw_sizes


class Perceptron(ImageSpace):
    """Dense layers on the pixels of an image.

    Args:
        input_shape: `(height, width, channels)` of the images, values 0..255.
        num_classes: Number of classes, at least 2.
        image_size: Side in pixels that the suite brings images to.
    """

    summary: ClassVar[str] = "dense layers on pixels"
    meanings: ClassVar[Mapping[str, str]] = {
        "activation": "what follows each dense layer",
        "dense_layers": "number of dense layers before the output",
        "dense_units_0": "units of the dense layer (one hyperparameter a layer)",
        "learning_rate": "step size of the optimizer",
        "batch_size": "images a batch",
    }
    settings: ClassVar[Mapping[str, str]] = {"image_size": "side of the square images, in pixels"}
    architecture: ClassVar[tuple[str, ...]] = ("activation", "dense_layers")

    def __init__(
        self, input_shape: tuple[int, int, int], num_classes: int, image_size: int = 16
    ) -> None:
        super().__init__(input_shape, num_classes)
        self.image_size = image_size

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        size = int(settings.get("image_size", 16))
        return (size, size, channels)

    def draw(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        return {
            "activation": hp.Choice("activation", ["relu", "tanh"], default="relu"),
            "dense_units": draw_sizes(hp, "dense_layers", "dense_units", (0, 1, 2), (16, 128, 64)),
            "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3),
            "batch_size": hp.Choice("batch_size", [32, 64], default=32),
        }

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network that `hp` describes."""
        values = self.draw(hp)
        inputs = keras.Input(self.input_shape, name="image")
        x = keras.layers.Rescaling(1 / 255, name="rescale")(inputs)
        x = keras.layers.Flatten(name="flatten")(x)
        for index, units in enumerate(values["dense_units"]):
            x = keras.layers.Dense(units, values["activation"], name=f"dense_{index}")(x)
        model = keras.Model(inputs, self.output_layer()(x))
        self.compile(model, keras.optimizers.Adam(values["learning_rate"]))
        return model
