"""A model of the score: a random forest over the hyperparameters of completed trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reports.statistics.space import Axis

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

LEAST_TRIALS = 10
_TREES = 100
_MOST_TRIALS = 1000  # a larger study is sampled
_GRID = 24
_MOST_AVERAGED = 40


@dataclass(frozen=True)
class Surrogate:
    """A fitted forest.

    Args:
        forest: From `(n, num_axes)`, values scaled to 0..1, to scores.
        table: `(num_trials, num_axes)` it was fitted to.
        fit: Out-of-bag R²: 1 predicts unseen trials exactly, 0 no better than their mean.
    """

    forest: "RandomForestRegressor"
    table: npt.NDArray[np.float64]
    fit: float

    def predict(self, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Predicts scores, `(n,)`."""
        return np.asarray(self.forest.predict(table))

    def grid(self, first: Axis, second: Axis, columns: tuple[int, int]) -> tuple[Any, Any, Any]:
        """Predicts scores over two hyperparameters, averaged over the trials' other values.

        This is a partial dependence (Friedman 2001).

        Returns:
            Points of the first axis and of the second, scaled to 0..1; `(second, first)` scores.
        """
        x, y = _points(first), _points(second)
        step = max(1, len(self.table) // _MOST_AVERAGED)
        others = self.table[::step]
        places = np.array([(a, b) for b in y for a in x])
        rows = np.repeat(others[None], len(places), axis=0)
        rows[:, :, columns[0]], rows[:, :, columns[1]] = places[:, :1], places[:, 1:]
        scores = (
            self.predict(rows.reshape(-1, rows.shape[-1])).reshape(len(places), -1).mean(axis=1)
        )
        return x, y, scores.reshape(len(y), len(x))


def _points(axis: Axis) -> npt.NDArray[np.float64]:
    return np.linspace(0, 1, _GRID) if axis.levels is None else axis.levels


def fit_surrogate(
    axes: Sequence[Axis], scores: npt.NDArray[np.float64], seed: int
) -> Surrogate | None:
    """Fits the forest; `None` where trials are fewer than 10 or scores don't vary."""
    from sklearn.ensemble import RandomForestRegressor

    if len(scores) < LEAST_TRIALS or not axes or np.ptp(scores) == 0:
        return None
    table = np.column_stack([axis.unit for axis in axes])
    if len(scores) > _MOST_TRIALS:
        rng = np.random.default_rng([seed, 0xAB])
        chosen = rng.choice(len(scores), _MOST_TRIALS, replace=False)
        table, scores = table[chosen], scores[chosen]
    forest = RandomForestRegressor(
        _TREES, random_state=seed % 2**32, min_samples_leaf=2, oob_score=True
    )
    forest.fit(table, scores)
    return Surrogate(forest, table, float(forest.oob_score_))
