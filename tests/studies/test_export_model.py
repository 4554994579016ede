"""Export of the best model: of any input and any scale of outputs, or refused in one line."""

from pathlib import Path

import keras
import numpy as np
import pytest

from experiments.record.errors import UserError
from experiments.studies import export_model as module
from experiments.studies.export_model import export_model
from experiments.studies.run_model import Runner
from reports import load_study
from reports.study.study import Study
from tests.reports.synthetic import Synthetic, write_study


def study_of(folder: Path, model: keras.Model) -> Study:
    made = write_study(folder / "runs", Synthetic(4))
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
