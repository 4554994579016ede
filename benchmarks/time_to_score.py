"""Time to the score that Keras Tuner's random search of 20 full trials reaches, on MNIST.

Every contender searches the whole of `mnist_cnn` on the same images, from the same start: plain
Keras Tuner's random search, which sets the score; `tpe` with `asha`, in as many worker processes as
there are cores; plain Keras Tuner's Hyperband, which is given the time that random search took.
Times count from the start of a search: proposals, processes, building and training are in them.
A score is reached with its epoch, though Keras Tuner shows it only when the trial has ended. The
suite gets the starting points of the space only with `--starting-points`: the first was chosen on
MNIST.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from common import parser, prepared, search_config, workplace
from contenders import keras_tuner_seed

from experiments import SearchConfig, run_search
from experiments.data.prepare import PreparedData
from experiments.display.base import Display
from experiments.hyperparameters.settings import parse_settings
from experiments.process.hardware import num_cores
from experiments.record.errors import InterruptedSearchError
from search_spaces import space_class

_PARTS = 10_000  # trials at most; time ends the search
_ENOUGH = "there is nothing left to learn"


@dataclass
class Progress:
    """The best score so far of a search, and when it was reached.

    Args:
        steps: Seconds since the start, and the score, of each improvement.
        seconds: How long the search took.
        epochs: Epochs that were trained.
    """

    steps: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    epochs: int = 0
    began: float = field(default_factory=time.perf_counter)

    def epoch(self, score: float) -> None:
        """Records an epoch."""
        self.epochs += 1
        self.seconds = time.perf_counter() - self.began
        if score > self.best:
            self.steps.append((self.seconds, score))

    @property
    def best(self) -> float:
        """The best score."""
        return self.steps[-1][1] if self.steps else 0.0

    def best_at(self, seconds: float) -> float:
        """Returns the best score after so many seconds."""
        return max((score for at, score in self.steps if at <= seconds), default=0.0)

    def reached(self, score: float) -> float | None:
        """Returns the seconds until `score` was reached; `None` if it was not."""
        return next((at for at, s in self.steps if s >= score), None)


Enough = Callable[[Progress], bool]


class _Watch(Display):
    """Follows a search of the suite, and interrupts it when there is nothing left to learn."""

    def __init__(self, enough: Enough) -> None:
        self.progress, self._enough = Progress(), enough

    def epoch_ended(
        self, execution: int, epoch: int, metrics: dict[str, float], trial_id: str | None = None
    ) -> None:
        self.progress.epoch(metrics["val_accuracy"])
        if self._enough(self.progress):
            raise KeyboardInterrupt


def suite(config: SearchConfig, target: float, most_seconds: float) -> Progress:
    """Searches by `tpe` and `asha` until `target` is reached, or for so long."""
    watch = _Watch(lambda p: p.best >= target or p.seconds > most_seconds)
    with suppress(InterruptedSearchError):
        run_search(config, watch)
    return watch.progress


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Follows a search of plain Keras Tuner."""

    progress: Progress
    enough: Enough

    def __deepcopy__(self, memo: Any) -> "_Epochs":
        return self  # Keras Tuner trains with copies

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.progress.epoch((logs or {})["val_accuracy"])
        if self.enough(self.progress):
            # Keras Tuner takes any other exception for a trial that failed.
            raise keras_tuner.errors.FatalError(_ENOUGH)


def plain(
    make: Callable[..., Any],
    config: SearchConfig,
    data: PreparedData,
    folder: Path,
    enough: Enough = lambda _: False,
) -> Progress:
    """Searches by plain Keras Tuner, on arrays in memory, to its end or until it is enough."""

    class Plain(space_class(config.space)):  # type: ignore[misc]
        steps_per_execution = 1

    watch = _Epochs()
    watch.progress, watch.enough = Progress(), enough
    tuner = make(
        Plain(data.shape, len(data.class_names), **parse_settings(config)),
        objective=keras_tuner.Objective("val_accuracy", "max"),
        seed=keras_tuner_seed(config.seed),
        directory=folder,
        project_name="plain",
    )
    train, validation = data.open("train"), data.open("validation")
    arrays = [np.array(a) for a in (train.images, train.labels)]
    held_out = tuple(np.array(a) for a in (validation.images, validation.labels))
    watch.progress.began = time.perf_counter()
    try:
        tuner.search(
            *arrays,
            validation_data=held_out,
            epochs=config.max_epochs,
            callbacks=[watch],
            verbose=0,
        )
    except keras_tuner.errors.FatalError as error:
        if str(error) != _ENOUGH:
            raise
    return watch.progress


