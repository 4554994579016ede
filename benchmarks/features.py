"""Features of frozen parts: images a second by a plain `tf.function` and by the suite's engine.

Four networks with trained weights, pooled, on real images of 224 pixels. The ways take turns in
one process; each figure is the median of the repeats. Keras takes its weights from KERAS_HOME or
downloads them; MobileNetV3Small's are a file.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import parser, prepared, search_config, workplace

from experiments.data.prepare import PreparedData
from experiments.process.hardware import num_cores
from experiments.process.numerics import cpu_model, intra_op_threads
from experiments.training.engines import Engine, by_tensorflow, fastest, largest_difference
from experiments.training.feature_computing import BATCH
from search_spaces._backbone import BaseKey, pooled_part
from search_spaces._bases import BASES
from search_spaces.frozen import FrozenPart

# Weights that developers keep beside the checkout.
_WEIGHTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "weights"
_SIDE, _REPEATS = 224, 3
_ASKED = 2.0  # times the images a second


def networks(weights_dir: Path) -> dict[str, FrozenPart]:
    """Returns the parts whose weights are there, by name."""
    small = weights_dir / "mobilenet_v3_small_0.75_224_no_top.h5"
    wanted = [("MobileNet", 0.25, "imagenet"), ("MobileNetV2", 0.35, "imagenet"),
              ("MobileNetV3Small", 0.75, str(small)), ("MobileNetV2", 1.0, "imagenet")]  # fmt: skip
    return {
        f"{name} {alpha:g}": pooled_part(BaseKey(BASES[name], (_SIDE, _SIDE, 3), alpha, weights))
        for name, alpha, weights in wanted
        if weights == "imagenet" or Path(weights).is_file()
    }


def plain(part: FrozenPart) -> Callable[[Any], list[Any]]:
    """The network as a `tf.function` of its variables."""
    import tensorflow as tf

    names = sorted(part.model.output)
    function = tf.function(lambda images: part.model(tf.cast(images, "float32"), training=False))

    def compute(images: Any) -> list[Any]:
        outputs = function(tf.constant(images))
        return [np.asarray(outputs[name]) for name in names]

    return compute


def computed(way: Callable[[Any], list[Any]], images: Any) -> tuple[list[Any], float]:
    """Returns the outputs for all images, and images a second."""
    started = time.perf_counter()
    batches = [way(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
    rate = len(images) / (time.perf_counter() - started)
    return [np.concatenate(arrays) for arrays in zip(*batches, strict=True)], rate


def ready(make: Callable[[], Engine], images: Any) -> tuple[Engine, float]:
    """Returns an engine that has computed a batch, and the seconds this took."""
    started = time.perf_counter()
    engine = make()
    engine.compute(images[:BATCH])
    return engine, time.perf_counter() - started


def measure(name: str, part: FrozenPart, data: PreparedData, images: Any) -> float:
    """Prints a line; returns the engine's images a second over those of a `tf.function`."""
    function = plain(part)
    function(images[:BATCH])
    constants, seconds = ready(lambda: by_tensorflow(part), images)
    engine, engine_seconds = ready(lambda: fastest(part, data), images)
    ways = {"tf.function": function, "constants": constants.compute, "engine": engine.compute}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    outputs = {}
    for _ in range(_REPEATS):
        for way, compute in ways.items():
            outputs[way], rate = computed(compute, images)
            rates[way].append(rate)
    plain_rate, constant_rate, engine_rate = (median(rates[way]) for way in ways)
    difference = largest_difference(outputs["engine"], outputs["tf.function"])
    print(
        f"{name:22} {plain_rate:9.0f} {constant_rate:10.0f} {engine_rate:8.0f} "
        f"{engine_rate / plain_rate:6.2f} {difference:11.1e}  {seconds:7.1f} {engine_seconds:7.1f}"
        f"  {engine.label}{engine.refused and f' ({engine.refused})'}",
        flush=True,
    )
    return engine_rate / plain_rate


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=int, default=2048)
    arguments.add_argument("--weights-dir", type=Path, default=_WEIGHTS)
    given = arguments.parse_args()
    if given.quick:
        given.images = 256
    with workplace() as folder:
        config = search_config(
            folder,
            given.data_dir,
            space="transfer_head",
            dataset="cats_vs_dogs",
            sample=given.images,
            settings={"alpha": 0.35, "weights": "none", "image_size": _SIDE},
            fix={"unfreeze": False},
        )
        data = prepared(config)
        images = np.array(data.open("train").images)
        print(
            f"{len(images):,} images of cats_vs_dogs at {_SIDE}, {cpu_model()}, {num_cores()} "
            f"cores, {intra_op_threads()} threads; medians of {_REPEATS}"
        )
        print(
            f"{'':22} {'images/s:':>9}\n{'':22} {'function':>9} {'constants':>10} {'engine':>8} "
            f"{'ratio':>6} {'difference':>11}  {'s until ready: both':>15}"
        )
        parts = networks(given.weights_dir)
        ratios = [measure(name, part, data, images) for name, part in parts.items()]
    print(f"least ratio of engine and tf.function: {min(ratios):.2f} (asked: {_ASKED:g})")


if __name__ == "__main__":
    main()
