"""Eight real trials on digits: `auto` against plain Keras Tuner's way, draws at random.

Both search the whole of `mnist_cnn` with the same images, epochs and number of trials, by the same
driver and executor; only what is proposed differs. A seed counts as not worse if the best network
of `auto` scores at least as high on validation as that of `random`. The best networks are trained
again from scratch with one fresh seed; that test accuracy, which no choice looked at, is compared
too.
"""

import numpy as np
from common import parser, search_config, workplace

from experiments import run_search
from reports.study.load import load_study

_METHODS = ("auto", "random")


def main() -> None:
    """Runs the searches and prints the share of seeds in which `auto` is not worse."""
    arguments = parser(__doc__)
    arguments.add_argument("--first-seed", type=int, default=100)
    arguments.add_argument("--seeds", type=int, default=50)
    arguments.add_argument("--trials", type=int, default=8)
    arguments.add_argument("--epochs", type=int, default=5)
    given = arguments.parse_args()
    if given.quick:
        given.seeds, given.epochs = 2, 2
    scores: dict[str, list[float]] = {name: [] for name in _METHODS}
    tests: dict[str, list[float]] = {name: [] for name in _METHODS}
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        for method in _METHODS:
            score, test = searched(method, seed, given.trials, given.epochs)
            scores[method].append(score)
            tests[method].append(test)
        shown = ", ".join(f"{m} {scores[m][-1]:.4f} (test {tests[m][-1]:.4f})" for m in _METHODS)
        print(f"seed {seed}: {shown}", flush=True)
    print(f"digits, {given.trials} trials of {given.epochs} epochs, {given.seeds} seeds")
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
            max_trials=trials, max_epochs=epochs, confirm=1, workers=0,
        )  # fmt: skip
        study = load_study(run_search(config).folder)
        (finalist,) = study.finalists
        (run,) = finalist["runs"]
        return float(study.completed["score"].max()), float(run["test"]["accuracy"])


if __name__ == "__main__":
    main()
