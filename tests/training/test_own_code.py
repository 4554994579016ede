"""Models with custom code (Lambda, own layers): reported in one line, and still exported."""

import json
from pathlib import Path
from typing import Any

import keras
import pytest

import search_spaces
from experiments.finalists.artifacts import describe_model
from experiments.record.errors import UserError
from experiments.record.model_metadata import ModelMetadata
from experiments.studies.export_model import export_model
from experiments.training.own_code import notice_of, own_code
from experiments.training.weights import export
from reports import load_study
from reports.page.report import _own_code
from tests.reports.synthetic import Synthetic, write_study

SPACE = '''
import keras
from search_spaces.base import ImageSpace


class WithLambda(ImageSpace):
    """A space whose network has a Python lambda."""

    def draw(self, hp):
        return {"units": hp.Choice("units", [4, 8])}

    def build(self, hp):
        inputs = keras.Input(self.input_shape)
        x = keras.layers.Lambda(lambda images: images / 255, name="scale")(inputs)
        x = keras.layers.Dense(self.draw(hp)["units"])(keras.layers.Flatten()(x))
        model = keras.Model(inputs, self.output_layer()(x))
        self.compile(model, keras.optimizers.Adam())
        return model
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study whose exported model has a Lambda layer."""
    import keras_tuner

    (tmp_path / "with_lambda.py").write_text(SPACE)
    monkeypatch.setattr(search_spaces, "__path__", [*search_spaces.__path__, str(tmp_path)])
    study = write_study(tmp_path / "runs", Synthetic(4))
    record = json.loads((study / "study.json").read_text())
    record["config"] |= {"space": "with_lambda"}
    (study / "study.json").write_text(json.dumps(record))
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [4, 8])
    hp.values["units"] = 8
    exported = load_study(study).finalists[0]["trial_id"]
    path = study / f"trial_{exported}" / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hyperparameters": hp.get_config()}))
    keras.utils.set_random_seed(3)
    model = search_spaces.space_class("with_lambda")((8, 8, 1), 3).build(hp)
    export(study, model, ModelMetadata(("a", "b", "c"), (8, 8, 1)))
    return study


def test_a_model_with_a_lambda_is_exported_by_its_space(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Lambda"):  # what Keras says of the file
        keras.models.load_model(folder / "best_model.keras")
    out = tmp_path / "exported"
    # Compared with a network that holds the weights of the file: other weights would differ.
    assert export_model(load_study(folder), "saved_model", out) < 1e-6
    trusted = keras.models.load_model(folder / "best_model.keras", safe_mode=False)
    import numpy as np
    import tensorflow as tf

    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("float32")
    loaded = tf.saved_model.load(str(out))
    np.testing.assert_allclose(loaded.serve(images), trusted(images), atol=1e-6)


def test_what_can_not_be_loaded_in_any_way_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_spaces, "__path__", search_spaces.__path__[:1])
    with pytest.raises(UserError, match=r"can't be loaded .*Lambda.* nor can its network") as error:
        export_model(load_study(folder), "saved_model", tmp_path / "exported")
    assert "\n" not in str(error.value)
    (folder / "best_model.keras").write_bytes(b"no model")
    with pytest.raises(UserError, match="can't be loaded"):
        export_model(load_study(folder), "saved_model", tmp_path / "exported")


class Own(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


def test_layers_that_need_code_are_named_wherever_they_are(folder: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), Own(name="own"), keras.layers.Dense(2)])
    model = keras.Sequential([keras.Input((4,)), inner, keras.layers.Lambda(lambda x: x, name="f")])
    needs = own_code(model)
    assert needs == [
        "layer 'own' is of class Own (import it first)",
        "layer 'f' is a Python function (load it with safe_mode=False)",
    ]
    assert notice_of(needs).startswith("best_model.keras does not load by itself: layer 'own'")
    described = describe_model(model)
    assert described["own_code"] == needs
    path = folder / "artifacts" / "model.json"
    path.write_text(json.dumps(described))
    assert _own_code(load_study(folder)) == needs
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(0.5)])
    assert own_code(plain) == []
    assert "own_code" not in describe_model(plain)
