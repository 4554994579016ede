"""Regret after 25, 50 and 100 trials: how far each method's best is from the best there is.

Trials are predicted from recorded ones (see surrogate.py), so that hundreds of searches can be
run. Keras Tuner's Hyperband is not among the methods: it spends epochs, which are not counted here.
"""

import argparse
import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from contenders import KERAS_TUNER, OPTUNA, OURS, search
from surrogate import SPACES, Surrogate

_BASELINE, _CONTENDER = "Keras Tuner Bayesian", "tpe"


def main() -> None:
    """Runs the searches and prints the regrets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smaller case, within a minute")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--space", choices=SPACES, help="of one space alone")
    arguments = parser.parse_args()
    checkpoints, seeds = ((25, 50, 100), arguments.seeds)
    methods = [*KERAS_TUNER, OPTUNA, *OURS]
    if arguments.quick:
        checkpoints, seeds = (10, 20, 30), 3
        methods.remove("gp")
        print("quick: 30 trials, 3 seeds, without gp; Keras Tuner's Bayesian is still at random")
    factors = []
    for name in [arguments.space] if arguments.space else SPACES:
        regrets = measure(Surrogate(name), methods, checkpoints, seeds)
        factors.append(
            np.median(regrets[_BASELINE][:, -1]) / max(np.median(regrets[_CONTENDER][:, -1]), 1e-6)
        )
    print(f"regret of {_BASELINE} over that of {_CONTENDER} after {checkpoints[-1]} trials,")
    print("geometric mean of the spaces")
    print(f"ratio: {np.exp(np.mean(np.log(factors))):.2f}")


def measure(
    surrogate: Surrogate, methods: list[str], checkpoints: tuple[int, ...], num_seeds: int
) -> dict[str, Any]:
    """Returns regrets, (seeds, checkpoints), by method, and prints them."""
    best_so_far = {
        method: np.array(
            [
                np.maximum.accumulate(
                    search(method, surrogate.space, surrogate.score, checkpoints[-1], seed)
                )[np.array(checkpoints) - 1]
                for seed in range(num_seeds)
            ]
        )
        for method in methods
    }
    optimum = max(surrogate.best_known(), *(scores.max() for scores in best_so_far.values()))
    print(f"\n{surrogate.name}: {surrogate.num_recorded} recorded trials, best {optimum:.4f};")
    print(f"regret in points of accuracy: median of {num_seeds} seeds (range)")
    print(f"{'method':22}" + "".join(f"{f'{n} trials':>22}" for n in checkpoints))
    for method, scores in best_so_far.items():
        cells = [
            f"{np.median(column):.2f} ({column.min():.2f}..{column.max():.2f})"
            for column in (100 * (optimum - scores)).T
        ]
        print(f"{method:22}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
    return {method: optimum - scores for method, scores in best_so_far.items()}


if __name__ == "__main__":
    main()
