"""Searches without training: a trial's score is predicted from recorded trials.

`recorded/<space>-<dataset>.csv` holds real trials of random searches by this suite, one a row:
values as JSON, validation accuracy after each epoch and, where they were recorded, the seconds of
each epoch. `python benchmarks/surrogate.py NAME STUDY...` makes such a file of studies. A training
of a trial is a row: trials that were trained several times say what noise there is. Without
arguments it says of each file how wrong the predictions are for trials that they were not fitted
to. Where the trials came from:

- `mnist_cnn-digits`: digits at their 8x8 pixels, 9 epochs, no early stopping, two workers on two
  cores; 36 trials with 3 seeds;
- `mnist_cnn-mnist`: 2,500 images of MNIST at 14x14 pixels, 9 epochs, no early stopping, two workers
  on two cores;
- `transfer_head-cats_vs_dogs`: 3,000 images, MobileNetV2 0.35 at 224, 9 epochs, no early stopping,
  two workers on two cores.

Small networks (5 of them, each fitted to nine tenths of the trials) predict the logarithm of the
error of every epoch, others that of the seconds: predictions are cheap, and favour none of the
methods compared, as a Gaussian process or a forest would.
"""

import argparse
import csv
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner.engine import hyperparameters as hp_module
from scipy.stats import spearmanr
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.hyperparameters.combinations import in_unit, is_active
from experiments.hyperparameters.space import explore
from search_spaces import space_class

_FOLDER = Path(__file__).parent / "recorded"
_LEAST_ERROR = 1e-3
_DATASETS: dict[str, tuple[tuple[int, int, int], int]] = {  # shape, classes
    "digits": ((8, 8, 1), 10),
    "mnist": ((14, 14, 1), 10),
    "cats_vs_dogs": ((224, 224, 3), 2),
    "cifar10": ((224, 224, 3), 10),
}
RECORDED = tuple(sorted(path.stem for path in _FOLDER.glob("*.csv")))


def hypermodel(name: str) -> Any:
    """Returns a space for the dataset that was recorded."""
    space, _, dataset = name.partition("-")
    settings = {"weights": "none"} if space == "transfer_head" else {}
    return space_class(space)(*_DATASETS[dataset], **settings)


def full_space(name: str) -> Any:
    """Returns the hyperparameters of a space, for the dataset that was recorded."""
    return explore(hypermodel(name))


