"""Weights of classes: Keras' own results, the same after a resume, and the metric AUC."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.utils import compute_class_weight

from experiments.data.balance import balanced_weights
from experiments.data.prepare import prepare
from experiments.studies.trained_how import how_trained, key_of
from experiments.training import loop
from experiments.training.feed import Feed, rows_of
from experiments.training.task import TrialTask
from search_spaces._metrics import MacroAUC
from search_spaces.base import ImageSpace
from search_spaces.frozen import LayerSplit
from search_spaces.mnist_cnn import MnistCnn
from tests.training.test_snapshot import run, task

LABELS = np.array([0] * 60 + [1] * 30 + [2] * 10)
SMALL = {"conv_blocks": 1, "filters_0": 8, "dense_layers": 0}


def test_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert balanced_weights([60, 30, 10]) == pytest.approx(expected.tolist())


def trained(lean: bool) -> dict[str, list[float]]:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    images = np.random.default_rng(0).integers(0, 256, (100, 4, 4, 1)).astype("uint8")
    weights = balanced_weights([60, 30, 10])
    train = Feed([rows_of(images)], LABELS, 8, 1, weights if lean else None).dataset()
    validation = Feed([rows_of(images)], LABELS, 16).dataset()
    given = {} if lean else {"class_weight": dict(enumerate(weights))}
    if lean:
        loop.install(model, train, validation, 5)
    fitted = model.fit(
        train, validation_data=validation, epochs=3, verbose=0, shuffle=False, **given
    )
    return {name: [float(v) for v in values] for name, values in fitted.history.items()}


def test_the_lean_loop_weighs_as_keras_does() -> None:
    lean, own = trained(True), trained(False)
    assert list(lean) == list(own)
    for name, values in own.items():
        assert lean[name] == pytest.approx(values, rel=1e-5)


def test_weighed_trainings_differ_and_resume_to_the_same(tmp_path: Path, cache_dir: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "set.npz", x_train=pixels, y_train=LABELS)
    data = prepare(f"npz:{tmp_path / 'set.npz'}", lambda c: (8, 8, c), tmp_path / "cache")

    def asked(name: str, **options: Any) -> TrialTask:
        made = task("mnist_cnn", cache_dir, tmp_path / name, SMALL, epochs=2, **options)
        return replace(made, data=data)

    plain = asked("plain")
    weighed = asked("weighed", class_weight="balanced")
    history = run(weighed).executions[0].history
    assert history["loss"] != run(plain).executions[0].history["loss"]
    stopped = asked("stopped", class_weight="balanced")
    assert run(stopped, (0, 0)).executions[0].history == history
    assert how_trained(weighed)["class_weight"] == "balanced"
    assert "class_weight" not in how_trained(plain)  # as trainings of before the option
    assert key_of(how_trained(plain)) != key_of(how_trained(weighed))


def test_a_fit_of_its_own_gets_the_weights(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def fit(self: Any, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        given.append(kwargs.get("class_weight"))
        return ImageSpace.fit(self, hp, model, *args, **kwargs)

    monkeypatch.setattr(MnistCnn, "fit", fit)
    for name in ("balanced", None):
        asked = task("mnist_cnn", cache_dir, tmp_path / str(name), SMALL, epochs=1)
        run(replace(asked, class_weight=name))
    counts = np.bincount(asked.data.open("train").labels).tolist()
    assert given == [dict(enumerate(balanced_weights(counts))), None]


@pytest.mark.parametrize("num_classes", [2, 4])
def test_auc_is_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, 400)
    outputs = rng.random((400, num_classes)) + np.eye(num_classes)[labels] * 0.4
    outputs = (outputs / outputs.sum(axis=1, keepdims=True)).astype("float32")
    expected = roc_auc_score(
        labels, outputs[:, 1] if num_classes == 2 else outputs, multi_class="ovr"
    )
    metric = MacroAUC(num_classes)
    for part in range(0, 400, 64):
        chosen = slice(part, part + 64)
        metric.update_state(
            labels[chosen], outputs[chosen, 1:] if num_classes == 2 else outputs[chosen]
        )
    assert float(metric.result()) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("metric", ["f1_score", "auc"])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_cut_model_reports_what_is_asked(metric: str, num_classes: int) -> None:
    import keras_tuner

    space = MnistCnn((8, 8, 1), num_classes)
    space.report(metric)
    model = space.build(keras_tuner.HyperParameters())
    cut = LayerSplit(model, next(n.name for n in model.layers if "conv" in n.name), "part").cuts(1)[
        0
    ]
    part = cut.trainable()
    part.run_eagerly = True  # no graph is traced for one batch
    x = np.zeros((12, *part.input_shape[1:]), np.float32)
    assert metric in part.evaluate(x, np.arange(12) % num_classes, verbose=0, return_dict=True)
