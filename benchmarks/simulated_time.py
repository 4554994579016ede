"""Simulated time until a search knows a network that is nearly the best there is.

Trials are predicted from recorded ones (see surrogate.py): what they reach after each epoch, to
which noise is added that the search sees and the figures do not, and the seconds that they take, to
begin or continue a trial as well. The suite's own oracles and pruners run, Keras Tuner's own,
Optuna's sampler with its own pruner, and other tuners that are installed (see peers.py), on workers
in simulated time.

A search answers with the trial of the best score that it has seen. It is there when the score of
that trial without noise, after the epochs that it was trained, is within `--within` points of the
best, and stays there. Seeds 0 to 9 are for choosing, others for claims.
"""

import argparse
import multiprocessing
import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner
import numpy as np
import optuna
from contenders import OBJECTIVE, keras_tuner_seed, some_of, suggest
from events import Incumbents, simulate
from peers import PEERS
from quick import Quick
from surrogate import RECORDED, Noise, Surrogate, noise_of, surrogate_of
from threadpoolctl import threadpool_limits

from experiments.config import SearchConfig
from experiments.hyperparameters.optuna_space import SpaceMap
from experiments.methods.guidance import GivenPoints, given_points
from experiments.methods.make import make_oracle
from experiments.process.hardware import num_cores

_SHARES = (0.125, 0.25, 0.5, 1.0)  # of the budget, at which regret is shown
_DEFAULT = "mnist_cnn-digits"
Make = Callable[[Surrogate, int, int, str], Any]


def main() -> None:
    """Runs the searches, and prints times and regrets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    parser.add_argument("--recorded", choices=RECORDED, default=_DEFAULT)
    parser.add_argument("--first-seed", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--within", type=float, default=0.3, help="points of accuracy")
    parser.add_argument("--full-trials", type=int, default=80, help="budget, in full trials")
    parser.add_argument(
        "--longer",
        type=float,
        default=1,
        help="times the budget that all but the first method have",
    )
    every = list(METHODS)
    parser.add_argument(
        "--methods", type=some_of(every), default=every, help="some of them, separated by |"
    )
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.full_trials = 3, 20
    methods = given.methods
    surrogate = surrogate_of(given.recorded)
    best, noise = surrogate.best_known, noise_of(given.recorded)
    print(
        f"{given.recorded}: {surrogate.num_recorded} recorded trials of {surrogate.epochs} epochs, "
        f"best {best:.4f}; {given.workers} workers, noise {noise.trial:.0%} of the error and "
        f"{noise.epoch:.0%} an epoch, seeds {given.first_seed} to "
        f"{given.first_seed + given.seeds - 1}"
    )
    share = np.mean(100 * (best - surrogate.drawn_scores) <= given.within)
    said = f"of {len(surrogate.drawn_scores):,} random draws {share:.2%} are"
    if share > 0:
        lucky = np.log(0.5) / (given.seeds * np.log1p(-share))
        print(
            f"{said} within {given.within:g} points: the luckiest of {given.seeds} random searches "
            f"draws one after {lucky:.0f} trials in the median"
        )
    else:
        print(f"{said} within {given.within:g} points")
    context = multiprocessing.get_context("spawn")
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    with ProcessPoolExecutor(num_cores(), context, partial(threadpool_limits, 1)) as pool:
        trials = {m: given.full_trials * (given.longer if number else 1)
                  for number, m in enumerate(methods)}  # fmt: skip
        futures = {
            (m, s): pool.submit(run, given.recorded, m, s, given.workers, round(trials[m]))
            for m, s in product(methods, seeds)
        }
        found = {m: [futures[m, s].result() for s in seeds] for m in methods}
    budget = budget_of(surrogate, given.full_trials, given.workers)
    times = {m: [reached(r, best, given.within) for r in runs] for m, runs in found.items()}
    ours = np.array(times[methods[0]])
    longest = budget * given.longer
    print(f"budget {budget:.0f} s, of others {longest:.0f} s")
    print("regret in points after each share of the budget, median / worst")
    print(f"{'method':34}" + "".join(f"{f'{s:.0%}':>15}" for s in _SHARES) + f"{'there':>24}")
    for method, runs in found.items():
        columns = [[100 * (best - true_at(r, share * budget)) for r in runs] for share in _SHARES]
        cells = [f"{np.median(c):.2f} / {max(c):.2f}" for c in columns]
        there = np.array(times[method])
        shown = f"{np.isfinite(there).mean():.0%}, median {np.median(there):.0f}"
        print(f"{method:34}" + "".join(f"{c:>15}" for c in cells) + f"{shown:>24}", flush=True)
    for method in methods[1:]:
        theirs = np.minimum(np.array(times[method]), longest)  # at least as long
        ratios = np.where(np.isfinite(ours), theirs / ours, 0.0)
        print(
            f"{method} over {methods[0]}: median {np.median(ratios):.2f}, least {ratios.min():.2f} "
            f"(0 where {methods[0]} is not there: {np.mean(np.isinf(ours)):.0%} of the seeds)"
        )


def own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns hyperparameters without what an oracle notes beside them."""
    return {name: value for name, value in values.items() if "/" not in name}