class Surrogate:
    """Predicts the learning curve of a trial.

    Args:
        name: One of `RECORDED`.
    """

    def __init__(self, name: str) -> None:
        self.space_name = name.partition("-")[0]
        self.hypermodel = hypermodel(name)
        self.space = explore(self.hypermodel)
        rows = list(csv.DictReader((_FOLDER / f"{name}.csv").open(encoding="utf-8")))
        self._values = [_values(row) for row in rows]
        self._points = np.array([self._encode(values) for values in self._values])
        # number of the trial of each row
        self._trials = np.unique(self._points, axis=0, return_inverse=True)[1]
        curves = np.array([json.loads(row["val_accuracy"]) for row in rows])
        self.num_recorded, self.epochs = self._trials.max() + 1, curves.shape[1]
        self._errors = np.log(np.maximum(1 - curves, _LEAST_ERROR))
        self._curves = _fitted(self._points, self._errors)
        self._seen: dict[str, Any] = {}
        self._times: Any = None
        self._seconds = np.empty(0)
        self._seconds_seen: dict[str, Any] = {}
        if all(row.get("seconds") for row in rows):
            self._seconds = self._by_phase(rows)
            self._times = _fitted(self._points, np.log(self._seconds))

    def held_out(self) -> str:
        """Says how wrong predictions are for recorded trials that they were not fitted to.

        In the best quarter, where searches are decided, as well as in all of them.
        """
        predicted = self._held_out(self._errors)
        real, predicted = (1 - np.exp(e).min(axis=1) for e in (self._errors, predicted))
        wrong, good = 100 * np.abs(predicted - real), real >= np.quantile(real, 0.75)
        order = spearmanr(real, predicted).statistic
        said = (
            f"best score wrong by {np.median(wrong):.2f} points in the median, "
            f"{np.median(wrong[good]):.2f} of the best quarter; rank correlation {order:.2f}"
        )
        if self.has_seconds:
            logs = self._held_out(np.log(self._seconds))
            share = np.abs(np.exp(logs) / self._seconds - 1)
            said += f"; seconds by {np.median(share):.0%}"
        if self.noise is not None:
            said += f"; errors of other seeds differ by {self.noise:.0%}"
        return said

    def _held_out(self, wanted: Any) -> Any:
        """Returns predictions by forests that were fitted to other trials."""
        folds = GroupKFold(10, shuffle=True, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            return cross_val_predict(
                _networks(), self._points, wanted, groups=self._trials, cv=folds
            )

    def _phases(self, values: Mapping[str, Any]) -> Any:
        """Returns the phase of training of each epoch, `(epochs,)`."""
        hp = self.space.copy()
        hp.values = dict(values)
        lengths = [phase.epochs for phase in self.hypermodel.phases(hp, self.epochs)]
        return np.repeat(np.arange(len(lengths)), lengths)

    def _by_phase(self, rows: Sequence[Mapping[str, str]]) -> Any:
        """Returns the median seconds of an epoch in each phase, `(rows, most phases)`.

        `(rows,)` where no trial has several phases.
        """
        found = []
        for row in rows:
            seconds, phases = np.array(json.loads(row["seconds"])), self._phases(_values(row))
            found.append([np.median(seconds[phases == phase]) for phase in np.unique(phases)])
        most = max(map(len, found))
        whole = [[*medians, *[medians[-1]] * (most - len(medians))] for medians in found]
        return np.squeeze(whole)

    @property
    def noise(self) -> float | None:
        """Standard deviation of the logarithm of the least error between seeds.

        Of the better half of the trials that were recorded several times; `None` if none was.
        """
        repeated = sorted((s for s in self._by_trial() if len(s) > 1), key=np.mean)
        better = repeated[: -(len(repeated) // 2)]
        if not better:
            return None
        return float(np.sqrt(np.mean([np.var(errors, ddof=1) for errors in better])))

    def _by_trial(self) -> list[Any]:
        """Returns logarithms of the least error of each training, by trial."""
        best = self._errors.min(axis=1)
        return [best[self._trials == trial] for trial in range(self.num_recorded)]

    def best_recorded(self) -> list[dict[str, Any]]:
        """Returns the values of the recorded trials, best first."""
        order = np.argsort([errors.mean() for errors in self._by_trial()])
        return [self._values[np.argmax(self._trials == trial)] for trial in order]

    def _encode(self, values: Mapping[str, Any]) -> list[float]:
        """Returns numbers from 0 to 1: of what is active its place, of a choice one a value.

        Step sizes suit one optimizer and not another: their places stand beside each choice, too.
        """
        numbers, choices, rates = [], [], []
        for hp in self.space.space:
            active = hp.name in values and is_active(hp, dict(values))
            if isinstance(hp, hp_module.Choice) and not hp.ordered:
                choices += [float(active and values[hp.name] == value) for value in hp.values]
                continue
            numbers += [float(active), in_unit(hp, values[hp.name]) if active else 0.0]
            if isinstance(hp, hp_module.Float) and hp.sampling == "log":
                rates.append(numbers[-1])
        return [*numbers, *choices, *(rate * chosen for rate in rates for chosen in choices)]

    def curve(self, values: Mapping[str, Any]) -> list[float]:
        """Returns the validation accuracy after each epoch."""
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._seen:
            self._seen[key] = self._curves.predict([self._encode(values)])[0]
        return [1 - math.exp(error) for error in self._seen[key]]

    def random(self, rng: np.random.Generator) -> dict[str, Any]:
        """Returns values drawn at random, the active ones."""
        values: dict[str, Any] = {}
        for hp in self.space.space:
            if is_active(hp, values):
                values[hp.name] = hp.prob_to_value(rng.uniform())
        return values

    @property
    def has_seconds(self) -> bool:
        """Whether seconds were recorded."""
        return self._times is not None

    def seconds(self, values: Mapping[str, Any]) -> Any:
        """Returns the seconds of each epoch, `(epochs,)`; 1 where they were not recorded."""
        if self._times is None:
            return np.ones(self.epochs)
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._seconds_seen:
            of_phases = np.ravel(np.exp(self._times.predict([self._encode(values)])))
            self._seconds_seen[key] = of_phases[self._phases(values)]
        return self._seconds_seen[key]

    def score(self, values: Mapping[str, Any]) -> float:
        """Returns the best validation accuracy of its epochs."""
        return max(self.curve(values))

    @cached_property
    def drawn_scores(self) -> Any:
        """Scores of 20,000 points drawn at random."""
        rng = np.random.default_rng(0)
        points = [self._encode(self.random(rng)) for _ in range(20_000)]
        return 1 - np.exp(self._curves.predict(points).min(axis=1))

    def best_known(self) -> float:
        """Returns the best score among many points drawn at random."""
        return float(self.drawn_scores.max())


def _values(row: Mapping[str, str]) -> dict[str, Any]:
    return dict(json.loads(row["values"]))


@cache
def surrogate_of(name: str) -> Surrogate:
    """Returns the surrogate of recorded trials, which is fitted once a process."""
    return Surrogate(name)


def _networks() -> Any:
    network = MLPRegressor(
        hidden_layer_sizes=(32, 32), solver="lbfgs", alpha=1.0, max_iter=150, random_state=0
    )
    several = BaggingRegressor(
        network, n_estimators=5, max_samples=0.9, bootstrap=False, random_state=0
    )
    scaled = TransformedTargetRegressor(several, transformer=StandardScaler())
    return make_pipeline(StandardScaler(), scaled)


def _fitted(points: Any, wanted: Any) -> Any:
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return _networks().fit(points, wanted)


def write_recorded(name: str, studies: Sequence[Path]) -> Path:
    """Writes the completed trials of studies as recorded ones."""
    rows = []
    for path in (path for study in studies for path in sorted(study.glob("trial_*/result.json"))):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "completed":
            for training in result["executions"]:
                curve = [round(v, 5) for v in training["history"]["val_accuracy"]]
                seconds = [round(v, 3) for v in training["epoch_seconds"]]
                rows.append((json.dumps(result["hyperparameters"]), curve, seconds))
    epochs = max(len(curve) for _, curve, _ in rows)  # one that was interrupted has fewer
    once = {(v, json.dumps(c)): json.dumps(s) for v, c, s in rows if len(c) == epochs}
    table = [(*row, seconds) for row, seconds in once.items()]
    target = _FOLDER / f"{name}.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("values", "val_accuracy", "seconds"), *table])
    return target


def main() -> None:
    """Writes recorded trials, or says how well they predict others."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="of the file to write, without .csv")
    parser.add_argument("studies", nargs="*", type=Path, help="folders of studies")
    given = parser.parse_args()
    if given.name is not None:
        if not given.studies:
            parser.error(f"{given.name} is to be written of studies; name their folders after it")
        print(write_recorded(given.name, given.studies))
        return
    for name in RECORDED:
        surrogate = Surrogate(name)
        counts = f"{surrogate.num_recorded} trials of {surrogate.epochs} epochs"
        print(f"{name}: {counts}; {surrogate.held_out()}")


if __name__ == "__main__":
    main()
