"""Searches without training: a trial's score is predicted from recorded trials.

`recorded/<space>.csv` holds real trials of a random search by this suite, one a row: values as
JSON, validation accuracy after each epoch and, where they were recorded, the seconds of each epoch.
`python benchmarks/surrogate.py STUDY [NAME]` makes such a file of a study. Where the trials came
from:

- `mnist_cnn`: mnist, 2,500 images (`--sample 2500`), 5 epochs, no early stopping, when batch norm
  still had a momentum of 0.99;
- `transfer_head`: cats_vs_dogs, 3,000 images, MobileNetV2 0.35 at 224, 4 epochs, no early stopping.

A forest of randomised trees (400 of them) is fitted to the logarithm of the error of every epoch,
another to that of the seconds: predictions are cheap, and favour none of the methods compared, as a
Gaussian process would.
"""

import csv
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from experiments.hyperparameters.combinations import is_active
from experiments.hyperparameters.space import explore
from search_spaces import space_class

_FOLDER = Path(__file__).parent / "recorded"
_INACTIVE = -1.0
_LEAST_ERROR = 1e-3
SPACES = ("mnist_cnn", "transfer_head")


def hypermodel(name: str) -> Any:
    """Returns a space for the dataset that was recorded."""
    cls = space_class(name)
    return cls((28, 28, 1), 10) if name == "mnist_cnn" else cls((224, 224, 3), 2, weights="none")


def full_space(name: str) -> Any:
    """Returns the hyperparameters of a space, for the dataset that was recorded."""
    return explore(hypermodel(name))


class Surrogate:
    """Predicts the learning curve of a trial.

    Args:
        name: The search space.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.hypermodel = hypermodel(name)
        self.space = explore(self.hypermodel)
        rows = list(csv.DictReader((_FOLDER / f"{name}.csv").open(encoding="utf-8")))
        points = np.array([self._encode(json.loads(row["values"])) for row in rows])
        curves = np.array([json.loads(row["val_accuracy"]) for row in rows])
        self.num_recorded, self.epochs = curves.shape
        errors = np.log(np.maximum(1 - curves, _LEAST_ERROR))
        self._forest = _forest().fit(points, errors)
        self._seen: dict[str, Any] = {}
        self._times: ExtraTreesRegressor | None = None
        self._seconds_seen: dict[str, float] = {}
        if all(row.get("seconds") for row in rows):
            seconds = [float(np.median(json.loads(row["seconds"]))) for row in rows]
            self._times = _forest().fit(points, np.log(seconds))

    def _encode(self, values: Mapping[str, Any]) -> list[float]:
        return [
            float(hp.value_to_prob(values[hp.name]))
            if hp.name in values and is_active(hp, dict(values))
            else _INACTIVE
            for hp in self.space.space
        ]

    def curve(self, values: Mapping[str, Any]) -> list[float]:
        """Returns the validation accuracy after each epoch."""
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._seen:
            self._seen[key] = self._forest.predict([self._encode(values)])[0]
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

    def seconds(self, values: Mapping[str, Any]) -> float:
        """Returns the seconds of an epoch; 1 where they were not recorded."""
        if self._times is None:
            return 1.0
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._seconds_seen:
            self._seconds_seen[key] = math.exp(self._times.predict([self._encode(values)])[0])
        return self._seconds_seen[key]

    def score(self, values: Mapping[str, Any]) -> float:
        """Returns the best validation accuracy of its epochs."""
        return max(self.curve(values))

    def best_known(self, num_draws: int = 20_000) -> float:
        """Returns the best score among as many points drawn at random."""
        rng = np.random.default_rng(0)
        points = [self._encode(self.random(rng)) for _ in range(num_draws)]
        return float(1 - np.exp(self._forest.predict(points).min()))


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(400, min_samples_leaf=2, random_state=0)


def write_recorded(study: Path, name: str | None = None) -> Path:
    """Writes the completed trials of a study as recorded ones, by default named by its space."""
    rows = []
    for path in sorted(study.glob("trial_*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "completed":
            training = result["executions"][0]
            curve = [round(v, 5) for v in training["history"]["val_accuracy"]]
            seconds = [round(v, 3) for v in training["epoch_seconds"]]
            rows.append((json.dumps(result["hyperparameters"]), curve, seconds))
    epochs = max(len(curve) for _, curve, _ in rows)  # one that was interrupted has fewer
    table = [(v, json.dumps(c), json.dumps(s)) for v, c, s in rows if len(c) == epochs]
    config = json.loads((study / "study.json").read_text(encoding="utf-8"))["config"]
    name = name or config["space"]
    target = _FOLDER / f"{name}.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("values", "val_accuracy", "seconds"), *table])
    return target


if __name__ == "__main__":
    print(write_recorded(Path(sys.argv[1]), *sys.argv[2:3]))
