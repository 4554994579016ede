"""Searches on a known function, by the project's own oracles, as studies in memory.

The learning rate explains 91 % of the variance of the score and the number of blocks the rest; the
kernels of the second block are conditional and inert, as are the other hyperparameters.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments.config import SearchConfig
from experiments.search.run import describe_space
from reports.study.frames import epochs_frame, trials_frame
from reports.study.study import Study

EPOCHS, NOISE = 9, 0.004
SHARES = {"learning_rate": 0.91, "blocks": 0.09}  # all others: 0
INERT_CHOICES = ("pooling", "norm", "activation", "kernel_1")
_BLOCKS = math.sqrt(0.09 / 0.91 * 0.08**2 * 0.45 * 4.5)  # what a second block adds


@cache
def space() -> Any:
    """Returns the hyperparameters that are searched."""
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=1e-3)
    hp.Int("blocks", 1, 3)
    with hp.conditional_scope("blocks", [2, 3]):
        hp.Choice("kernel_1", [3, 5, 7])
    hp.Choice("pooling", ["max", "average"])
    hp.Boolean("norm")
    hp.Choice("activation", ["relu", "elu", "tanh"])
    hp.Float("dropout", 0.0, 0.5)
    return hp


def quality(values: dict[str, Any]) -> float:
    """Returns the score of a network after infinitely many epochs, without noise."""
    return (
        0.9
        - 0.08 * (math.log10(values["learning_rate"]) + 2.5) ** 2
        + _BLOCKS * (values["blocks"] > 1)
    )


def searched(method: str, pruner: str, num_trials: int, seed: int, matters: bool = True) -> Study:
    """Runs a search of the known function and returns its study, without files.

    Args:
        method: `random`, `hyperband`, or one of Optuna's methods.
        pruner: `none` or `asha`.
        num_trials: Trials.
        seed: Seed of search and noise.
        matters: Whether learning rate and blocks matter; else scores are noise alone.
    """
    rng = np.random.default_rng([seed, 0x5E])
    several = pruner == "asha" or method == "hyperband"
    config = SearchConfig(
        "mnist_cnn", method=method, pruner=None if pruner == "none" else pruner,
        max_trials=num_trials, max_epochs=EPOCHS if several else 1, seed=seed,
    )  # fmt: skip
    oracle = _oracle(config)
    curves: dict[str, list[float]] = {}
    states = []
    while (trial := oracle.create_trial("0")).status == "RUNNING":
        states.append(_run(oracle, trial, curves, config.max_epochs, rng, matters))
    described = describe_space(space())
    record = {
        "config": _recorded(config),
        "space": described,
        "sessions": [{}],
        "search_ended": 1.0,
        "architecture": ["blocks", *INERT_CHOICES],
    }
    hyperparameters = {hp["name"]: hp for hp in described}
    return Study(
        folder=Path("simulated"),
        name="simulated",
        record=record,
        objective="val_accuracy",
        direction="max",
        trials=trials_frame(states, hyperparameters, {}),
        read_epochs=lambda only: epochs_frame([s for s in states if only in (None, s[0])]),
        hyperparameters=hyperparameters,
    )


def _recorded(config: SearchConfig) -> dict[str, Any]:
    return {"method": config.method, "seed": config.seed, "max_trials": config.max_trials}


def _oracle(config: SearchConfig) -> Any:
    """Returns the oracle of a search, which writes nothing."""
    from experiments.methods.make import make_oracle

    oracle = make_oracle(config, space())
    for method in ("save", "flush", "_save_trial"):
        setattr(oracle, method, lambda *_: None)
    return oracle


def _run(
    oracle: Any,
    trial: Any,
    curves: dict[str, list[float]],
    max_epochs: int,
    rng: np.random.Generator,
    matters: bool,
) -> Any:
    """Trains a trial in no time; returns its files."""
    values = trial.hyperparameters.values
    first = int(values.get("tuner/initial_epoch", 0))
    best = curves.get(values.get("tuner/trial_id"), [])
    peak = quality(values) + rng.normal(0, NOISE) if matters else rng.normal(0.9, NOISE)
    peak = best[-1] if best else peak  # a promoted network stays what it is
    history, status = [], "completed"
    for epoch in range(first, int(values.get("tuner/epochs", max_epochs))):
        history.append(peak - 0.3 * math.exp(-epoch - 1.0) * (max_epochs > 1))
        answer = oracle.update_trial(trial.trial_id, {"val_accuracy": history[-1]}, step=epoch)
        if answer.status == "STOPPED":
            status, trial.message = "pruned", "pruned"
            break
    curves[trial.trial_id] = [peak]
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
    number = int(trial.trial_id)
    result = {
        "status": status, "score": max(history), "initial_epoch": first,
        "started": float(number), "ended": number + 0.5,
        "executions": [{"history": {"val_accuracy": history}, "score": max(history),
                        "epoch_seconds": [0.1] * len(history)}],
    }  # fmt: skip
    return trial.trial_id, trial.get_state(), result
