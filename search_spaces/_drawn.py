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
    for number, layer in enumerate(_layers(model)):
        _settle(layer, str(number))
        # Attention, a recurrent layer or a wrapper has layers of its own, which draw.
        for inner, part in enumerate(layer._flatten_layers(include_self=False)):
            _settle(part, f"{number}.{inner}")


def _settle(layer: Any, position: str) -> None:
    unseeded = _unseeded(layer)
    for weight in layer.weights if unseeded else ():
        scales = ((one, _scale(one, weight)) for one in unseeded)
        drew, scale = next((found for found in scales if found[1]), (None, 0.0))
        if drew is not None:
            text = f"{position} {type(layer).__name__} {weight.name} {tuple(weight.shape)}"
            weight.assign(scale * _with_seed(drew, zlib.crc32(text.encode()))(weight.shape))


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


def _scale(initializer: Any, weight: Any) -> float:
    """Returns what an initializer's draw was multiplied by to give a weight; 0 if it was not.

    `EinsumDense` has its kernel scaled by other sums than the initializer sees in the shape.
    """
    # An initializer draws the same values each time it is called: those of a seed it has chosen.
    try:
        drawn = keras.ops.convert_to_numpy(initializer(weight.shape))
    except (TypeError, ValueError):  # of another weight's shape
        return 0.0
    values = keras.ops.convert_to_numpy(weight)
    if np.array_equal(drawn, values):
        return 1.0
    scale = float(np.linalg.norm(values) / (np.linalg.norm(drawn) or 1))
    is_scaled = values.size > 1 and np.allclose(values, scale * drawn, rtol=1e-5, atol=0)
    return float(f"{scale:.3g}") if is_scaled else 0.0  # rounded: it is to be the same each time


def _with_seed(initializer: Any, seed: int) -> Any:
    return type(initializer).from_config(initializer.get_config() | {"seed": seed})
