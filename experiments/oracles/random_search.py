"""Random search that tries every combination of a finite space."""

import keras_tuner

from experiments.oracles.base import DurableOracle


class RandomOracle(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    """Keras Tuner's random search; where 20 draws were all tried before, it draws from the rest."""
