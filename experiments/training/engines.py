"""What computes the features of a frozen part: OpenVINO where it pays, else TensorFlow.

On a CPU, OpenVINO computes MobileNets two to three times as fast as TensorFlow, in single precision
too. Its numbers are compared with TensorFlow's on images of the dataset before any of them is kept.

Which engine it is depends on nothing that is measured: only on the part, the dataset, the number
of threads and what is installed. So each process and each session takes the same one, and all
features of one part and dataset have the same origin.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.data.prepare import PreparedData
from experiments.process.numerics import intra_op_threads
from experiments.record.errors import named_line
from experiments.training.by_part import kept_by_part
from experiments.training.costs import flops
from search_spaces.frozen import VIEWS, FrozenPart

TENSORFLOW, OPENVINO = "TensorFlow", "OpenVINO"
TOLERANCE = 1e-4  # of the largest feature
_CHECKED, _AT_ONCE = 256, 32  # images that are compared, and that are in memory together
_ROWS = 8  # images that OpenVINO takes at once; with more, they leave the processor's cache
# What converting and comparing cost (13 networks on one core: 1 to 11 ms a layer), and what it
# saves: 0.4 to 0.6 of TensorFlow's seconds (MobileNets). TensorFlow reaches 15 to 190 GFLOPS a
# thread, most networks some 30 to 130.
_SECONDS, _SECONDS_A_LAYER = 0.3, 5e-3
_FLOPS_A_SECOND, _SHARE_SAVED = 50e9, 0.5
_SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # workers would be pinned to the same cores
    "ENABLE_HYPER_THREADING": True,  # else it may take fewer threads than it is given
}

_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Engine:
    """What computes the features of one part.

    Args:
        name: `TENSORFLOW` or `OPENVINO`.
        outputs: Names of the part's outputs.
        compute: From images, `(batch, height, width, channels)`, uint8, to the outputs in order.
        difference: Largest difference from TensorFlow, as a share of the largest feature.
        refused: Why it is not OpenVINO though that was tried; empty if it was not.
    """

    name: str
    outputs: tuple[str, ...]
    compute: Callable[[_Array], list[_Array]]
    difference: float | None = None
    refused: str = ""

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {metadata.version(self.name.lower())}"

    @property
    def remark(self) -> str:
        """Says in brackets what a user would not expect; empty where that is nothing."""
        if self.refused:
            return f" ({self.name}, for {self.refused})"
        return "" if self.name == TENSORFLOW else f" ({self.name})"

    @property
    def facts(self) -> dict[str, Any]:
        """What an entry's record says of the engine."""
        compared = {} if self.difference is None else {"engine_difference": self.difference}
        return {"engine": self.label, **compared} | (
            {"engine_refused": self.refused} if self.refused else {}
        )


def forward(engine: Engine, images: _Array, view: str) -> dict[str, _Array]:
    """Returns the features of images, `(batch, height, width, channels)`, uint8, by output."""
    seen = np.ascontiguousarray(VIEWS[view](np.asarray(images)))
    return dict(zip(engine.outputs, engine.compute(seen), strict=True))


def engine_of(part: FrozenPart, data: PreparedData) -> Engine:
    """Returns what computes the features of `part` for all images of a dataset."""
    return fastest(part, data) if pays(part, data) else by_tensorflow(part)


def fastest(part: FrozenPart, data: PreparedData) -> Engine:
    """Returns OpenVINO if it is there and its features are TensorFlow's, else TensorFlow.

    Args:
        part: The frozen part.
        data: The engines are compared on the first of its training images.
    """
    if not _may_convert():
        return by_tensorflow(part)
    return _converted(part, _Sample(data.fingerprint, data))


def pays(part: FrozenPart, data: PreparedData) -> bool:
    """Whether converting the network to OpenVINO takes less time than it saves.

    Counted, not timed: what is timed is another engine now and then, and other numbers.
    """
    images = sum(data.counts.get(split, 0) for split in ("train", "validation"))
    seconds = images * (flops(part.model) or 0) / (_FLOPS_A_SECOND * intra_op_threads())
    return seconds * _SHARE_SAVED > _SECONDS + _SECONDS_A_LAYER * _num_layers(part.model)


def largest_difference(found: Sequence[_Array], expected: Sequence[_Array]) -> float:
    """Returns the largest difference of any output, as a share of the output's largest value.

    `inf` where that is no number.
    """
    shares = [_share(one, other) for one, other in zip(found, expected, strict=True)]
    return max(shares, default=0.0)


