"""Searches without training: a trial's score is predicted from recorded trials.

`recorded/<space>.csv` holds real trials of a random search by this suite, one a row: values as
JSON, and validation accuracy after each epoch. `python benchmarks/surrogate.py STUDY` makes such a
file of a study. Where the trials came from:

- `mnist_cnn`: mnist, 2,500 images (`--sample 2500`), 5 epochs, no early stopping, when batch norm
  still had a momentum of 0.99;
- `transfer_head`: cats_vs_dogs, 3,000 images, MobileNetV2 0.35 at 224, 4 epochs, no early stopping.

A forest of randomised trees (400 of them) is fitted to the logarithm of the error of every epoch:
its predictions are cheap, and favour none of the methods compared, as a Gaussian process would.
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


def full_space(name: str) -> Any:
    """Returns the hyperparameters of a space, for the dataset that was recorded."""
    cls = space_class(name)
    if name == "mnist_cnn":
        return explore(cls((28, 28, 1), 10))
    return explore(cls((224, 224, 3), 2, weights="none"))


class Surrogate:
    """Predicts the learning curve of a trial.

    Args:
        name: The search space.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.space = full_space(name)
        rows = list(csv.DictReader((_FOLDER / f"{name}.csv").open(encoding="utf-8")))
        points = np.array([self._encode(json.loads(row["values"])) for row in rows])
        curves = np.array([json.loads(row["val_accuracy"]) for row in rows])
        self.num_recorded, self.epochs = curves.shape
        errors = np.log(np.maximum(1 - curves, _LEAST_ERROR))
        forest = ExtraTreesRegressor(400, min_samples_leaf=2, random_state=0)
        self._forest = forest.fit(points, errors)
        self._seen: dict[str, Any] = {}

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

    def score(self, values: Mapping[str, Any]) -> float:
        """Returns the best validation accuracy of its epochs."""
        return max(self.curve(values))

    def best_known(self, num_draws: int = 20_000) -> float:
        """Returns the best score among as many points drawn at random."""
        rng = np.random.default_rng(0)
        points = []
        for _ in range(num_draws):
            values: dict[str, Any] = {}
            for hp in self.space.space:
                if is_active(hp, values):
                    values[hp.name] = hp.prob_to_value(rng.uniform())
            points.append(self._encode(values))
        return float(1 - np.exp(self._forest.predict(points).min()))


def write_recorded(study: Path) -> Path:
    """Writes the completed trials of a study as recorded ones."""
    rows = []
    for path in sorted(study.glob("trial_*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["status"] == "completed":
            curve = [round(v, 5) for v in result["executions"][0]["history"]["val_accuracy"]]
            rows.append((json.dumps(result["hyperparameters"]), curve))
    epochs = max(len(curve) for _, curve in rows)  # one that was interrupted has fewer
    rows = [(values, json.dumps(curve)) for values, curve in rows if len(curve) == epochs]
    name = json.loads((study / "study.json").read_text(encoding="utf-8"))["config"]["space"]
    target = _FOLDER / f"{name}.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("values", "val_accuracy"), *rows])
    return target


if __name__ == "__main__":
    print(write_recorded(Path(sys.argv[1])))
