"""A random convolution, frozen, under a searched dense layer: a space whose networks are quick."""

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner

from search_spaces.base import ImageSpace
from search_spaces.frozen import LayerSplit, freeze_before


class FrozenConvolution(ImageSpace):
    """A frozen convolution under a dense layer."""

    summary = "random convolution, frozen"
    meanings = {"units": "units of the dense layer", "learning_rate": "step size"}  # noqa: RUF012

    @classmethod
    def required_shape(cls, channels: int, settings: Mapping[str, Any]) -> tuple[int, int, int]:
        return (16, 16, channels)

    def draw(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        rate = hp.Float("learning_rate", 1e-3, 1e-2)
        return {"units": hp.Choice("units", [16, 32]), "rate": rate}

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds and compiles the network that `hp` describes."""
        values = self.draw(hp)
        inputs = keras.Input(self.input_shape)
        x = keras.layers.Rescaling(1 / 255)(inputs)
        x = keras.layers.Conv2D(16, 5, activation="relu")(x)
        x = keras.layers.Flatten()(keras.layers.MaxPooling2D(4, name="embedding")(x))
        x = keras.layers.Dense(values["units"], activation="relu")(x)
        model = keras.Model(inputs, self.output_layer()(x))
        freeze_before(model, "embedding")
        self.compile(model, keras.optimizers.Adam(values["rate"]))
        return model

    def split(self, hp: keras_tuner.HyperParameters) -> LayerSplit:
        """Cuts the network behind its convolution."""
        return LayerSplit(self.build(hp), "embedding", "random convolution")
