"""Local search: every second trial changes one hyperparameter of the best trial so far."""

from typing import Any

import keras_tuner
import numpy as np

from experiments.methods.oracles.base import DurableOracle, Status


class LocalOracle(DurableOracle):
    """Random draws and small changes of the best trial, by turns."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the values of the next trial: a function of seed, number and trials so far."""
        best = self.get_best_trials(1)
        values = self._random_values()
        if best and int(trial_id) % 2 and values is not None:
            values = self._changed(best[0].hyperparameters, values)
        if values is None:  # all of a finite space was tried
            return {"status": Status.STOPPED}
        return {"status": Status.RUNNING, "values": values}

    def _changed(
        self, best: keras_tuner.HyperParameters, drawn: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Takes one value from `drawn`, all others from `best`; `None` if that was tried."""
        rng = np.random.default_rng(self._seed_state)
        name = str(rng.choice(sorted(drawn)))
        hp = keras_tuner.HyperParameters()
        for declared in self.hyperparameters.space:
            hp.merge([declared])
            if hp.is_active(declared):
                value = drawn.get(name) if declared.name == name else best.values.get(declared.name)
                hp.values[declared.name] = declared.default if value is None else value
        values = {h.name: hp.values[h.name] for h in hp.space if hp.is_active(h)}
        return drawn if self._duplicate(values) else values
