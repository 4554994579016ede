"""Frozen weights that were drawn without a seed: drawn again, the same in every trial.

A frozen random layer whose initializer has no seed of its own gets other weights in each trial:
what is compared then is the luck of a draw, and nothing that it computes can be used twice.
"""

import zlib
from typing import Any

import keras
import numpy as np


def settle_drawn(model: keras.Model) -> None:
    """Draws the weights of `model` anew that an initializer without a seed has drawn.

    The new ones are a function of layer, weight and shape alone. Weights that were given (loaded,
    or drawn from a seed) are left alone.

    Args:
        model: The frozen part; inner models are unfolded.
    """
    for position, layer in enumerate(_layers(model)):
        unseeded = _unseeded(layer)
        for weight in layer.weights if unseeded else ():
            drew = next((one for one in unseeded if _has_drawn(one, weight)), None)
            if drew is not None:
                text = f"{position} {type(layer).__name__} {weight.name} {tuple(weight.shape)}"
                weight.assign(_with_seed(drew, zlib.crc32(text.encode()))(weight.shape))


def _layers(model: Any) -> list[Any]:
    found: list[Any] = []
    for layer in model.layers:
        found += _layers(layer) if hasattr(layer, "layers") else [layer]
    return found


def _unseeded(layer: Any) -> list[Any]:
    """Returns the random initializers of a layer that were given no seed."""
    return [
        value
        for name, value in vars(layer).items()
        if name.endswith("initializer")
        and hasattr(value, "seed")
        and value.get_config().get("seed", 0) is None
    ]


def _has_drawn(initializer: Any, weight: Any) -> bool:
    # An initializer draws the same values each time it is called: those of a seed it has chosen.
    try:
        drawn = initializer(weight.shape)
    except (TypeError, ValueError):  # of another weight's shape
        return False
    return bool(np.array_equal(keras.ops.convert_to_numpy(drawn), weight.numpy()))


def _with_seed(initializer: Any, seed: int) -> Any:
    return type(initializer).from_config(initializer.get_config() | {"seed": seed})
