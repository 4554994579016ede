"""Searches without training: a trial's score is predicted from recorded trials.

`recorded/<space>-<dataset>.csv` holds real trials of random searches by this suite, one a row:
values as JSON, validation accuracy after each epoch, the seconds of each epoch, and those that the
trial took besides: to build and trace its network, to save and to evaluate. `python
benchmarks/surrogate.py NAME STUDY...` makes such a file of studies. A training of a trial is a row:
trials that were trained several times say what noise there is. Without arguments it says of each
file how wrong the predictions are for trials that they were not fitted to. The trials came from:

- `mnist_cnn-digits`: digits at their 8x8 pixels, 9 epochs, no early stopping, two workers on two
  cores; 36 trials with 3 seeds; what a trial took besides its epochs was not recorded;
- `mnist_cnn-mnist`: 2,500 images of MNIST at 14x14 pixels, 9 epochs, no early stopping, two workers
  on two cores;
- `mnist_cnn-cifar10`: 2,500 of 10,000 images of CIFAR-10 at 16x16 pixels, 9 epochs, no early
  stopping, two workers on two cores; 18 further trials with 3 seeds;
- `transfer_head-cats_vs_dogs`: 3,000 images, MobileNetV2 0.35 at 224, 9 epochs, no early stopping,
  two workers on two cores.

Small networks (5 of them, each fitted to nine tenths of the trials) predict the logarithm of the
error of every epoch, others that of the seconds: predictions are cheap, and favour none of the
methods compared, as a Gaussian process or a forest would. A phase's first epoch takes longer than
its others, and whoever begins or continues a trial pays what that takes besides.
"""

import argparse
import csv
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

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
_LEAST_ERROR, _LEAST_SECONDS = 1e-3, 1e-3
_REPEATED = "mnist_cnn-digits"  # whose noise stands for that of files without repeated trials
_DRAWS, _ROUNDS, _KEPT = 20_000, 20, 25  # of the search for the best there is
_DATASETS: dict[str, tuple[tuple[int, int, int], int]] = {  # shape, classes
    "mnist_cnn-digits": ((8, 8, 1), 10),
    "mnist_cnn-mnist": ((14, 14, 1), 10),
    "mnist_cnn-cifar10": ((16, 16, 3), 10),
    "transfer_head-cats_vs_dogs": ((224, 224, 3), 2),
    "transfer_head-cifar10": ((224, 224, 3), 10),
}
RECORDED = tuple(sorted(path.stem for path in _FOLDER.glob("*.csv")))


def hypermodel(name: str) -> Any:
    """Returns a space for the dataset that was recorded."""
    space = name.partition("-")[0]
    settings = {"weights": "none"} if space == "transfer_head" else {}
    return space_class(space)(*_DATASETS[name], **settings)


def full_space(name: str) -> Any:
    """Returns the hyperparameters of a space, for the dataset that was recorded."""
    return explore(hypermodel(name))


class Noise(NamedTuple):
    """Standard deviations of the logarithm of an error.

    Args:
        trial: Of what the epochs of a training have in common.
        epoch: Of what each epoch has besides.
    """

    trial: float
    epoch: float


