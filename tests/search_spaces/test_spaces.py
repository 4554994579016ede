"""Spaces: every structural choice builds and takes a step; plain Keras Tuner can search them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.metrics import f1_score

from search_spaces import names, space_class
from search_spaces._backbone import unfreeze_from
from search_spaces._bases import BASES
from search_spaces._drawn import settle_drawn
from search_spaces._metrics import MacroF1
from search_spaces._recipe import learning_rate_at, loss_of, make_optimizer
from search_spaces.mnist_cnn import MnistCnn
from search_spaces.transfer_head import TransferHead
from tests.search_spaces.backbones import own_backbone

# Shape and settings that make a space small; others are built as they are by default.
SMALL: dict[str, Any] = {"transfer_head": ((64, 64, 3), {"weights": "none", "alpha": 0.35})}


@pytest.fixture
def run_eagerly() -> Iterator[None]:
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def eagerly(test: Any) -> Any:
    """Steps run without a graph: of a deep base, tracing one takes ten times as long as the step.

    Trials run as graphs in `tests/training`.
    """
    quiet = pytest.mark.filterwarnings("ignore:Even though the `tf.config.*:UserWarning")  # tf.data
    return pytest.mark.usefixtures("run_eagerly")(quiet(test))


def images(shape: tuple[int, int, int], count: int = 8) -> Any:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *shape)).astype("uint8")


def step(space: Any, epochs: int = 1, **values: Any) -> keras.Model:
    hp = keras_tuner.HyperParameters()
    hp.values |= values
    model = space.build(hp)
    x = images(space.input_shape)
    history = space.fit(hp, model, x, np.arange(8) % space.num_classes, epochs=epochs, verbose=0)
    assert len(history.history["loss"]) == epochs
    assert np.isfinite(history.history["loss"]).all()
    return model


@pytest.mark.parametrize("name", names())
def test_default_builds_and_every_hyperparameter_has_a_meaning(name: str) -> None:
    cls = space_class(name)
    shape, settings = SMALL.get(name) or (cls.required_shape(1, {}), {})
    space = cls(shape, 3, **settings)
    hp = keras_tuner.HyperParameters()
    space.declare_hyperparameters(hp)
    assert space.build(hp).output_shape == (None, 3)
    families = {h.name.rstrip("0123456789") for h in hp.space}
    assert families <= {m.rstrip("0123456789") for m in space.meanings}
    assert {n for point in space.starting_points() for n in point} <= {h.name for h in hp.space}


def test_mnist_cnn_default_is_the_tutorials_model() -> None:
    model = MnistCnn((28, 28, 1), 10).build(keras_tuner.HyperParameters())
    kinds = [type(layer).__name__ for layer in model.layers if layer.weights]
    assert kinds == ["Conv2D", "Dense", "Dense"]
    assert model.count_params() == 320 + (14 * 14 * 32 * 128 + 128) + 1290
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-3)


@eagerly
@pytest.mark.parametrize(
    "values",
    [
        {"pooling": "max", "conv_blocks": 1, "dense_layers": 0},
        {"pooling": "average", "conv_blocks": 4, "dense_layers": 2, "dropout": 0.3},
        {"pooling": "stride", "conv_blocks": 2, "batch_norm": True, "kernel_size": 5},
        {"optimizer": "sgd", "conv_blocks": 3, "learning_rate_schedule": "cosine"},
        {"optimizer": "rmsprop", "batch_size": 256},
        {"convs_per_block": 2, "conv_blocks": 2, "batch_norm": True, "pooling": "stride"},
        {"head": "average", "conv_blocks": 4, "filters_3": 128, "augment": "affine"},
        {"label_smoothing": 0.1, "weight_decay": 1e-3, "warmup_epochs": 2},
    ],
)
def test_mnist_cnn_takes_a_step(values: dict[str, Any]) -> None:
    step(MnistCnn((28, 28, 1), 10), **values)


@pytest.mark.parametrize("num_classes", [2, 5])
def test_label_smoothing_is_the_loss_of_smoothed_one_hot_labels(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels, outputs = rng.integers(0, num_classes, 9), rng.dirichlet(np.ones(num_classes), 9)
    given = outputs[:, 1:] if num_classes == 2 else outputs
    found = keras.losses.get(loss_of(num_classes, 0.2))(labels[:, None], given)
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)(
        np.eye(num_classes)[labels], outputs
    )
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="below 1, it is 1"):
        loss_of(num_classes, 1.0)


def test_frozen_weights_that_are_drawn_are_the_same_each_time() -> None:
    def frozen(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((4, 3))
        x = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
        x = keras.layers.TimeDistributed(keras.layers.Dense(3))(x)
        x = keras.layers.Bidirectional(keras.layers.LSTM(2))(x)
        given = keras.layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(seed))
        return keras.Model(inputs, given(keras.layers.Dense(2)(x)))

    models = frozen(1), frozen(2)
    for model in models:
        settle_drawn(model)
    *drawn, given = (
        [np.array_equal(weight, other) for weight, other in zip(*parts, strict=True)]
        for parts in zip(*([each.weights for each in m.layers[1:]] for m in models), strict=True)
    )
    assert all(map(all, drawn))
    assert given == [False, True]


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_weight_decay_shrinks_kernels_alone(name: str) -> None:
    layer = keras.layers.Dense(2, bias_initializer="ones")
    layer.build((None, 3))
    kernel = layer.kernel.numpy()
    optimizer = make_optimizer(name, 0.1, weight_decay=0.5)
    nothing = [keras.ops.zeros_like(weight) for weight in layer.weights]
    optimizer.apply(nothing, layer.weights)
    assert layer.kernel.numpy() == pytest.approx(kernel * (1 - 0.1 * 0.5))
    assert layer.bias.numpy() == pytest.approx(1.0)


def test_the_learning_rate_rises_then_falls_along_a_cosine() -> None:
    def rates(first: int, end: int, **options: Any) -> list[float]:
        rate = learning_rate_at(1.0, end, first=first, **options)
        return [rate(epoch, 0.0) for epoch in range(first, end)]

    assert rates(0, 4) == pytest.approx([1, 0.8536, 0.5, 0.1464], abs=1e-4)
    assert rates(3, 7) == rates(0, 4)
    assert rates(0, 5, warmup_epochs=1) == pytest.approx([0.5, *rates(0, 4)])
    assert rates(0, 3, warmup_epochs=1, cosine=False) == [0.5, 1, 1]
    assert rates(0, 2, warmup_epochs=9) == [0.5, 1]  # a short trial reaches its rate too


@eagerly
@pytest.mark.parametrize("side", [2, 3, 5, 9])
def test_small_images_cannot_shrink_below_one_pixel(side: int) -> None:
    space = MnistCnn((side, side, 3), 4)
    for pooling in ("max", "stride"):
        step(space, conv_blocks=space.max_blocks, pooling=pooling)


@pytest.mark.parametrize(
    "values",
    [
        {"head_pooling": "max", "dense_layers": 2, "dropout": 0.5, "flip": True},
        *({"unfreeze": True, "unfreeze_from": cut} for cut in BASES["MobileNetV2"].cuts[::3]),
        {"label_smoothing": 0.1, "weight_decay": 1e-3},
    ],
)
@eagerly
def test_transfer_head_takes_a_step(values: dict[str, Any]) -> None:
    space = TransferHead((32, 32, 3), 2, alpha=0.35, weights="none")
    model = step(space, epochs=2, **values)  # the second trains the layers from the cut on
    assert model.output_shape == (None, 1)
    base = model.get_layer("mobilenet_v2")
    trained = [layer.name for layer in base.layers if layer.trainable_weights]
    assert trained[:1] == ([values["unfreeze_from"]] if "unfreeze_from" in values else [])


def test_transfer_head_freezes_the_base_then_unfreezes_from_the_cut() -> None:
    space = TransferHead((64, 64, 3), 3, alpha=0.35, weights="none")
    model = space.build(keras_tuner.HyperParameters())
    assert [w.path for w in model.trainable_weights] == [
        "probabilities/kernel",
        "probabilities/bias",
    ]
    base = model.get_layer("mobilenet_v2")
    unfreeze_from(base, BASES["MobileNetV2"], "block_16_expand")
    trained = {layer.name for layer in base.layers if layer.trainable_weights}
    assert trained == {"block_16_expand", "block_16_depthwise", "block_16_project", "Conv_1"}


@eagerly
def test_fine_tuning_leaves_batch_norm_statistics_alone() -> None:
    space = TransferHead((32, 32, 3), 2, alpha=0.35, weights="none")
    hp = keras_tuner.HyperParameters()
    hp.values |= {"unfreeze": True, "unfreeze_from": "block_16_expand"}
    model = space.build(hp)
    base = model.get_layer("mobilenet_v2")
    before = [w.numpy() for w in base.get_layer("Conv_1_bn").weights]
    kernel = base.get_layer("Conv_1").kernel.numpy()
    history = space.fit(hp, model, images((32, 32, 3)), np.arange(8) % 2, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    after = [w.numpy() for w in base.get_layer("Conv_1_bn").weights]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not np.array_equal(kernel, base.get_layer("Conv_1").kernel.numpy())


@eagerly
def test_fine_tuning_rises_then_falls_where_its_schedule_says_so(tmp_path: Path) -> None:
    space = TransferHead((32, 32, 3), 2, base=own_backbone(tmp_path / "small.keras", 32))
    hp = keras_tuner.HyperParameters()
    hp.values |= {"unfreeze": True, "fine_tune_schedule": "warmup_cosine"}
    hp.values |= {"fine_tune_learning_rate": 1e-4}
    model, rates = space.build(hp), list[float]()
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: rates.append(float(model.optimizer.learning_rate))
    )
    x, y = images((32, 32, 3)), np.arange(8) % 2
    space.fit(hp, model, x, y, epochs=7, callbacks=[note], verbose=0)
    assert rates[:4] == pytest.approx([1e-3] * 4)
    assert rates[4:] == pytest.approx([1e-4, 5e-5, 1e-4])  # as they were before the schedule
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-5)


def test_inactive_hyperparameters_are_in_no_trial(tmp_path: Path) -> None:
    tuner = keras_tuner.RandomSearch(
        MnistCnn((8, 8, 1), 2),
        objective="val_accuracy",
        max_trials=4,
        seed=3,
        directory=tmp_path,
        project_name="plain",
    )
    trials = [tuner.oracle.create_trial(f"tuner{number}") for number in range(4)]
    assert len({trial.hyperparameters.values["conv_blocks"] for trial in trials}) > 1
    for trial in trials:
        values = trial.hyperparameters.values
        drawn = sorted(name for name in values if name.startswith("filters_"))
        assert drawn == [f"filters_{index}" for index in range(values["conv_blocks"])]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": "wide"}, "alpha should be a number"),
        ({"alpha": "nan"}, "above 0 and at most 4"),
        ({"alpha": 100, "weights": "none"}, "above 0 and at most 4"),
        ({"alpha": True}, "alpha should be a number"),
        ({"crop": 1}, "from 0 to below 1"),
        ({"alpha": 0.4}, "not for \\[0.4\\]"),
        ({"weights": "/no/such/file"}, "no file at"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferHead((224, 224, 3), 2, **settings)


def test_unknown_space_lists_what_there_is() -> None:
    with pytest.raises(ValueError, match=", ".join(names())):
        space_class("nope")


@pytest.mark.parametrize("num_classes", [2, 4])
def test_f1_score_is_scikit_learns(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, num_classes, 200)
    outputs = rng.random((200, 1 if num_classes == 2 else num_classes)).astype("float32")
    metric = MacroF1(num_classes)
    for part in range(0, 200, 64):
        metric.update_state(labels[part : part + 64], outputs[part : part + 64])
    guesses = outputs[:, 0] > 0.5 if num_classes == 2 else outputs.argmax(axis=1)
    average = "binary" if num_classes == 2 else "macro"
    assert float(metric.result()) == pytest.approx(f1_score(labels, guesses, average=average))
