"""Export of the best model: of any input and any scale of outputs, or refused in one line."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from experiments.cli.main import main
from experiments.record.errors import UserError
from experiments.studies import export_model as module
from experiments.studies.export_model import export_model
from experiments.studies.run_model import Runner
from reports import load_study
from reports.study.study import Study
from tests.reports.synthetic import Synthetic, write_study


def study_of(folder: Path, model: keras.Model) -> Study:
    made = write_study(folder / "runs", Synthetic(4, shape=model.input_shape[1:]))
    record = json.loads((made / "study.json").read_text())
    record["dataset"]["inputs"] = "arrays"
    (made / "study.json").write_text(json.dumps(record))
    model.save(made / "best_model.keras")
    return load_study(made)


def test_large_outputs_are_compared_by_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(1e4))
    model = keras.Sequential([keras.Input((5,)), large])
    study = study_of(tmp_path, model)
    off = 1e-6

    def runner(path: Path) -> Runner:
        return Runner(lambda rows: np.asarray(model(rows)) * (1 + off), (None, 5))

    monkeypatch.setattr(module, "RUNNERS", {"saved_model": runner})
    assert export_model(study, "saved_model", tmp_path / "kept") > module.TOLERANCE
    off = 1e-2
    with pytest.raises(UserError, match="an output differs by") as error:
        export_model(study, "saved_model", tmp_path / "refused")
    assert "probability" not in str(error.value)
    assert not (tmp_path / "refused").exists()


def embedded(inputs: Any, tokens: Any) -> keras.Model:
    x = keras.layers.Flatten()(keras.layers.Embedding(9, 4)(tokens))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


@pytest.fixture
def of_texts() -> keras.Model:
    texts = keras.Input((1,), dtype="string")
    known = {"vocabulary": ["0", "1"], "output_sequence_length": 3}
    return embedded(texts, keras.layers.TextVectorization(**known)(texts))


@pytest.mark.filterwarnings("ignore")  # of the converters, about one another
@pytest.mark.parametrize("to", ["saved_model", "tflite"])
def test_a_model_of_whole_numbers_is_exported(to: str, tmp_path: Path) -> None:
    tokens = keras.Input((3,), dtype="int32")
    study = study_of(tmp_path, embedded(tokens, tokens))
    assert export_model(study, to, tmp_path / "out") < 1e-5


def test_a_model_of_texts_is_exported(of_texts: keras.Model, tmp_path: Path) -> None:
    study = study_of(tmp_path, of_texts)
    assert export_model(study, "saved_model", tmp_path / "out") < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_what_a_format_can_not_hold_is_one_line(
    of_texts: keras.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = study_of(tmp_path, of_texts).folder, tmp_path / "out"
    arguments = ["export", str(folder), "--model", "tflite", "--out", str(out)]
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 2, answer.output
    assert "the model can't be exported as tflite: it needs Ragged" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert capfd.readouterr().err == ""  # of the converter
    assert not out.exists()


def test_a_model_of_two_inputs_is_one_line(tmp_path: Path) -> None:
    inputs = [keras.Input((3,)), keras.Input((3,))]
    study = study_of(tmp_path, keras.Model(inputs, keras.layers.Add()(inputs)))
    with pytest.raises(UserError, match="the model can't be exported as saved_model"):
        export_model(study, "saved_model", tmp_path / "out")
