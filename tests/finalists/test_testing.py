"""What finalists leave of their test predictions, for each task."""

from pathlib import Path

import numpy as np
import pytest

from experiments.finalists import testing
from experiments.finalists.testing import write_predictions
from experiments.record.layout import StudyFolder
from experiments.record.predictions import (
    read_finalists_outputs,
    read_finalists_predictions,
    read_kept,
)

TARGETS = np.array([[0.5, 1.0], [2.0, 3.0], [4.0, 5.0]], dtype=np.float32)


def test_outputs_of_a_regression_are_kept_by_trial_and_seed(tmp_path: Path) -> None:
    outputs = {"01": {7: TARGETS + 1, 9: TARGETS + 2}, "02": {}}
    write_predictions(StudyFolder(tmp_path).arrays("finalists"), TARGETS, outputs)
    targets, found = read_finalists_outputs(tmp_path)
    assert np.array_equal(targets, TARGETS)
    assert list(found) == ["01"]
    assert np.array_equal(found["01"][9], TARGETS + 2)
    assert np.array_equal(read_kept(tmp_path)["01"][7], TARGETS + 1)
    assert read_finalists_predictions(tmp_path)[1] == {"01": {}}


def test_a_single_target_is_a_column(tmp_path: Path) -> None:
    one = TARGETS[:, 0]
    write_predictions(StudyFolder(tmp_path).arrays("finalists"), one, {"1": {3: one[:, None]}})
    targets, found = read_finalists_outputs(tmp_path)
    assert targets.shape == found["1"][3].shape == (3, 1)


def test_classes_are_kept_as_ever(tmp_path: Path) -> None:
    labels, said = np.array([0, 2, 1]), np.array([0, 1, 1], dtype=np.uint8)
    write_predictions(StudyFolder(tmp_path).arrays("finalists"), labels, {"1": {3: said}})
    assert np.array_equal(read_kept(tmp_path)["1"][3], said)
    assert read_finalists_outputs(tmp_path)[1] == {}


def test_outputs_that_are_too_many_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(testing, "_MOST_VALUES", 5)
    write_predictions(StudyFolder(tmp_path).arrays("finalists"), TARGETS, {"1": {3: TARGETS}})
    assert read_kept(tmp_path) == {}
