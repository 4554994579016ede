"""The cost of running a network: floating-point operations and measured latency."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.hyperparameters.model_graph import Shape, calls_of, is_functional

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

    A multiplication and an addition count as two. Only what multiplies matrices is counted:
    convolutions, dense and recurrent layers, and attention do nearly all of the work, each as often
    as it is called. Normalisation, activations, pooling and embeddings are left out.

    Args:
        model: A built model; nested models are counted too.

    Returns:
        `None` where they are not known: of a subclass of `keras.Model` with its own `call`, of
        another layer with matrices of its own, and where an image has no size.
    """
    try:
        return 2 * _of_model(model)
    except _UncountedError:
        return None


class _UncountedError(Exception):
    """The operations of a layer are not known."""


def _of_model(model: keras.Model, *shapes: Shape) -> int:
    """Returns the multiplications of a model; it says itself of what shapes its inputs are."""
    if not is_functional(model):
        raise _UncountedError
    graph = getattr(model, "_functional", None) or model  # of a `Sequential`
    calls = calls_of(graph, graph.layers)
    return sum(
        _of_layer(layer, *(tuple(tensor.shape) for tensor in call.input_tensors))
        for layer in filter(_multiplies, graph.layers)
        for call in calls[id(layer)]
    )


def _multiplies(layer: keras.Layer) -> bool:
    if isinstance(layer, keras.layers.Attention):
        return True
    if isinstance(layer, keras.Model) and is_functional(layer):
        return True
    return not isinstance(layer, _LEFT_OUT) and any(len(w.shape) > 1 for w in layer.weights)


def _of_layer(layer: keras.Layer, *shapes: Shape) -> int:
    """Returns the multiplications of a layer that is given tensors of these shapes."""
    for kinds, count in _COUNTED:
        if isinstance(layer, kinds):
            return count(layer, *shapes)
    raise _UncountedError


def _product(sizes: Sequence[int | None]) -> int:
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise _UncountedError
    return math.prod(known)


def _sizes(*kernels: Any) -> int:
    return sum(math.prod(kernel.shape) for kernel in kernels)


def _places(layer: Any, shape: Shape) -> int:
    return _product(shape[1:-1] if layer.data_format == "channels_last" else shape[2:])


def _of_convolution(layer: Any, shape: Shape) -> int:
    return _places(layer, layer.compute_output_shape(shape)) * _sizes(layer.kernel)


def _of_separable(layer: Any, shape: Shape) -> int:
    kernels = _sizes(layer.depthwise_kernel, layer.pointwise_kernel)
    return _places(layer, layer.compute_output_shape(shape)) * kernels


def _of_transposed(layer: Any, shape: Shape) -> int:
    return _places(layer, shape) * _sizes(layer.kernel)


def _of_dense(layer: Any, shape: Shape) -> int:
    return _product(shape[1:-1]) * _sizes(layer.kernel)


def _of_einsum(layer: Any, shape: Shape) -> int:
    """Each input is multiplied by all of the kernel that lies on axes of its own."""
    given, axes = layer.equation.split("->")[0].split(",")
    sizes: tuple[int, ...] = tuple(layer.kernel.shape)
    own = [size for axis, size in zip(axes, sizes, strict=True) if axis not in given]
    return _product(shape[1:]) * math.prod(own)


def _of_recurrent(layer: Any, shape: Shape, *states: Shape) -> int:
    stacked = isinstance(layer.cell, keras.layers.StackedRNNCells)
    cells = layer.cell.cells if stacked else [layer.cell]
    if not all(isinstance(cell, _CELLS) for cell in cells):
        raise _UncountedError
    kernels = sum(_sizes(cell.kernel, cell.recurrent_kernel) for cell in cells)
    return _product(shape[1:2]) * kernels


def _of_both_ways(layer: Any, shape: Shape, *states: Shape) -> int:
    return _of_layer(layer.forward_layer, shape) + _of_layer(layer.backward_layer, shape)


def _of_each_step(layer: Any, shape: Shape, *masks: Shape) -> int:
    return _product(shape[1:2]) * _of_layer(layer.layer, (shape[0], *shape[2:]))


def _of_attention(layer: Any, query: Shape, value: Shape, *more: Shape) -> int:
    sizes = _product(query[-1:]) + _product(value[-1:])
    return _product((*query[1:-1], *value[1:-1])) * sizes


def _of_heads(layer: Any, query: Shape, value: Shape, *more: Shape) -> int:
    if getattr(layer, "use_gate", False):
        raise _UncountedError
    asked, attended = _product(query[1:-1]), _product([value[n] for n in layer.attention_axes])
    projected = asked * _sizes(layer.query_dense.kernel, layer.output_dense.kernel)
    projected += _product(value[1:-1]) * _sizes(layer.key_dense.kernel, layer.value_dense.kernel)
    sizes = int(layer.num_heads * (layer.key_dim + layer.value_dim))
    return projected + asked * attended * sizes


_LEFT_OUT = (
    keras.layers.BatchNormalization,
    keras.layers.Embedding,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
)
_CELLS = (keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell)
_COUNTED: tuple[tuple[Any, Callable[..., int]], ...] = (
    (keras.Model, _of_model),
    (keras.layers.Dense, _of_dense),
    (keras.layers.EinsumDense, _of_einsum),
    (
        (
            *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
            *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
        ),
        _of_convolution,
    ),
    ((keras.layers.SeparableConv1D, keras.layers.SeparableConv2D), _of_separable),
    (
        (
            keras.layers.Conv1DTranspose,
            keras.layers.Conv2DTranspose,
            keras.layers.Conv3DTranspose,
        ),
        _of_transposed,
    ),
    (keras.layers.Bidirectional, _of_both_ways),
    (keras.layers.TimeDistributed, _of_each_step),
    (keras.layers.RNN, _of_recurrent),
    (keras.layers.MultiHeadAttention, _of_heads),
    (keras.layers.Attention, _of_attention),
)


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
