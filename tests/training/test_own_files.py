"""Models in files of one's own: what of their training is recorded and kept."""

from pathlib import Path

import numpy as np
import pytest

from experiments.record.objective import Objective
from experiments.training.network import build_network
from experiments.training.run import run_trial
from experiments.training.task import Answer
from experiments.training.weights import load_weights
from tests.hyperparameters.own_models import FIT, build, task_of, write

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


ANEW = """units = {units}
        rows = keras.Input((8, 8, 1))
        hidden = keras.layers.Dense(units)(keras.layers.Flatten()(rows))
        other = keras.Model(rows, keras.layers.Dense(10, activation="softmax")(hidden))
        other.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"],
                      run_eagerly=True)
        return other.fit(*args, shuffle=False, **kwargs)"""
TWO_LAYERS = ("keras.layers.Flatten()])", "keras.layers.Flatten(), keras.layers.Dense(6)])")


@pytest.mark.parametrize(
    ("units", "message"), [(6, None), (7, "ValueError: its fit trained another model")]
)
def test_what_a_fit_trains_in_the_place_of_the_model_is_kept(
    units: int, message: str | None, tmp_path: Path, cache_dir: Path
) -> None:
    text = FIT.replace(*TWO_LAYERS).format(
        parameters="*args, **kwargs", body=ANEW.format(units=units)
    )
    path = write(tmp_path, text)
    task = task_of(path, cache_dir, checkpoint=str(tmp_path / "best.weights.h5"))
    result = run_trial(task, lambda *report: Answer.GO)
    assert result.message == message, result.traceback
    if message is None:
        model = build_network(task)
        load_weights(model, Path(str(task.checkpoint)))
        data = task.data.open("validation")
        outputs = model.predict(np.asarray(data.images), verbose=0)
        accuracy = (outputs.argmax(axis=1) == data.labels).mean()
        assert accuracy == pytest.approx(result.executions[0].score, abs=1e-6)
