"""Backbones with weights that images can be told apart through, and a small one in a file."""

from pathlib import Path

import keras
import numpy as np


def draw_through(model: keras.Model) -> None:
    """Weights through which an image's signal passes; Keras' own random ones let it fade."""
    noise = np.random.default_rng(0).standard_normal(99_991, "float32")  # a prime number of them
    for weight in model.weights:
        if len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[: 2 if "depthwise" in weight.path else -1])
            weight.assign(np.resize(noise * np.float32(np.sqrt(2 / fan_in)), weight.shape))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.adapt_mean.assign([0.4, 0.5, 0.6])
            layer.adapt_variance.assign([0.04, 0.06, 0.05])
            layer.finalize_state()


def own_backbone(path: Path, side: int | None = None) -> str:
    """Saves a backbone of three stages, cut at `stage2` and `stage1`, and returns its path."""
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Normalization()(keras.layers.Rescaling(1 / 255)(inputs))
    for stage, filters in enumerate((8, 16, 32)):
        x = keras.layers.Conv2D(filters, 3, padding="same", name=f"stage{stage}")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.MaxPooling2D()(keras.layers.ReLU()(x) * 2.0)
    model = keras.Model(inputs, x)
    draw_through(model)
    model.save(path)
    return str(path)
