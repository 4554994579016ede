"""Networks that are traced once: a later training of the structure has the numbers of its own."""

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from tensorflow.python.framework.func_graph import FuncGraph

from experiments.training import loop
from experiments.training.feed import Feed, rows_of
from experiments.training.graphs import released_afterwards
from experiments.training.traced import TracedStore, structure_of
from search_spaces._recipe import SmoothedCrossentropy

IMAGES = np.random.default_rng(0).integers(0, 256, (100, 6, 4, 1)).astype("uint8")
LABELS = np.arange(100) % 3


def network(
    rate: float = 0.3,
    learning_rate: Any = 1e-3,
    units: int = 8,
    optimizer: Callable[..., Any] = keras.optimizers.Adam,
    activation: Any = "relu",
    loss: Any = "sparse_categorical_crossentropy",
    kind: Any = keras.Model,
    layer: Any = None,
    regularizer: Any = None,
    leaves_out: str = "",
    one: bool = False,
    metric: Any = "accuracy",
    **settings: Any,
) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(int(rate * 100))
    inputs = keras.Input((6, 4, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Rescaling(1 / 255)(inputs))
    if layer is not None:
        x = layer(0.1)(x) if layer is keras.layers.GaussianDropout else layer(axis=None)(x)
    x = keras.layers.Dropout(rate)(keras.layers.Flatten()(x))
    x = keras.layers.Dropout(rate / 2)(
        keras.layers.Dense(units, activation=activation, kernel_regularizer=regularizer)(x)
    )
    last = keras.layers.Dense(*((1, "sigmoid") if one else (3, "softmax")))
    model = kind(inputs, last(x))
    chosen = optimizer(learning_rate, **settings)
    if leaves_out == "variables":
        chosen.weight_decay = 0.01
        chosen.exclude_from_weight_decay(var_list=model.trainable_variables[:1])
    elif leaves_out:
        chosen.exclude_from_weight_decay(var_names=[leaves_out])
    model.compile(
        chosen,
        loss,
        metrics=[metric],
        jit_compile=False,
    )
    return model


def trained(
    store: TracedStore, model: keras.Model, size: int, by_epoch: bool, rows: int | None = None
) -> list[Any]:
    """Trains through `store`, on the first rows; returns every metric and every variable."""
    images, labels = IMAGES[:rows], LABELS[:rows]
    feeds = Feed([rows_of(images)], labels, size, seed=1), Feed([rows_of(images)], labels, 64)
    train, validation = (feed.dataset(by_epoch) for feed in feeds)
    traced = store.take(model, train, validation, 4, (size, 64) if by_epoch else None)
    values = fitted(traced.model, train, validation)
    traced.end(model)
    store.keep(traced)
    return [*values, *(np.asarray(v).tolist() for v in model.variables)]


def fitted(model: keras.Model, train: Any, validation: Any) -> list[Any]:
    history = model.fit(train, validation_data=validation, epochs=2, verbose=0, shuffle=False)
    return [history.history, float(model.optimizer.iterations)]


def doubled(x: Any) -> Any:
    return 2 * x


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are taken and kept without a loop, which takes seconds and is never run here."""

    def install(model: keras.Model, *_: Any) -> None:
        model.optimizer.build(model.trainable_variables)

    monkeypatch.setattr(loop, "install", install)


def is_reused(store: TracedStore, first: keras.Model, second: keras.Model) -> bool:
    train = Feed([rows_of(IMAGES)], LABELS, 8).dataset()
    for model in (first, second):
        traced = store.take(model, train, train, 4)
        store.keep(traced)
    return traced.model is first


def described_as(model: keras.Model) -> str | None:
    train = Feed([rows_of(IMAGES)], LABELS, 8).dataset()
    return structure_of(model, train, train, 4, False)


OTHERS = {
    "adam": {"rate": 0.6, "learning_rate": 1e-2},
    "sgd": {"optimizer": keras.optimizers.SGD, "momentum": 0.9, "learning_rate": 0.1, "rate": 0.5},
    "rmsprop": {"optimizer": keras.optimizers.RMSprop, "learning_rate": 1e-3, "rate": 0.7},
    "decayed": {"weight_decay": 0.3, "leaves_out": "bias", "learning_rate": 1e-2},
    "smoothed": {"loss": SmoothedCrossentropy(0.3), "rate": 0.4},
}
FIRST = {
    "decayed": {"weight_decay": 0.07, "leaves_out": "bias"},
    "smoothed": {"loss": SmoothedCrossentropy(0.1)},
}


@pytest.mark.parametrize(
    ("other", "by_epoch"), [*((other, True) for other in OTHERS), ("smoothed", False)]
)
def test_a_second_training_has_the_numbers_of_one_that_is_traced_for_it_alone(
    other: str, by_epoch: bool
) -> None:
    values = OTHERS[other]
    alone = trained(TracedStore(), network(**values), 16, by_epoch)
    store = TracedStore()
    first = network(**(values | {"rate": 0.2, "learning_rate": 1e-4} | FIRST.get(other, {})))
    trained(store, first, 32, by_epoch)
    assert trained(store, network(**values), 16, by_epoch) == alone
    assert len(store) == 1
    assert first.loss in ("sparse_categorical_crossentropy", FIRST.get(other, {}).get("loss"))
    assert first.optimizer.weight_decay == FIRST.get(other, {}).get("weight_decay")


def test_a_training_after_one_on_fewer_rows_has_its_own_numbers() -> None:
    alone = trained(TracedStore(), network(rate=0.6), 16, by_epoch=True)
    store = TracedStore()
    trained(store, network(rate=0.2), 16, by_epoch=True, rows=40)
    assert trained(store, network(rate=0.6), 16, by_epoch=True) == alone


def test_rates_of_dropout_as_variables_are_those_of_keras_bit_for_bit() -> None:
    train = Feed([rows_of(IMAGES)], LABELS, 8, seed=1).dataset()
    validation = Feed([rows_of(IMAGES)], LABELS, 64).dataset()
    model = network(0.3)
    loop.install(model, train, validation, 4)
    keras_own = fitted(model, train, validation)
    assert trained(TracedStore(), network(0.3), 8, False)[:2] == keras_own


@pytest.mark.parametrize(
    ("loss", "share"), [(SmoothedCrossentropy, 0.1), (keras.losses.BinaryCrossentropy, 1 / 3)]
)
def test_smoothing_and_decay_as_variables_are_those_of_keras_bit_for_bit(
    loss: Any, share: float
) -> None:
    is_binary = loss is keras.losses.BinaryCrossentropy

    def made() -> keras.Model:
        settings: dict[str, Any] = {"weight_decay": share, "leaves_out": "bias"}
        return network(0.3, 1e-2, loss=loss(label_smoothing=share), one=is_binary, **settings)

    train = Feed([rows_of(IMAGES)], LABELS % 2, 8, seed=1).dataset()
    validation = Feed([rows_of(IMAGES)], LABELS % 2, 64).dataset()
    alone = made()
    loop.install(alone, train, validation, 4)
    keras_own = fitted(alone, train, validation)
    store = TracedStore()
    for _ in range(2):
        traced = store.take(made(), train, validation, 4)
        assert fitted(traced.model, train, validation) == keras_own
        store.keep(traced)
    assert len(store) == 1


@pytest.mark.usefixtures("untraced")
def test_what_variables_hold_is_shared_and_nothing_else() -> None:
    assert is_reused(TracedStore(), network(), network(rate=0.5, learning_rate=0.1))
    different: list[dict[str, Any]] = [
        {"rate": 0.0},
        {"units": 9},
        {"activation": "tanh"},
        {"optimizer": keras.optimizers.SGD},
        {"beta_1": 0.8},
        {"regularizer": keras.regularizers.L2(0.1)},
        {"weight_decay": 0.1},
        {"weight_decay": 0.1, "leaves_out": "bias"},
        {"loss": SmoothedCrossentropy(0.1)},
        {"loss": SmoothedCrossentropy(0.0)},
    ]
    described = described_as(network())
    for values in different:
        assert described_as(network(**values)) not in (described, None), values


def relu(x: Any) -> Any:  # the name of Keras' own
    return keras.ops.leaky_relu(x, 0.3)


def penalty(weights: Any) -> Any:
    return keras.ops.sum(keras.ops.abs(weights))


class Penalty:
    def __call__(self, weights: Any) -> Any:
        return penalty(weights)


class Falling(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Has no `get_config`."""

    def __call__(self, step: Any) -> Any:
        return 1e-3 / (1 + keras.ops.cast(step, "float32"))


def scaled(labels: Any, outputs: Any, by: float) -> Any:
    return by * keras.losses.sparse_categorical_crossentropy(labels, outputs)


class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Has the name of Keras' own."""


class MacroF1(keras.metrics.SparseCategoricalAccuracy):  # type: ignore[misc]
    """Has the name of one of the suite."""


class Mixed(keras.Model):  # type: ignore[misc]
    def compute_loss(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool = True
    ) -> Any:  # as Keras' documentation has it
        return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)