def noisy(surrogate: Surrogate, seed: int, noise: Noise) -> Callable[[Any, int], float]:
    """Returns the score of a trial after an epoch, counted from 0, as a search would see it."""

    def score(trial: Any, epoch: int) -> float:
        values = own(trial.hyperparameters.values)
        # A network that is trained on has no other luck: it is that of its values.
        key = sorted(values.items())
        luck = noise.trial * _drawn(key, seed) + noise.epoch * _drawn(key, seed, epoch)
        return float(max(0.0, 1 - np.exp(luck) * (1 - surrogate.curve(values)[epoch])))

    return score


def _drawn(*key: Any) -> float:
    """Returns a draw from the standard normal distribution, always the same for a key."""
    return float(np.random.default_rng(zlib.crc32(repr(key).encode())).normal())


def seconds_of(surrogate: Surrogate) -> Callable[[Any, int], float]:
    """Returns the seconds of an epoch of a trial, with what it takes to begin or continue it."""

    def seconds(trial: Any, epoch: int) -> float:
        values = trial.hyperparameters.values
        first = int(values.get("tuner/initial_epoch", 0))
        return float(surrogate.seconds(own(values), first)[epoch])

    return seconds


Steps = list[tuple[float, float]]  # seconds, and the true score of the answer from then on


def reached(steps: Steps, best: float, within: float) -> float:
    """Returns the time from which on the answer is within so many points of the best."""
    since = float("inf")
    for at, true in steps:
        if 100 * (best - true) > within:
            since = float("inf")
        elif since == float("inf"):
            since = at
    return since


def true_at(steps: Steps, seconds: float) -> float:
    """Returns the true score of the answer at a time; 0 before there is one."""
    return next((true for at, true in reversed(steps) if at <= seconds), 0.0)


def budget_of(surrogate: Surrogate, full_trials: int, workers: int) -> float:
    """Returns the seconds that so many trials drawn at random take on the workers."""
    rng = np.random.default_rng(0)
    drawn = [surrogate.seconds(surrogate.random(rng)).sum() for _ in range(200)]
    return float(np.mean(drawn)) * full_trials / workers


def run(name: str, method: str, seed: int, workers: int, full_trials: int) -> Steps:
    """Runs one search; returns what it would have answered, and when."""
    surrogate = surrogate_of(name)
    incumbents = Incumbents()
    with tempfile.TemporaryDirectory() as folder:
        oracle = METHODS[method](surrogate, seed, full_trials, folder)
        simulate(
            oracle,
            workers,
            surrogate.epochs,
            noisy(surrogate, seed, noise_of(name)),
            seconds_of(surrogate),
            10**6,
            budget_of(surrogate, full_trials, workers),
            incumbents,
        )
    answers = zip(incumbents.times, incumbents.trials, strict=True)
    return [(at, surrogate.curve(own(values))[epoch]) for at, (values, epoch) in answers]


