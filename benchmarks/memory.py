"""Memory over many tiny trials: the suite's driver and workers, and plain Keras Tuner beside.

Resident memory without what is shared is taken after each trial, of a search in a worker process
and of one in the driver's own. Each search is run in a process of its own. The figure is the
largest of the suite's ratios, mean of the last third of trials over that of the first.
"""

import gc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import keras_tuner
import numpy as np
import psutil
from common import parser

from experiments import SearchConfig, run_search
from experiments.display.base import Display
from experiments.process.hardware import private_bytes
from search_spaces.mnist_cnn import MnistCnn

_FIXED = {"conv_blocks": 1, "filters_0": 16, "dense_layers": 0, "batch_size": 64}


class Gauge(Display):
    """Takes the memory of this process and of its workers after each trial."""

    def __init__(self) -> None:
        self.driver: list[int] = []
        self.workers: list[int] = []

    def trial_ended(self, *args: Any) -> None:
        self.driver.append(private_bytes())
        sizes = []
        for process in psutil.Process().children(recursive=True):
            try:
                sizes.append(private_bytes(process.pid))
            except psutil.Error:
                continue
        self.workers.append(max(sizes, default=0))


def growth(sizes: list[int]) -> float:
    """Returns the mean of the last third over the mean of the first."""
    third = len(sizes) // 3
    return float(np.mean(sizes[-third:]) / np.mean(sizes[:third]))


def suite(num_trials: int, folder: Path, workers: int) -> Gauge:
    """Runs tiny trials in the suite, in one worker process or in this one."""
    gauge = Gauge()
    config = SearchConfig(
        "mnist_cnn",
        dataset="digits",
        sample=100,
        max_trials=num_trials,
        max_epochs=1,
        fix=_FIXED,
        confirm=0,
        workers=workers,
        name=f"memory-{workers}",
        runs_dir=str(folder),
        cache_dir=str(folder / "cache"),
    )
    run_search(config, gauge)
    return gauge


def plain(num_trials: int, folder: Path) -> list[int]:
    """Runs tiny trials in plain Keras Tuner and returns the memory after each."""
    sizes = []

    class Measured(keras_tuner.RandomSearch):  # type: ignore[misc]
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            gc.collect()
            sizes.append(private_bytes())

    hp = keras_tuner.HyperParameters()
    for name, value in _FIXED.items():
        hp.Fixed(name, value)
    tuner = Measured(
        MnistCnn((28, 28, 1), 10),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=hp,
        max_trials=num_trials,
        directory=folder,
        project_name="plain",
        seed=1,
    )
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (80, 28, 28, 1)), rng.integers(0, 10, 80)
    held = (images[64:].astype("float32"), labels[64:])
    tuner.search(
        images[:64].astype("float32"), labels[:64], validation_data=held, epochs=1, verbose=0
    )
    keras.backend.clear_session()
    return sizes


def apart(run: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a function in a new process, so that nothing of another search is in its memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=300)
    given = made.parse_args()
    num_trials = 6 if given.quick else given.trials
    rows: dict[str, list[int]] = {}
    with TemporaryDirectory(dir="/var/tmp") as folder:
        gauge = apart(suite, num_trials, Path(folder), 1)
        rows["driver"], rows["worker"] = gauge.driver, gauge.workers
        rows["driver, --workers 0"] = apart(suite, num_trials, Path(folder), 0).driver
        largest = max(growth(sizes) for sizes in rows.values())
        rows["plain Keras Tuner"] = apart(plain, num_trials, Path(folder))
    for name, sizes in rows.items():
        print(
            f"{name:20} {sizes[0] / 1e6:7.0f} MB after the first of {num_trials} trials, "
            f"{sizes[-1] / 1e6:7.0f} MB after the last, last third over first {growth(sizes):.3f}"
        )
    print(f"growth: {largest:.3f}")


if __name__ == "__main__":
    main()
