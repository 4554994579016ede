"""Regret after 25, 50 and 100 trials: how far each method's best is from the best there is.

Trials are predicted from recorded ones (see surrogate.py), so that hundreds of searches can be
run. Keras Tuner's Hyperband is not among the methods: it spends epochs, which are not counted here.
Nobody gets the starting points of the space but `tpe, starting points`, as the shipped `tpe` does,
which tries the space's default before them.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from contenders import KERAS_TUNER, NOTE, OPTUNA, OURS, STARTED, search, some_of
from quick import Quick
from surrogate import RECORDED, surrogate_of
from threadpoolctl import threadpool_limits

from experiments.process.hardware import num_cores

_BASELINE, _CONTENDER = "Keras Tuner Bayesian", "tpe"
_SLOWEST_FIRST = (_BASELINE, "gp")


def main() -> None:
    """Runs the searches and prints the regrets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--recorded", choices=RECORDED, help="by one file alone")
    parser.add_argument("--first-seed", type=int, default=0)
    every = [*KERAS_TUNER, OPTUNA, *OURS, STARTED]
    parser.add_argument(
        "--methods", type=some_of(every), default=every, help="some of them, separated by |"
    )
    arguments = parser.parse_args()
    checkpoints, count = ((25, 50, 100), arguments.seeds)
    methods = arguments.methods
    if arguments.quick:
        checkpoints, count = (10, 20, 30), 3
        methods = [m for m in methods if m != "gp"]
        print("quick: 30 trials, 3 seeds, without gp; Keras Tuner's Bayesian is still at random")
    elif NOTE:
        print(NOTE)
    seeds = range(arguments.first_seed, arguments.first_seed + count)
    factors = []
    for name in [arguments.recorded] if arguments.recorded else RECORDED:
        regrets = measure(name, methods, checkpoints, seeds)
        if {_BASELINE, _CONTENDER} <= regrets.keys():
            # A search may be better than the best that is known.
            ends = [max(np.median(regrets[m][:, -1]), 1e-6) for m in (_BASELINE, _CONTENDER)]
            factors.append(ends[0] / ends[1])
    if not factors:
        return
    print(f"regret of {_BASELINE} over that of {_CONTENDER} after {checkpoints[-1]} trials,")
    print("geometric mean of the recorded files")
    print(f"ratio: {np.exp(np.mean(np.log(factors))):.2f}")


def measure(
    name: str, methods: list[str], checkpoints: tuple[int, ...], seeds: range
) -> dict[str, Any]:
    """Returns regrets, (seeds, checkpoints), by method, and prints them."""
    best_so_far = run(name, methods, checkpoints, seeds)
    surrogate = surrogate_of(name)
    optimum = surrogate.best_known
    print(f"\n{name}: {surrogate.num_recorded} recorded trials, best {optimum:.4f};")
    print(f"regret in points of accuracy: median of {len(seeds)} seeds (range)")
    print(f"{'method':22}" + "".join(f"{f'{n} trials':>22}" for n in checkpoints))
    for method, scores in best_so_far.items():
        cells = [
            f"{np.median(column):.2f} ({column.min():.2f}..{column.max():.2f})"
            for column in (100 * (optimum - scores)).T
        ]
        print(f"{method:22}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
    return {method: optimum - scores for method, scores in best_so_far.items()}


def run(
    name: str, methods: list[str], checkpoints: tuple[int, ...], seeds: range
) -> dict[str, Any]:
    """Returns the best scores so far, (seeds, checkpoints), by method; a process a core."""
    slowest_first = sorted(methods, key=lambda m: m not in _SLOWEST_FIRST)
    searches = list(product(slowest_first, seeds))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_cores(), context, _one_thread) as pool:
        futures = {s: pool.submit(best_scores, name, *s, checkpoints) for s in searches}
        return {m: np.array([futures[m, s].result() for s in seeds]) for m in methods}


def best_scores(name: str, method: str, seed: int, checkpoints: tuple[int, ...]) -> Any:
    """Returns the best scores of one search after so many trials."""
    surrogate = surrogate_of(name)
    starting = surrogate.hypermodel.starting_points()
    scores = search(method, surrogate.space, surrogate.score, checkpoints[-1], seed, starting)
    return np.maximum.accumulate(scores)[np.array(checkpoints) - 1]


def _one_thread() -> None:
    """Keeps linear algebra in this process to its own core."""
    threadpool_limits(1)


if __name__ == "__main__":
    main()
