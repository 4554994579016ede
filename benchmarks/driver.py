"""The driver's own cost per trial, with trials that do nothing, beside plain Keras Tuner's.

Both write their records to the disk as they do in a search. The figure is the suite's milliseconds
per trial at the largest number of trials.
"""

import argparse
import contextlib
import io
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from quick import Quick
from simulated import Simulation, space

from experiments.display.base import Display

_WINDOW = 50  # trials that a figure is the mean of


class Times(Display):
    """Records when each trial has ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def trial_ended(self, *args: Any) -> None:
        self.ends.append(time.perf_counter())


def cost_ms(ends: list[float], at: int) -> float:
    """Returns milliseconds per trial, mean of the last ones up to trial `at`."""
    window = min(_WINDOW, at - 1)
    return (ends[at - 1] - ends[at - 1 - window]) / window * 1000


def suite(folder: Path, num_trials: int) -> list[float]:
    """Runs empty trials in the suite and returns when each has ended."""
    times = Times()
    Simulation(folder, max_trials=num_trials, epochs=1, keeps_state=False).run(observer=times)
    return times.ends


def plain(folder: Path, num_trials: int) -> list[float]:
    """Runs empty trials in plain Keras Tuner and returns when each has ended."""
    import keras_tuner

    ends = []

    class Empty(keras_tuner.RandomSearch):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return 0.5

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    tuner = Empty(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        hyperparameters=space(),
        max_trials=num_trials,
        directory=folder,
        project_name="plain",
        seed=1,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        tuner.search(verbose=0)
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="500 trials instead of 5,000")
    largest = 500 if parser.parse_args().quick else 5000
    with TemporaryDirectory(dir="/var/tmp") as folder:
        (Path(folder) / "suite").mkdir()
        ours = suite(Path(folder) / "suite", largest)
        theirs = plain(Path(folder), largest)
    print(f"{'trials':>8} {'suite':>10} {'plain Keras Tuner':>20}   (ms per trial)")
    for at in (100, largest):
        print(f"{at:>8} {cost_ms(ours, at):>10.1f} {cost_ms(theirs, at):>20.1f}")
    print(f"milliseconds: {cost_ms(ours, largest):.1f}")


if __name__ == "__main__":
    main()