def _share(found: _Array, expected: _Array) -> float:
    difference = float(np.abs(found - expected).max(initial=0.0))
    scale = float(np.abs(expected).max(initial=0.0))
    share = difference / scale if scale else (0.0 if difference == 0 else np.inf)
    return float(share) if np.isfinite(share) else np.inf


def _may_convert() -> bool:
    import tensorflow as tf

    return not tf.config.get_visible_devices("GPU") and find_spec("openvino") is not None


@dataclass(frozen=True)
class _Sample:
    """Images of a dataset on which engines are compared."""

    fingerprint: str
    data: PreparedData = field(compare=False)

    @property
    def images(self) -> _Array:
        return np.ascontiguousarray(self.data.open("train").images[:_CHECKED])


@kept_by_part(4)
def by_tensorflow(part: FrozenPart) -> Engine:
    """Returns TensorFlow for a part."""
    return _exact(part, _graph(part))


@kept_by_part(4)
def _converted(part: FrozenPart, sample: _Sample) -> Engine:
    graph, images = _graph(part), sample.images
    exact = _exact(part, graph)
    expected = _all(exact.compute, images)
    try:
        compute = _by_openvino(graph, images.shape[1:])
        difference = largest_difference(_all(compute, images), expected)
    except Exception as error:  # a conversion fails in as many ways as there are operations
        return replace(exact, refused=f"OpenVINO fails: {named_line(error, 120)}")
    if difference > TOLERANCE:
        return replace(exact, refused=f"OpenVINO's differ by {difference:.1g} of the largest")
    return Engine(OPENVINO, exact.outputs, compute, difference)


def _all(compute: Callable[[_Array], list[_Array]], images: _Array) -> list[_Array]:
    """Returns the outputs for all images, computed a few at a time."""
    firsts = range(0, len(images), _AT_ONCE)
    batches = [compute(images[first : first + _AT_ONCE]) for first in firsts]
    return [np.concatenate(arrays) for arrays in zip(*batches, strict=True)]


def _exact(part: FrozenPart, graph: Any) -> Engine:
    import tensorflow as tf

    def compute(images: _Array) -> list[_Array]:
        return [np.asarray(output) for output in graph(tf.constant(images))]

    return Engine(TENSORFLOW, tuple(sorted(part.model.output)), compute)


def _graph(part: FrozenPart) -> Any:
    """Returns the part as a graph of constants, or of variables where that can't be.

    TensorFlow folds batch normalisation and activations into the convolutions of constants. This
    makes MobileNetV2 1.6 times faster on a CPU. The output changes by float rounding only.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def run(images: object) -> list[Any]:
        outputs = part.model(tf.cast(images, tf.float32), training=False)
        return [outputs[name] for name in sorted(outputs)]

    spec = tf.TensorSpec(part.model.input.shape, tf.uint8)
    function = tf.function(run, autograph=False, input_signature=[spec])
    traced = function.get_concrete_function()
    try:
        return convert_variables_to_constants_v2(traced)
    except (ValueError, TypeError, NotImplementedError):  # a variable that it writes, a table
        return traced


def _by_openvino(graph: Any, shape: tuple[int, ...]) -> Callable[[_Array], list[_Array]]:
    """Converts a graph of constants for images of `shape`, `(height, width, channels)`.

    Read as a file, for `openvino.convert_model` reports to its makers that it was called.
    """
    import openvino

    if graph.captured_inputs:
        raise ValueError("it has variables that can't be made constants")
    core = openvino.Core()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "network.pb"
        path.write_bytes(graph.graph.as_graph_def().SerializeToString())
        network = core.read_model(path)
        network.reshape([_ROWS, *shape])
        threads = {"INFERENCE_NUM_THREADS": intra_op_threads()}
        compiled = core.compile_model(network, "CPU", _SETTINGS | threads)
    request = compiled.create_infer_request()
    outputs = [compiled.output(tensor.name) for tensor in graph.outputs]

    def compute(images: _Array) -> list[_Array]:
        found: list[list[_Array]] = [[] for _ in outputs]
        for first in range(0, len(images), _ROWS):
            rows = images[first : first + _ROWS]
            request.infer({0: _filled(rows)}, share_inputs=True)
            for into, output in zip(found, outputs, strict=True):
                into.append(request.get_tensor(output).data[: len(rows)].copy())
        return [np.concatenate(arrays) for arrays in found]

    return compute


def _filled(rows: _Array) -> _Array:
    """Repeats the last of the rows until there are `_ROWS`."""
    missing = _ROWS - len(rows)
    return rows if not missing else np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])


def _num_layers(model: Any) -> int:
    return sum(_num_layers(inner) if hasattr(inner, "layers") else 1 for inner in model.layers)
