"""Models in files of one's own: what of their training is recorded and kept."""

from pathlib import Path

import pytest

from experiments.record.objective import Objective
from experiments.training.run import run_trial
from experiments.training.task import Answer
from tests.hyperparameters.own_models import build, task_of, write

PER_CLASS = """
class PerClass(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="per_class")
        self.sums = self.add_weight(shape=(10,), initializer="zeros")

    def update_state(self, labels, outputs, sample_weight=None):
        self.sums.assign_add(keras.ops.mean(outputs, axis=0))

    def result(self):
        return self.sums + 0.0
"""
COMPILED = 'optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy", '


@pytest.mark.parametrize(
    ("objective", "status", "message"),
    [
        ("val_accuracy", "completed", None),
        ("val_per_class", "failed", "ValueError: val_per_class was not reported: compile the model "
         "with that metric; there are accuracy, loss, val_accuracy and val_loss"),
    ],
)  # fmt: skip
def test_a_metric_that_is_no_number_is_left_out(
    objective: str, status: str, message: str | None, tmp_path: Path, cache_dir: Path
) -> None:
    path = write(tmp_path, PER_CLASS, build(compiled=f"{COMPILED}PerClass()]"))
    task = task_of(path, cache_dir, objective=Objective(objective, "max"))
    result = run_trial(task, lambda *report: Answer.GO)
    assert (result.status, result.message) == (status, message), result.traceback
    (execution,) = result.executions
    assert set(execution.history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
