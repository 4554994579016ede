"""Eight real trials on digits: `auto` against plain Keras Tuner's way, draws at random.

Both search the whole of `mnist_cnn` with the same images, epochs and number of trials, by the same
driver and executor; only what is proposed differs. A seed counts as not worse if the best network
of `auto` scores at least as high on validation as that of `random`. The best networks are trained
again from scratch with one fresh seed; that test accuracy, which no choice looked at, is compared
too. With `--recorded` nothing is trained: trials are predicted (see surrogate.py), and what stands
for the test is the network's score without noise.
"""

import tempfile

import numpy as np
from common import parser, search_config, workplace
from events import Incumbents, simulate
from simulated_time import noisy, own
from surrogate import RECORDED, noise_of, surrogate_of

from experiments import SearchConfig, run_search
from experiments.hyperparameters.space import has_phases
from experiments.methods.guidance import chosen_method, given_points
from experiments.methods.make import make_oracle
from reports.study.load import load_study

_METHODS = ("auto", "random")


def main() -> None:
    """Runs the searches and prints the share of seeds in which `auto` is not worse."""
    arguments = parser(__doc__)
    arguments.add_argument("--first-seed", type=int, default=100)
    arguments.add_argument("--seeds", type=int, default=50)
    arguments.add_argument("--trials", type=int, default=8)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--recorded", choices=RECORDED, help="predict the trials by these")
    given = arguments.parse_args()
    if given.quick:
        given.seeds, given.epochs = 2, 2
    scores: dict[str, list[float]] = {name: [] for name in _METHODS}
    tests: dict[str, list[float]] = {name: [] for name in _METHODS}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for method in _METHODS:
            if given.recorded:
                score, test = predicted(given.recorded, method, seed, given.trials)
            else:
                score, test = searched(method, seed, given.trials, given.epochs)
            scores[method].append(score)
            tests[method].append(test)
        shown = ", ".join(f"{m} {scores[m][-1]:.4f} (test {tests[m][-1]:.4f})" for m in _METHODS)
        print(f"seed {seed}: {shown}", flush=True)
    what = given.recorded or f"digits, {given.epochs} epochs"
    print(f"{what}: {given.trials} trials, {given.seeds} seeds")
    for what, found in (("validation", scores), ("test", tests)):
        ours, random = (np.array(found[method]) for method in _METHODS)
        print(
            f"{what}: auto {np.median(ours):.4f} (least {ours.min():.4f}), random "
            f"{np.median(random):.4f} (least {random.min():.4f}); not worse in "
            f"{np.mean(ours >= random):.0%}, better in {np.mean(ours > random):.0%}"
        )
    print(f"ratio: {np.mean(np.array(scores['auto']) >= np.array(scores['random'])):.2f}")


def searched(method: str, seed: int, trials: int, epochs: int) -> tuple[float, float]:
    """Returns the best validation accuracy of a search, and the test accuracy of its finalist."""
    with workplace() as folder:
        config = search_config(
            folder, None, space="mnist_cnn", dataset="digits", method=method, seed=seed,
            max_trials=trials, max_epochs=epochs, confirm=1, workers=0, pruner=None,
        )  # fmt: skip
        study = load_study(run_search(config).folder)
        (finalist,) = study.finalists
        (run,) = finalist["runs"]
        return float(study.completed["score"].max()), float(run["test"]["accuracy"])


def predicted(name: str, method: str, seed: int, trials: int) -> tuple[float, float]:
    """Returns the best score that a search would have seen, and that trial's without noise."""
    surrogate = surrogate_of(name)
    asked = SearchConfig(
        surrogate.space_name,
        method=method,
        max_trials=trials,
        max_epochs=surrogate.epochs,
        seed=seed,
    )
    in_phases = has_phases(surrogate.hypermodel, surrogate.space, surrogate.epochs)
    config, _ = chosen_method(asked, surrogate.space, has_phases=in_phases)
    points = given_points({}, config, surrogate.space, surrogate.hypermodel.starting_points())
    best = Incumbents()
    with tempfile.TemporaryDirectory() as folder:
        oracle = make_oracle(config, surrogate.space.copy(), points=points)
        oracle._set_project_dir(folder, "project")
        score = noisy(surrogate, seed, noise_of(name))
        simulate(
            oracle, 1, surrogate.epochs, score, lambda trial, epoch: 1.0, trials, incumbents=best
        )
    values, epoch = best.trials[-1]
    return best.best, surrogate.curve(own(values))[epoch]


if __name__ == "__main__":
    main()