UNTOLD: dict[str, dict[str, Any]] = {
    "an activation of one's own": {"activation": doubled},
    "one with a known name": {"activation": relu},
    "a regularizer of one's own": {"regularizer": penalty},
    "one that can't be described": {"regularizer": Penalty()},
    "a lambda": {"regularizer": lambda weights: penalty(weights)},
    "weight decay that leaves out variables by number": {"leaves_out": "variables"},
    "a schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)},
    "a schedule that can't be described": {"learning_rate": Falling()},
    "a loss that can't be described": {"loss": partial(scaled, by=2)},
    "another optimizer": {"optimizer": keras.optimizers.Lion},
    "an optimizer with a known name": {"optimizer": Adam},
    "a loss with a known name": {
        "loss": type("SmoothedCrossentropy", (SmoothedCrossentropy,), {})(0.1)
    },
    "a metric with a known name": {"metric": MacroF1()},
    "a loss that is not described": {
        "loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=1)
    },
    "a model of one's own": {"kind": Mixed},
    "a layer that is not described": {"layer": keras.layers.Normalization},
    "a layer that draws when it is called": {"layer": keras.layers.GaussianDropout},
}


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", UNTOLD)
def test_what_its_description_does_not_determine_is_traced_each_time(name: str) -> None:
    values = UNTOLD[name]
    assert described_as(network(**values)) is None
    if name == "a schedule":  # the others are told apart in the same place
        assert not is_reused(TracedStore(), network(**values), network(**values))


