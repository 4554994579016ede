"""A search of transfer heads on a frozen base: the suite against plain Keras Tuner.

The suite runs all trials, its features computed from nothing. Plain Keras Tuner runs the first of
the same trials; the rest is extrapolated from their mean, for it would take hours. Then the suite
searches once more, with other trials, on the features that are there now; the matrix products and
updates of these trials alone say how far that is from what the processor can do. Plain Keras Tuner
has no workers on one machine; the suite has as many as are asked for, each with its share of the
cores.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import tensorflow as tf
from common import (
    outside_fit,
    parser,
    phase_seconds,
    prepared,
    proposals_of,
    run_plain,
    run_suite,
    search_config,
    workplace,
)

_FEATURES = 1280  # of MobileNetV2 at alpha 1 or less


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--alpha", type=float, default=0.35)
    arguments.add_argument("--trials", type=int, default=20)
    arguments.add_argument("--plain-trials", type=int, default=2)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--images", type=int, default=5000)
    arguments.add_argument("--workers", type=int, default=0, help="of the suite; 0: this process")
    arguments.add_argument("--again", type=int, default=100, help="trials on features there are")
    given = arguments.parse_args()
    if given.quick:
        given.trials, given.plain_trials, given.epochs, given.images = 6, 1, 2, 400
        given.again = 10
    with workplace() as folder:
        config = search_config(
            folder,
            given.data_dir,
            space="transfer_head",
            dataset="cats_vs_dogs",
            sample=given.images,
            settings={"alpha": given.alpha, "weights": "none"},
            fix={"unfreeze": False},
            max_trials=given.trials,
            max_epochs=given.epochs,
            workers=given.workers,
        )
        data = prepared(config)
        study, suite = run_suite(config)
        phases = phase_seconds(study)
        more = replace(config, name="again", max_trials=given.again, seed=config.seed + 1)
        second, again = run_suite(more)
        again_phases = phase_seconds(second)
        bare = partial(bare_seconds, rows=len(data.open("train").labels), epochs=given.epochs)
        with ProcessPoolExecutor(1, get_context("spawn"), to_one_core) as pool:
            alone = list(pool.map(bare, proposals_of(second)))
        plain = run_plain(config, data, proposals_of(study, given.plain_trials), folder / "plain")
    total = float(np.mean(plain)) * given.trials
    print(
        f"{given.trials} trials x {given.epochs} epochs, {given.images:,} images at 224, "
        f"MobileNetV2 {given.alpha:g} frozen, weights drawn at random"
    )
    print(
        f"plain Keras Tuner: {', '.join(f'{s:.1f}' for s in plain)} s for {len(plain)} trials; "
        f"{total:.0f} s for {given.trials}, extrapolated"
    )
    where = f"{given.workers} workers" if given.workers else "one process"
    print(f"suite, {where}: {suite:.1f} s for {given.trials} trials, features from nothing")
    print("  mean seconds of a trial: " + ", ".join(f"{n} {s:.2f}" for n, s in phases.items()))
    print(f"  outside fit and features: {outside_fit(phases):.2f} s a trial")
    print(f"ratio: {total / suite:.1f}")
    print(
        f"again, {given.again} trials on features that are there: {again:.1f} s, "
        f"{again / given.again:.2f} s a trial, all in"
    )
    print(
        "  mean seconds of a trial: " + ", ".join(f"{n} {s:.2f}" for n, s in again_phases.items())
    )
    print(f"  products and updates alone, on one core: {np.mean(alone):.2f} s")


def to_one_core() -> None:
    """Lets TensorFlow use one core in this process."""
    tf.config.threading.set_intra_op_parallelism_threads(1)


def bare_seconds(values: Mapping[str, Any], rows: int, epochs: int) -> float:
    """Returns the seconds of a head's matrix products and of Adam's updates, and of nothing else.

    They are the weights' only: no biases, activations, dropout, loss, metrics or validation.
    """
    units = [values[f"dense_units_{i}"] for i in range(values["dense_layers"])]
    sizes = [_FEATURES, *units, 2]
    features = tf.random.normal((rows, _FEATURES))
    weights = [tf.Variable(tf.random.normal(shape)) for shape in pairwise(sizes)]
    moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2)]
    by = values["batch_size"]

    def body(first: Any) -> Any:
        maps = [features[first : first + by]]
        for weight in weights:
            maps.append(maps[-1] @ weight)
        error = maps[-1]
        for index in reversed(range(len(weights))):
            gradient = tf.matmul(maps[index], error, transpose_a=True)
            if index:
                error = tf.matmul(error, weights[index], transpose_b=True)
            variables = (weights[index], moments[0][index], moments[1][index])
            tf.raw_ops.ResourceApplyAdam(
                **{n: v.handle for n, v in zip(("var", "m", "v"), variables, strict=True)},
                **{"beta1_power": 0.9, "beta2_power": 0.999, "lr": 1e-3, "beta1": 0.9},
                **{"beta2": 0.999, "epsilon": 1e-7, "grad": gradient},
            )
        return first + by

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def epoch() -> None:
        tf.while_loop(lambda first: first < rows, body, (tf.constant(0),))

    epoch()
    started = time.perf_counter()
    for _ in range(epochs):
        epoch()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
