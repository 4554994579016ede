"""Worker processes: trials per hour of two against one, and how busy many of them are.

One worker uses all cores; two share them. Plain Keras Tuner has no workers on one machine without
servers of its own, so it runs the same trials beside, one after the other.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quick import Quick
from simulated import Simulation

from experiments import SearchConfig
from experiments.display.base import Display


class Clock(Display):
    """Records when trials began and ended."""

    def __init__(self) -> None:
        self.begins: dict[str, float] = {}
        self.ends: dict[str, float] = {}

    def trial_started(self, trial_id: str, *args: Any) -> None:
        self.begins[trial_id] = time.perf_counter()

    def trial_ended(self, trial_id: str, *args: Any) -> None:
        self.ends[trial_id] = time.perf_counter()

    def trials_per_hour(self, warm: int) -> float:
        """Returns the rate after the first `warm` trials, in which processes are started."""
        ends = sorted(self.ends.values())
        return 3600 * (len(ends) - warm) / (ends[-1] - ends[warm - 1])

    def busy(self, num_workers: int) -> float:
        """Returns the share of time that workers were at trials, once all had begun."""
        begin = sorted(self.begins.values())[num_workers - 1]
        end = sorted(self.ends.values())[-num_workers]  # from then on there is nothing left
        spans = [max(0.0, min(self.ends[i], end) - max(self.begins[i], begin)) for i in self.begins]
        return sum(spans) / (num_workers * (end - begin))


def training_rate(workers: int, num_trials: int, folder: Path) -> float:
    """Returns trials per hour of `mnist_cnn` on the embedded digits."""
    from experiments import run_search

    clock = Clock()
    config = SearchConfig(
        "mnist_cnn",
        dataset="digits",
        max_trials=num_trials,
        max_epochs=3,
        # Every trial costs about the same: workers that wait at the end would say nothing of speed.
        fix={
            "conv_blocks": 2,
            "batch_size": 32,
            "filters_0": 32,
            "filters_1": 32,
            "kernel_size": 3,
            "pooling": "max",
            "convs_per_block": 1,
            "head": "flatten",
            "augment": "none",
        },
        patience=None,
        confirm=0,
        workers=workers,
        name=f"workers-{workers}",
        runs_dir=str(folder),
        cache_dir=str(folder / "cache"),
    )
    run_search(config, clock)
    return clock.trials_per_hour(max(workers, 1))


def busy_share(workers: int, seconds: float, folder: Path) -> float:
    """Returns how busy workers are with trials that only sleep, of unequal length."""
    clock = Clock()
    simulation = Simulation(
        folder / "busy", max_trials=8 * workers, epochs=4, seconds=seconds / 4, workers=workers
    )
    simulation.folder.mkdir()
    simulation.run(observer=clock)
    return clock.busy(workers)


def main() -> None:
    # Worker processes import this file too: TensorFlow would take each of them some seconds.
    made = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    made.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    quick = made.parse_args().quick
    num_trials, seconds = (5, 0.8) if quick else (16, 4.0)
    with TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        share = busy_share(16, seconds, folder)
        print(f"16 workers, trials that sleep {seconds:g} s: {100 * share:.1f} % busy")
        rates = {workers: training_rate(workers, num_trials, folder) for workers in (1, 2)}
    for workers, rate in rates.items():
        print(f"{workers} worker{'s' * (workers > 1)}: {rate:.0f} trials per hour")
    print(f"ratio: {rates[2] / rates[1]:.2f}")


if __name__ == "__main__":
    main()