@pytest.mark.usefixtures("untraced")
def test_an_optimizer_with_a_past_keeps_it() -> None:
    store, first, second = TracedStore(), network(), network()
    second.optimizer.build(second.trainable_variables)
    assert not is_reused(store, first, second)
    assert not is_reused(store, second, first)


@pytest.mark.usefixtures("untraced")
def test_what_kept_networks_are_joined_to_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.training.traced._MOST_BYTES", 1_000_000)
    for width, kept in ((10, 1), (100_000, 0)):
        store, head = TracedStore(), network()
        frozen = keras.layers.Dense(96)(inputs := keras.Input((width,)))
        x = keras.layers.Reshape((6, 4, 1))(keras.layers.Dense(24)(frozen))
        for layer in head.layers[1:]:
            x = layer(x)
        whole = keras.Model(inputs, x)
        train = Feed([rows_of(IMAGES)], LABELS, 8).dataset()
        store.keep(store.take(head, train, train, 4))
        assert len(store) == kept, whole.count_params()


def test_a_network_that_was_compiled_anew_is_not_used_again() -> None:
    store, first = TracedStore(), network()
    train = Feed([rows_of(IMAGES)], LABELS, 8).dataset()
    store.keep(store.take(first, train, train, 4))
    first.compile("sgd", "sparse_categorical_crossentropy")
    assert store.take(network(), train, train, 4).model is not first


def test_few_are_kept_and_the_others_leave_no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.training.traced._MOST_KEPT", 2)
    store, first = TracedStore(), network(units=100)
    train = Feed([rows_of(IMAGES)], LABELS, 8).dataset()
    store.keep(store.take(first, train, train, 4))
    with released_afterwards():
        for units in range(1, 4):
            store.keep(store.take(network(units=units), train, train, 4))
            if units == 2:
                full = num_graphs()
    assert len(store) == 2
    assert num_graphs() == full
    assert store.take(network(units=100), train, train, 4).model is not first


def num_graphs() -> int:
    keras.backend.clear_session()
    return sum(isinstance(o, FuncGraph) and o.name == "run" for o in gc.get_objects())


def test_images_come_in_order_while_they_are_not_shuffled() -> None:
    feed = Feed([rows_of(IMAGES)], np.arange(len(IMAGES)), 8, seed=1)
    data = feed.dataset()

    def order() -> list[int]:
        return [int(label) for _, labels in data for label in labels]

    shuffled = order()
    feed.shuffle(False)
    assert order() == list(range(len(IMAGES)))
    feed.shuffle(True)
    assert order() == shuffled != sorted(shuffled)