def _suite(
    surrogate: Surrogate,
    seed: int,
    full_trials: int,
    folder: str,
    starting_points: bool = True,
    **options: Any,
) -> Any:
    config = SearchConfig(
        surrogate.space_name,
        max_trials=40 * full_trials,
        max_epochs=surrogate.epochs,
        seed=seed,
        starting_points=starting_points,
        **options,
    )
    oracle = make_oracle(config, surrogate.space.copy(), points=_points(surrogate, config))
    oracle._set_project_dir(folder, "project")
    return oracle


def _points(surrogate: Surrogate, config: SearchConfig) -> GivenPoints:
    declared = surrogate.hypermodel.starting_points()
    return given_points({}, config, surrogate.space, declared)


def _keras_tuner(
    cls: Any, surrogate: Surrogate, seed: int, full_trials: int, folder: str, **options: Any
) -> Any:
    oracle = cls(
        objective=OBJECTIVE,
        hyperparameters=surrogate.space.copy(),
        seed=keras_tuner_seed(seed),
        **options,
    )
    oracle.verbose = 0
    oracle.save = lambda: None
    oracle._set_project_dir(folder, "project")
    return oracle


def _banded(surrogate: Surrogate, seed: int, full_trials: int, folder: str) -> Any:
    cls = keras_tuner.oracles.HyperbandOracle
    options = {"max_epochs": surrogate.epochs, "hyperband_iterations": 1000}
    return _keras_tuner(cls, surrogate, seed, full_trials, folder, **options)


class _Optuna:
    """Optuna's own sampler and pruner, as its users call them."""

    def __init__(self, surrogate: Surrogate, seed: int, pruner: Any) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = SpaceMap(surrogate.space.space)
        sampler = optuna.samplers.TPESampler(seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        self._trials: dict[str, Any] = {}

    def create_trial(self, tuner_id: str) -> Any:
        """Asks for a trial."""
        asked = self._study.ask()
        values = self._space.values(lambda parameter: suggest(asked, parameter))
        trial = SimpleNamespace(
            trial_id=str(asked.number),
            status="RUNNING",
            hyperparameters=SimpleNamespace(values=values),
            asked=asked,
            scores=[],
            message=None,
        )
        self._trials[trial.trial_id] = trial
        return trial

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int) -> Any:
        """Reports an epoch."""
        trial = self._trials[trial_id]
        score = metrics[OBJECTIVE.name]
        trial.scores.append(score)
        trial.asked.report(score, step)
        return SimpleNamespace(status="STOPPED" if trial.asked.should_prune() else "RUNNING")

    def end_trial(self, trial: Any) -> None:
        """Tells the result."""
        pruned = str(trial.message).startswith("pruned")
        state = optuna.trial.TrialState.PRUNED if pruned else None
        self._study.tell(trial.asked, None if pruned else max(trial.scores), state=state)


def _optuna(pruner: Any, surrogate: Surrogate, seed: int, full_trials: int, folder: str) -> Any:
    return _Optuna(surrogate, seed, pruner())


METHODS: dict[str, Callable[..., Any]] = {
    "tpe + asha": partial(_suite, method="tpe", pruner="asha"),
    "tpe + asha, no starting points": partial(
        _suite, method="tpe", pruner="asha", starting_points=False
    ),
    "tpe": partial(_suite, method="tpe", pruner="none"),
    "random + asha": partial(_suite, method="random", pruner="asha"),
    "Keras Tuner random": partial(
        _keras_tuner, keras_tuner.oracles.RandomSearchOracle, max_trials=10**5
    ),
    "Keras Tuner Hyperband": _banded,
    "Keras Tuner Bayesian": partial(
        _keras_tuner, keras_tuner.oracles.BayesianOptimizationOracle, max_trials=10**5
    ),
    "Optuna TPE + median": partial(_optuna, optuna.pruners.MedianPruner),
    "Optuna TPE + Hyperband": partial(_optuna, optuna.pruners.HyperbandPruner),
    **PEERS,
}

if __name__ == "__main__":
    main()
