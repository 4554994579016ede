"""Random search that tries every combination of a finite space."""

from typing import Any

import keras_tuner

from experiments.methods.oracles.halved import Halved


class RandomOracle(Halved, keras_tuner.oracles.RandomSearchOracle):
    """Keras Tuner's random search; where 20 draws were all tried before, it draws from the rest."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns a trial to be promoted, or one drawn at random."""
        drawn: dict[str, Any] = self.promoted() or super().populate_space(trial_id)
        return drawn
