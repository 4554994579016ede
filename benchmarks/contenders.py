"""Search methods side by side: this suite's, plain Keras Tuner's, and Optuna itself."""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import keras_tuner
import optuna

from experiments.hyperparameters.optuna_space import Parameter, SpaceMap
from experiments.methods.oracles.optuna_oracle import OptunaOracle

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")
Score = Callable[[dict[str, Any]], float]
Points = Sequence[Mapping[str, Any]]

OURS = ("tpe", *(("gp",) if find_spec("torch") else ()), "cmaes", "nsga2", "qmc")
STARTED = "tpe, starting points"  # those of the space
NOTE = "" if "gp" in OURS else "without gp: PyTorch is not installed (pip install '.[gp]')"
KERAS_TUNER = {
    "Keras Tuner random": keras_tuner.oracles.RandomSearchOracle,
    "Keras Tuner Bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
}
# In a space with choices, OptunaHub's AutoSampler takes this one too, by the defaults of Optuna 5.
OPTUNA = "Optuna itself (TPE)"


def some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Returns what reads names that are separated by `|`, for `argparse`."""

    def chosen(text: str) -> list[str]:
        names = text.split("|")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"no {unknown[0]!r}; there are {', '.join(known)}")
        return names

    return chosen


def search(
    method: str, space: Any, score: Score, num_trials: int, seed: int, starting: Points = ()
) -> list[float]:
    """Returns the scores of a search, in order of its trials; `starting` is for `STARTED`."""
    if method == OPTUNA:
        return _optuna(space, score, num_trials, seed)
    scores = []
    given = {"starting_points": starting} if method == STARTED else {}
    with tempfile.TemporaryDirectory() as folder:
        oracle = make_oracle(method.partition(",")[0], space, seed, folder, num_trials, **given)
        while len(scores) < num_trials:
            trial = oracle.create_trial("one")
            if trial.status != "RUNNING":
                break
            scores.append(score(dict(trial.hyperparameters.values)))
            end(oracle, trial, scores[-1])
    return scores


def keras_tuner_seed(seed: int) -> int:
    """Returns a seed for Keras Tuner, from 0: it takes 0 for any, and counts on from its seed.

    With seeds side by side, its searches would be the same but for a shift by one trial.
    """
    return 10_000 * seed + 1


def make_oracle(
    method: str, space: Any, seed: int, folder: str, num_trials: int, **more: Any
) -> Any:
    """Returns the oracle of a method; `seed` from 0."""
    options = more | {
        "objective": OBJECTIVE,
        "hyperparameters": space.copy(),
        "seed": keras_tuner_seed(seed),
        "max_trials": num_trials,
    }
    cls = KERAS_TUNER.get(method)
    oracle = cls(**options) if cls else OptunaOracle(method, **options)
    oracle.verbose = 0
    oracle._set_project_dir(folder, "project")
    return oracle


def end(oracle: Any, trial: Any, score: float) -> None:
    """Ends a trial with its score."""
    oracle.update_trial(trial.trial_id, {OBJECTIVE.name: score})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def _optuna(space: Any, score: Score, num_trials: int, seed: int) -> list[float]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mapped = SpaceMap(space.space)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(
        lambda trial: score(mapped.values(lambda parameter: suggest(trial, parameter))), num_trials
    )
    return [float(trial.value) for trial in study.trials]


def suggest(trial: Any, parameter: Parameter) -> Any:
    """Asks Optuna for a parameter the way its users do."""
    distribution: Any = parameter.distribution
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(parameter.key, distribution.choices)
    ask = trial.suggest_float
    if isinstance(distribution, optuna.distributions.IntDistribution):
        ask = trial.suggest_int
        if not distribution.log:
            return ask(parameter.key, distribution.low, distribution.high, step=distribution.step)
    return ask(parameter.key, distribution.low, distribution.high, log=distribution.log)


def seconds_to_propose(oracle: Any, worth: Score, num_before: int, num_timed: int) -> list[float]:
    """Returns the seconds of proposals made after as many trials, which are drawn at random."""
    propose = oracle.populate_space
    oracle.populate_space = lambda _: {"status": "RUNNING", "values": oracle._random_values()}
    for _ in range(num_before):
        trial = oracle.create_trial("one")
        end(oracle, trial, worth(trial.hyperparameters.values))
    oracle.populate_space = propose
    seconds = []
    for _ in range(num_timed):
        started = time.perf_counter()
        trial = oracle.create_trial("one")
        seconds.append(time.perf_counter() - started)
        end(oracle, trial, worth(trial.hyperparameters.values))
    return seconds
