"""A model trained with label smoothing is exported with Keras' own loss: it loads without us."""

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from experiments.record.model_metadata import ModelMetadata
from experiments.training.weights import export
from search_spaces.mnist_cnn import MnistCnn


def test_an_exported_model_names_nothing_of_the_space(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.values["label_smoothing"] = 0.1
    model = MnistCnn((8, 8, 1), 3).build(hp)
    assert model.loss.label_smoothing == 0.1
    export(tmp_path, model, ModelMetadata(("a", "b", "c"), (8, 8, 1)))
    with zipfile.ZipFile(tmp_path / "best_model.keras") as archive:
        assert "search_spaces" not in archive.read("config.json").decode()
    loaded = keras.models.load_model(tmp_path / "best_model.keras")
    assert loaded.loss == "sparse_categorical_crossentropy"


class Falling(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Has no `get_config`."""

    def __call__(self, step: Any) -> Any:
        return 1e-3 / (1 + keras.ops.cast(step, "float32"))


def scaled(labels: Any, outputs: Any, by: float) -> Any:
    return by * keras.ops.mean(keras.ops.square(labels - outputs))


@pytest.mark.parametrize(("rate", "loss"), [(Falling(), "mse"), (0.1, partial(scaled, by=2))])
def test_a_model_is_exported_whose_training_can_not_be_described(
    rate: Any, loss: Any, tmp_path: Path
) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(rate), loss)
    export(tmp_path, model, ModelMetadata((), (3,), "arrays", "values"))
    loaded = keras.models.load_model(tmp_path / "best_model.keras")
    assert np.array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert "get_compile_config" not in vars(model)
