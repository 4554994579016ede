"""The cost of running a network: floating-point operations and measured latency."""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.hyperparameters.model_graph import is_functional

_WARM_UP, _LEAST = 5, 30  # calls
_SECONDS = 0.3  # of calls at least: disturbances come in bursts of some milliseconds


@dataclass(frozen=True)
class Latency:
    """Milliseconds from an image in memory to its probabilities, one image at a time.

    Args:
        median: Median of the calls.
        low: 10th percentile.
        high: 90th percentile.
        count: Number of measured calls, after 5 warm-up calls.
    """

    median: float
    low: float
    high: float
    count: int

    def as_dict(self) -> dict[str, float]:
        """Returns plain data that JSON can hold."""
        return {
            "latency_ms": self.median,
            "latency_low_ms": self.low,
            "latency_high_ms": self.high,
            "latency_count": self.count,
        }


def flops(model: keras.Model) -> int | None:
    """Counts the floating-point operations of one image through `model`.

    A multiplication and an addition count as two. Only convolutions and dense layers are counted:
    they do nearly all of the work. Normalisation, activations and pooling are left out; so are
    layers within a subclassed model, whose outputs are not known.

    Args:
        model: A built model; nested models are counted too.

    Returns:
        `None` for a subclass of `keras.Model` with its own `call`, whose layers have no outputs.
    """
    return _flops(model) if is_functional(model) else None


def _flops(model: keras.Model) -> int:
    return sum(_layer_flops(layer) for layer in model.layers)


def _layer_flops(layer: keras.Layer) -> int:
    if isinstance(layer, keras.Model):
        return _flops(layer)
    if isinstance(layer, keras.layers.SeparableConv2D):
        height, width = _size(layer.output.shape, layer.data_format)
        kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
        return 2 * height * width * sum(int(np.prod(kernel.shape)) for kernel in kernels)
    weights = getattr(layer, "kernel", None)
    if weights is None or getattr(layer, "output", None) is None:
        return 0
    if isinstance(layer, keras.layers.Dense):
        positions = int(np.prod(layer.output.shape[1:-1], dtype=np.int64))
        return 2 * positions * int(np.prod(weights.shape))
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        height, width = _size(layer.output.shape, layer.data_format)
        return 2 * height * width * int(np.prod(weights.shape))
    if isinstance(layer, keras.layers.Conv2D):
        height, width = _size(layer.output.shape, layer.data_format)
        return 2 * height * width * int(np.prod(weights.shape))
    return 0


def _size(shape: tuple[int, ...], data_format: str) -> tuple[int, int]:
    return (shape[1], shape[2]) if data_format == "channels_last" else (shape[2], shape[3])


def latency(model: keras.Model, image: npt.NDArray[Any]) -> Latency:
    """Measures the latency of one image, alone in its batch.

    Args:
        model: Maps raw images to probabilities.
        image: `(height, width, channels)`, uint8; or another row.
    """
    batch = image[None] if image.dtype.kind == "S" else image[None].astype("float32")
    for _ in range(_WARM_UP):
        model.predict_on_batch(batch)
    seconds: list[float] = []
    while len(seconds) < _LEAST or sum(seconds) < _SECONDS:
        started = time.perf_counter()
        model.predict_on_batch(batch)
        seconds.append(time.perf_counter() - started)
    low, median, high = (float(q) * 1000 for q in np.quantile(seconds, [0.1, 0.5, 0.9]))
    return Latency(median, low, high, len(seconds))
