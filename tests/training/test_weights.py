"""Weights on the disk."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras.src.saving import saving_lib

from experiments.training import weights


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()]
    )


def test_keras_looks_up_what_it_skips_once_and_writes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reminded, alone = (tmp_path / f"{n}.weights.h5" for n in ("reminded", "alone"))
    for _ in range(2):
        keras.backend.clear_session()  # Keras forgets
        model = network()
        weights.save_weights(model, reminded)
        assert saving_lib.get_attr_skipset("Layer") is weights._skipped["Layer"]
    monkeypatch.setattr(weights, "_remind_keras", lambda: None)
    keras.backend.clear_session()
    model = network()
    assert saving_lib.get_attr_skipset("Layer") is not weights._skipped["Layer"]
    assert saving_lib.get_attr_skipset("Layer") == weights._skipped["Layer"]
    weights.save_weights(model, alone)
    other = network()
    other.set_weights([np.zeros_like(w) for w in other.get_weights()])
    for path in (reminded, alone):
        weights.load_weights(other, path)
        for loaded, saved in zip(other.get_weights(), model.get_weights(), strict=True):
            assert np.array_equal(loaded, saved)