class Surrogate:
    """Predicts the learning curve of a trial.

    Args:
        name: One of `RECORDED`.
    """

    def __init__(self, name: str) -> None:
        self.space_name = name.partition("-")[0]
        self.hypermodel = hypermodel(name)
        self.space = explore(self.hypermodel)
        rows = _rows(name)
        self._values = [_values(row) for row in rows]
        self._points = np.array([self._encode(values) for values in self._values])
        # number of the trial of each row
        self._trials = np.unique(self._points, axis=0, return_inverse=True)[1]
        self._errors = _log_errors(rows)
        self.num_recorded, self.epochs = self._trials.max() + 1, self._errors.shape[1]
        self._curves = _fitted(self._points, self._errors)
        self._seen: dict[str, Any] = {}
        self._seconds = self._by_phase(rows)
        self._times = _fitted(self._points, np.log(self._seconds))
        self._seconds_seen: dict[str, Any] = {}

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
        phases = [self._phases(values) for values in self._values]
        known, found = (
            np.array([self._spread(*row).sum() for row in zip(phases, seconds, strict=True)])
            for seconds in (self._seconds, np.exp(self._held_out(np.log(self._seconds))))
        )
        return f"{said}; seconds by {np.median(np.abs(found / known - 1)):.0%}"

    def _held_out(self, wanted: Any) -> Any:
        """Returns predictions by networks that were fitted to other trials."""
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
        """Returns seconds, `(rows, 2 * most phases)`.

        The median of an epoch of each phase, then what the beginning of each phase takes besides.
        """
        medians: list[list[float]] = []
        begins: list[list[float]] = []
        for row, values in zip(rows, self._values, strict=True):
            seconds, phases = np.array(json.loads(row["seconds"])), self._phases(values)
            own = [seconds[phases == phase] for phase in np.unique(phases)]
            median = [float(np.median(epochs[1:] if len(epochs) > 1 else epochs)) for epochs in own]
            besides = [epochs[0] - usual for epochs, usual in zip(own, median, strict=True)]
            besides[0] += float(row.get("besides") or 0.0)
            medians.append(median)
            begins.append(besides)
        most = max(map(len, medians))
        whole = [
            [*of_phases, *[of_phases[-1]] * (most - len(of_phases))]
            for of_phases in [*medians, *begins]
        ]
        return np.maximum(np.hstack(np.split(np.array(whole), 2)), _LEAST_SECONDS)

    @staticmethod
    def _spread(phases: Any, seconds: Any, first: int = 0) -> Any:
        """Returns the seconds of each epoch, `(epochs,)`, of those of the phases."""
        medians, besides = np.split(np.asarray(seconds), 2)
        begins = np.diff(phases, prepend=-1) > 0
        begins[first] = True
        return medians[phases] + begins * besides[phases]

    def best_recorded(self) -> list[dict[str, Any]]:
        """Returns the values of the recorded trials, best first."""
        least = self._errors.min(axis=1)
        trials = [np.flatnonzero(self._trials == trial) for trial in range(self.num_recorded)]
        trials.sort(key=lambda rows: float(least[rows].mean()))
        return [self._values[rows[0]] for rows in trials]

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

    def seconds(self, values: Mapping[str, Any], first: int = 0) -> Any:
        """Returns the seconds of each epoch, `(epochs,)`, of a trial that begins with `first`."""
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._seconds_seen:
            seconds = np.exp(self._times.predict([self._encode(values)])[0])
            self._seconds_seen[key] = (self._phases(values), seconds)
        return self._spread(*self._seconds_seen[key], first)

    def score(self, values: Mapping[str, Any]) -> float:
        """Returns the best validation accuracy of its epochs."""
        return max(self.curve(values))

    def _scores(self, points: Sequence[Mapping[str, Any]]) -> Any:
        """Returns the scores of many points at once."""
        return 1 - np.exp(self._curves.predict([self._encode(p) for p in points]).min(axis=1))

    @cached_property
    def _drawn(self) -> tuple[list[dict[str, Any]], Any]:
        rng = np.random.default_rng(0)
        points = [self.random(rng) for _ in range(_DRAWS)]
        return points, self._scores(points)

    @property
    def drawn_scores(self) -> Any:
        """Scores of 20,000 points drawn at random."""
        return self._drawn[1]

    @cached_property
    def best_known(self) -> float:
        """The best score there is, as far as a long search from the best draws finds it.

        That changes one to three hyperparameters of the best points again and again. It does not
        depend on the searches that are compared.
        """
        rng = np.random.default_rng(1)
        points, scores = self._drawn
        for _ in range(_ROUNDS):
            order = np.argsort(-scores)[:_KEPT]
            points, scores = [points[i] for i in order], scores[order]
            new = [self._changed(point, rng) for point in points for _ in range(20)]
            points, scores = points + new, np.concatenate([scores, self._scores(new)])
        return float(scores.max())

    def _changed(self, point: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        """Returns a point with one to three hyperparameters drawn anew; the active ones."""
        drawn = self.random(rng)
        names = {
            str(n) for n in rng.choice([hp.name for hp in self.space.space], rng.integers(1, 4))
        }
        values: dict[str, Any] = {}
        for hp in self.space.space:
            if is_active(hp, values):
                source = drawn if hp.name in names or hp.name not in point else point
                values[hp.name] = source.get(hp.name, hp.default)
        return values


@cache
def noise_of(name: str) -> Noise:
    """Returns the noise of recorded trials: of the better half of those with several seeds.

    Where there are none, that of `mnist_cnn-digits` stands for it.
    """
    rows = _rows(name)
    texts = [row["values"] for row in rows]
    errors = _log_errors(rows)
    seeds = [errors[[text == one for text in texts]] for one in sorted(set(texts))]
    repeated = sorted((s for s in seeds if len(s) > 1), key=lambda s: s.min(axis=1).mean())
    better = repeated[: -(len(repeated) // 2)]
    if not better:
        return noise_of(_REPEATED)
    apart = np.concatenate([s - s.mean(axis=0) for s in better])
    covariance = apart.T @ apart / sum(len(s) - 1 for s in better)
    epochs = len(covariance)
    trial = (covariance.sum() - covariance.trace()) / (epochs * (epochs - 1))
    epoch = covariance.trace() / epochs - trial
    return Noise(math.sqrt(max(trial, 0.0)), math.sqrt(max(epoch, 0.0)))


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _log_errors(rows: Sequence[Mapping[str, str]]) -> Any:
    """Returns the logarithm of the error of each epoch, `(rows, epochs)`."""
    curves = np.array([json.loads(row["val_accuracy"]) for row in rows])
    return np.log(np.maximum(1 - curves, _LEAST_ERROR))


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
                phases = training["seconds"]
                whole = sum(phases.values()) - phases.get("features", 0.0)
                besides = round(whole - sum(training["epoch_seconds"]), 3)
                rows.append((json.dumps(result["hyperparameters"]), curve, seconds, besides))
    epochs = max(len(curve) for _, curve, *_ in rows)  # one that was interrupted has fewer
    once = {(v, json.dumps(c)): (json.dumps(s), b) for v, c, s, b in rows if len(c) == epochs}
    table = [(*row, *seconds) for row, seconds in once.items()]
    target = _FOLDER / f"{name}.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("values", "val_accuracy", "seconds", "besides"), *table])
    return target


def _check(name: str, studies: Sequence[Path]) -> None:
    """Refuses studies that are not of what `name` says, before anything is written."""
    space = name.partition("-")[0]
    if name not in _DATASETS:
        raise SystemExit(f"{name} has no shape here; there are {', '.join(_DATASETS)}")
    for study in studies:
        record = json.loads((study / "study.json").read_text(encoding="utf-8"))
        found = (record["config"]["space"], tuple(record["dataset"]["shape"]))
        if found != (wanted := (space, _DATASETS[name][0])):
            raise SystemExit(f"{study}: {name} is of {wanted}, this is of {found}")


def main() -> None:
    """Writes recorded trials, or says how well they predict others."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="?", help="of the file to write, without .csv")
    parser.add_argument("studies", nargs="*", type=Path, help="folders of studies")
    given = parser.parse_args()
    if given.name is not None:
        if not given.studies:
            parser.error(f"{given.name} is to be written of studies; name their folders after it")
        _check(given.name, given.studies)
        print(write_recorded(given.name, given.studies))
        return
    for name in RECORDED:
        surrogate = Surrogate(name)
        counts = f"{surrogate.num_recorded} trials of {surrogate.epochs} epochs"
        print(f"{name}: {counts}; {surrogate.held_out()}")
        noise = noise_of(name)
        print(f"noise of the error: {noise.trial:.0%} of a training, {noise.epoch:.0%} of an epoch")


if __name__ == "__main__":
    main()
