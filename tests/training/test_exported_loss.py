"""A model trained with label smoothing is exported with Keras' own loss: it loads without us."""

import zipfile
from pathlib import Path

import keras
import keras_tuner

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