def compete(seed: int, given: Any, folder: Path) -> dict[str, Any]:
    """Runs the three searches with one seed, and prints what came of them."""
    config = search_config(
        folder,
        given.data_dir,
        space="mnist_cnn",
        dataset="mnist",
        sample=given.images,
        method="tpe",
        pruner="asha",
        max_trials=_PARTS,
        max_epochs=given.epochs,
        workers=num_cores(),
        starting_points=given.starting_points,
        seed=seed,
        name=f"suite-{seed}",
    )
    data = prepared(config)
    random = partial(keras_tuner.RandomSearch, max_trials=given.trials)
    theirs = plain(random, config, data, folder / f"random-{seed}")
    ours = suite(config, theirs.best, 2 * theirs.seconds)
    hyperband = partial(keras_tuner.Hyperband, max_epochs=given.epochs, hyperband_iterations=100)

    def enough(progress: Progress) -> bool:
        over = progress.best >= theirs.best and progress.seconds >= ours.seconds
        return over or progress.seconds > theirs.seconds

    banded = plain(hyperband, config, data, folder / f"hyperband-{seed}", enough)
    row = {
        "score": theirs.best,
        "random, all trials": theirs.seconds,
        "random, first reached": theirs.reached(theirs.best),
        "hyperband": banded.reached(theirs.best),
        "tpe + asha": ours.reached(theirs.best),
        "hyperband then": banded.best_at(ours.seconds),
    }
    shown = {
        n: "not" if v is None else f"{v:.4f}" if v < 1 else f"{v:.0f} s" for n, v in row.items()
    }
    print(f"seed {seed}: " + ", ".join(f"{n} {v}" for n, v in shown.items()), flush=True)
    return row


def main() -> None:
    """Runs the searches of every seed and prints medians with ranges."""
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=3)
    made.add_argument("--first-seed", type=int, default=0)
    made.add_argument("--images", type=int, default=6000)
    made.add_argument("--trials", type=int, default=20, help="of Keras Tuner's random search")
    made.add_argument("--epochs", type=int, default=9, help="of a full trial")
    made.add_argument("--starting-points", action="store_true", help="those of the space, first")
    given = made.parse_args()
    if given.quick:
        given.seeds, given.images, given.trials, given.epochs = 1, 2500, 5, 4
    print(f"{given.trials} trials x {given.epochs} epochs, {given.images:,} images of MNIST")
    with workplace() as folder:
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        rows = [compete(seed, given, folder) for seed in seeds]
    for name in ("random, all trials", "random, first reached", "hyperband", "tpe + asha"):
        print(f"{name:24} {_summary([row[name] for row in rows])}")
    held = [f"{100 * (r['hyperband then'] - r['score']):+.2f}" for r in rows]
    print("Hyperband by the time that tpe + asha was there, points from the score:", *held)
    first = [(r["random, first reached"] or np.inf) / (r["tpe + asha"] or np.inf) for r in rows]
    print("time until random search first had it over tpe + asha:", _listed(first))
    ratios = [r["random, all trials"] / (r["tpe + asha"] or np.inf) for r in rows]
    print("random search of all trials over tpe + asha:", _listed(ratios))
    print(f"ratio: {np.median(ratios):.2f}")


def _listed(ratios: list[float]) -> str:
    return f"median {np.median(ratios):.1f} of " + ", ".join(f"{r:.1f}" for r in ratios)


def _summary(seconds: list[float | None]) -> str:
    there = [s for s in seconds if s is not None]
    if not there:
        return f"not reached in {len(seconds)} searches"
    text = f"median {np.median([s if s is not None else np.inf for s in seconds]):.0f} s"
    text += f" ({min(there):.0f}..{max(there):.0f})"
    missing = len(seconds) - len(there)
    return text + (f", not reached in {missing} of {len(seconds)}" if missing else "")


if __name__ == "__main__":
    main()
