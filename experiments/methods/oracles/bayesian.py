"""Bayesian optimisation that repeats no point and resumes."""

import warnings
from contextlib import suppress
from typing import Any

import keras_tuner
import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from experiments.hyperparameters.combinations import in_unit, is_active
from experiments.methods.oracles.base import DurableOracle, Status

_NUM_RANDOM = 500
_NUM_NEAR = 20  # candidates near each of the best trials
_NUM_BEST = 5
_SPREAD = 0.15
_INACTIVE = 0.5
_NUM_RESTARTS = 3

Vector = npt.NDArray[np.float64]


class BayesianOracle(DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Keras Tuner's Gaussian process (Matern 2.5, lower confidence bound) on candidates.

    The bound is compared over candidates, drawn at random and near the best trials, that are
    possible and were not tried: not over a continuous space whose optimum is rounded to a point
    tried before. A hyperparameter that is inactive is encoded alike in all trials. What is running
    counts with the mean that is expected of it. Source: Ginsbourger et al., "Kriging Is
    Well-Suited to Parallelize Optimization", 2010 (the kriging believer).
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the candidate with the best bound; at random until there is enough to fit."""
        completed = [t for t in self.trials.values() if t.status == Status.COMPLETED]
        dimensions = len(self._nonfixed_space())
        is_early = len(completed) < (self.num_initial_points or max(3 * dimensions, 3))
        if is_early or not dimensions:
            return dict(self._random_populate_space())
        seed = self.derived_seed(int(trial_id))
        rng = np.random.default_rng(seed)
        candidates = self._candidates(completed, rng)
        if not candidates:
            return dict(self._random_populate_space())
        bound = self._bound(completed, [self._encode(v) for v in candidates], seed)
        return {"status": Status.RUNNING, "values": candidates[int(np.argmin(bound))]}

    def _bound(self, completed: list[Any], candidates: list[Vector], seed: int) -> Vector:
        """Returns the lower confidence bound of each candidate; lower is more promising."""
        sign = -1.0 if self.objective.direction == "max" else 1.0
        known = self._encoded(completed)
        points = np.array([point for _, point in known])
        scores = sign * np.array([trial.score for trial, _ in known])
        self.gpr = GaussianProcessRegressor(
            kernel=Matern(nu=2.5),
            n_restarts_optimizer=_NUM_RESTARTS,
            normalize_y=True,
            alpha=self.alpha,
            random_state=seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound
            self.gpr.fit(points, scores)
        running = [point for _, point in self._encoded(list(self.ongoing_trials.values()))]
        if running:
            scores = np.concatenate([scores, self.gpr.predict(np.array(running))])
            self.gpr.set_params(kernel=self.gpr.kernel_, optimizer=None)
            self.gpr.fit(np.concatenate([points, running]), scores)
        mean, deviation = self.gpr.predict(np.array(candidates), return_std=True)
        return np.asarray(mean - self.beta * deviation)

    def _candidates(self, completed: list[Any], rng: np.random.Generator) -> list[dict[str, Any]]:
        most = self.objective.direction == "max"
        known = self._encoded(completed)
        if not known:
            return []
        best = sorted(known, key=lambda found: found[0].score, reverse=most)[:_NUM_BEST]
        dimensions = len(self._nonfixed_space())
        vectors = [rng.uniform(size=(_NUM_RANDOM, dimensions))]
        for _, centre in best:
            moved = rng.uniform(size=(_NUM_NEAR, dimensions)) < max(0.3, 1 / dimensions)
            steps = rng.normal(scale=_SPREAD, size=(_NUM_NEAR, dimensions))
            vectors.append(np.clip(centre + moved * steps, 0.0, 1.0))
        found: dict[str, dict[str, Any]] = {}
        for vector in np.concatenate(vectors):
            values = self._decode(vector)
            if not self._duplicate(values):
                found.setdefault(self._compute_values_hash(values), values)
        return list(found.values())

    def _encoded(self, trials: list[Any]) -> list[tuple[Any, Vector]]:
        """Returns trials with their points, without those of choices that a script has no more."""
        found = []
        for trial in trials:
            with suppress(ValueError):
                found.append((trial, self._encode(trial.hyperparameters.values)))
        return found

    def _encode(self, values: dict[str, Any]) -> Vector:
        """Returns `values` in the unit cube, one dimension a hyperparameter that is not fixed."""
        return np.array(
            [
                in_unit(hp, values[hp.name])
                if hp.name in values and is_active(hp, values)
                else _INACTIVE
                for hp in self._nonfixed_space()
            ]
        )

    def _decode(self, vector: Vector) -> dict[str, Any]:
        """Returns the active values at a point of the unit cube."""
        probabilities = iter(vector)
        values: dict[str, Any] = {}
        for hp in self.hyperparameters.space:
            fixed = isinstance(hp, keras_tuner.engine.hyperparameters.Fixed)
            value = hp.value if fixed else hp.prob_to_value(min(next(probabilities), 1 - 1e-12))
            if is_active(hp, values):
                values[hp.name] = value
        return values
