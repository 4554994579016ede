"""How busy workers are with trials of unequal length: asha, and Keras Tuner's Hyperband.

Time is simulated: a trial's epochs take between one and ten seconds each, and workers ask for the
next trial as soon as one has ended. Keras Tuner's own oracle is asked in the same way, by as many
workers. Where it has them wait for a round to end, they ask again when the next trial has ended.
"""

import argparse
import os
import random
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner
import numpy as np
from contenders import OBJECTIVE, keras_tuner_seed
from events import simulate
from quick import Quick
from simulated import score, space

from experiments.methods.oracles.hyperband import HyperbandOracle
from experiments.methods.oracles.optuna_oracle import OptunaOracle

_EPOCHS = 27
_OURS = "tpe + asha"
_KERAS_TUNER = "Keras Tuner Hyperband"  # one sweep over its brackets is its default
_ENDLESS = f"{_KERAS_TUNER}, endless sweeps"


def main() -> None:
    """Runs the simulations and prints how busy the workers were."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--trials", type=int, default=1000)
    arguments = parser.parse_args()
    num_trials, seeds = (60, 2) if arguments.quick else (arguments.trials, 5)
    print(f"{arguments.workers} workers, {num_trials} trials, up to {_EPOCHS} epochs of 1 to 10 s")
    print("share of their time that workers are busy, median (range), until ...")
    print(f"{'':38}{'the last trial begins':>26}{'the search ends':>26}")
    busy = {}
    for name in (_OURS, "Hyperband of this suite", _KERAS_TUNER, _ENDLESS):
        runs = [run(name, arguments.workers, num_trials, seed) for seed in range(seeds)]
        columns = list(zip(*runs, strict=True))
        busy[name] = float(np.median(columns[1]))
        cells = [f"{np.median(c):.1%} ({min(c):.1%}..{max(c):.1%})" for c in columns]
        print(f"{name:38}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
    print(f"busy to the end with {_OURS} over busy with {_ENDLESS}: as many trials")
    print(f"ratio: {busy[_OURS] / busy[_ENDLESS]:.2f}")


def make(name: str, folder: str, num_trials: int, seed: int) -> Any:
    """Returns the oracle of a method."""
    options: dict[str, Any] = {"objective": OBJECTIVE, "hyperparameters": space()}
    options["seed"] = keras_tuner_seed(seed)
    if name == _OURS:
        oracle: Any = OptunaOracle(
            "tpe", pruner="asha", max_epochs=_EPOCHS, max_trials=num_trials, **options
        )
    elif name == "Hyperband of this suite":
        oracle = HyperbandOracle(
            _EPOCHS, hyperband_iterations=None, max_trials=num_trials, **options
        )
    else:
        oracle = keras_tuner.oracles.HyperbandOracle(
            max_epochs=_EPOCHS, hyperband_iterations=100 if name == _ENDLESS else 1, **options
        )
    oracle.verbose = 0
    oracle.save = lambda: None
    oracle._set_project_dir(folder, "project")
    return oracle


def run(name: str, num_workers: int, num_trials: int, seed: int) -> tuple[float, ...]:
    """Simulates a search; returns the shares of the workers' time spent on trials."""
    with tempfile.TemporaryDirectory() as folder:
        oracle = make(name, folder, num_trials, seed)
        # One sweep is as many trials as it is.
        most = 10**6 if name == _KERAS_TUNER else num_trials
        return simulate(oracle, num_workers, _EPOCHS, reached, seconds, most).busy


def reached(trial: Any, epoch: int) -> float:
    """Returns what a trial has reached after an epoch, counted from 0."""
    return score(trial.hyperparameters.values, epoch + 1)


def seconds(trial: Any, epoch: int) -> float:
    """Returns the seconds of an epoch of a trial: all take as long."""
    values = trial.hyperparameters.values
    key = sorted((n, v) for n, v in values.items() if "/" not in n)
    return random.Random(str(key)).uniform(1.0, 10.0)


if __name__ == "__main__":
    main()
