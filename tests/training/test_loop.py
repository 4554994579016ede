"""The lean loop and the feed: Keras' own results, in an order that depends on nothing else."""

from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import pytest

from experiments.training import loop
from experiments.training.feed import Feed, rows_of
from search_spaces._augmentation import affine, shifted
from search_spaces.base import Augmentation
from search_spaces.frozen import FLIPPED, ORIGINAL


def images(count: int = 100) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 6, 4, 1)).astype("uint8")


LABELS = np.arange(100) % 3


@cache
def trained(lean: bool, steps: int, by_epoch: bool = False) -> dict[str, list[float]]:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((6, 4, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=steps,
        jit_compile=False,
    )
    train = Feed([rows_of(images())], LABELS, 8, seed=1).dataset(by_epoch)
    validation = Feed([rows_of(images())], LABELS, 16).dataset(by_epoch)
    if lean:
        loop.install(model, train, validation, steps, (8, 16) if by_epoch else None)
    history = model.fit(train, validation_data=validation, epochs=3, verbose=0, shuffle=False)
    return {name: [float(v) for v in values] for name, values in history.history.items()}


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_lean_loop_gives_the_results_of_keras(steps: int) -> None:
    lean, keras_own = trained(True, steps), trained(False, 1)
    assert list(lean) == list(keras_own)
    for name, values in keras_own.items():
        assert lean[name] == pytest.approx(values, rel=1e-5)


def test_batches_that_are_cut_in_the_graph_are_those_that_are_fed() -> None:
    assert trained(True, 1, by_epoch=True) == trained(True, 5)


class OwnAdam(keras.optimizers.Adam):  # type: ignore[misc]
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient, variable, 0.5 * learning_rate)


def adam(cls: Any = keras.optimizers.Adam, **options: Any) -> Any:
    return partial(cls, 1e-2, **options)


@pytest.mark.parametrize(
    ("optimizer", "is_fused"),
    [
        (adam(beta_1=np.float64(0.8), beta_2=0.99, epsilon=1e-4, clipnorm=0.1), True),
        (adam(keras.optimizers.AdamW, weight_decay=0.1, use_ema=True), True),
        (adam(gradient_accumulation_steps=2), True),
        (adam(amsgrad=True), False),
        (adam(OwnAdam), False),
        (adam(keras.optimizers.Nadam), False),
    ],
)
def test_adams_update_is_one_operation_with_its_result(optimizer: Any, is_fused: bool) -> None:
    found = []
    for lean in (True, False):
        keras.utils.set_random_seed(5)
        inputs = keras.Input((24,))  # an embedding has sparse gradients
        x = keras.layers.Flatten()(keras.layers.Embedding(256, 4)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
        model.compile(optimizer(), "sparse_categorical_crossentropy", jit_compile=False)
        train = Feed([rows_of(images().reshape(100, 24))], LABELS, 8, seed=1).dataset()
        if lean:
            loop.install(model, train, train, 4)
            graph = str(
                model.train_function.get_concrete_function(iter(train)).graph.as_graph_def()
            )
            assert ("ResourceApplyAdam" in graph) == is_fused
            assert "update_step" not in vars(model.optimizer)
        model.fit(train, epochs=2, verbose=0, shuffle=False)
        found.append([np.asarray(v) for v in (*model.variables, *model.optimizer.variables)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


class OwnStep(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> Any:
        return super().train_step(data) | {"own": 3.0}


class OwnMetrics(keras.Model):  # type: ignore[misc]
    def compute_metrics(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_metrics(*args, **kwargs) | {"own": 3.0}


@pytest.mark.parametrize("kind", [OwnStep, OwnMetrics])
def test_what_a_step_of_its_own_reports_is_kept(kind: type[keras.Model]) -> None:
    inputs = keras.Input((6, 4, 1))
    model = kind(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    train = Feed([rows_of(images())], LABELS, 50, seed=1).dataset()
    loop.install(model, train, train, 2)
    assert model.fit(train, verbose=0, shuffle=False).history["own"] == [3.0]


def test_an_epoch_of_rows_is_its_batches() -> None:
    views = [rows_of(images()), rows_of(images()[:, ::-1])]
    feed = Feed(views, LABELS, 8, seed=2, class_weights=[1.0, 2.0, 3.0])
    feed.epoch = 3
    batches = zip(*(feed.batch(i) for i in range(feed.num_batches)), strict=True)
    for whole, parts in zip(feed.epoch_rows(), batches, strict=True):
        assert np.array_equal(whole, np.concatenate(parts))
    assert feed.epoch_bytes == images().nbytes


def test_rows_of_an_epoch_are_gathered_once() -> None:
    gathered: list[int] = []

    def rows(positions: Any) -> Any:
        gathered.append(len(positions))
        return images()[positions]

    feed = Feed([rows], LABELS, 8, seed=1)
    dataset = feed.dataset(by_epoch=True)
    gathered.clear()
    for epoch in range(2):
        feed.epoch = epoch
        found = [next(iter(dataset)) for _ in range(2)]  # as Keras does
        assert np.array_equal(found[1][1], feed.epoch_rows()[1])
    assert gathered == [100] * 4  # twice by `epoch_rows` itself


def test_an_epoch_is_the_same_whatever_ran_before() -> None:
    one = Feed([rows_of(images())], LABELS, 8, seed=3)
    one.epoch = 2
    other = Feed([rows_of(images())], LABELS, 8, seed=3)
    orders = []
    for epoch in range(3):
        other.epoch = epoch
        orders.append(np.concatenate([other.batch(i)[1] for i in range(other.num_batches)]))
    expected = np.concatenate([one.batch(i)[1] for i in range(one.num_batches)])
    assert np.array_equal(orders[2], expected)
    assert not np.array_equal(orders[0], orders[2])


def test_every_image_is_fed_once_an_epoch_in_one_of_its_views() -> None:
    pixels = images()
    feed = Feed([rows_of(pixels, ORIGINAL), rows_of(pixels, FLIPPED)], np.arange(100), 7, seed=0)
    flipped = 0
    seen = []
    for index in range(feed.num_batches):
        batch, positions = feed.batch(index)
        for image, position in zip(batch, positions, strict=True):
            original = np.array_equal(image, pixels[position])
            assert original or np.array_equal(image, pixels[position][:, ::-1])
            flipped += not original
        seen += positions.tolist()
    assert sorted(seen) == list(range(100))
    assert 30 < flipped < 70


@pytest.mark.parametrize("change", [shifted, affine])
def test_changed_images_are_a_function_of_seed_and_epoch(change: Augmentation) -> None:
    def fed(seed: int | None, epoch: int, indices: Iterable[int] = range(13)) -> Any:
        feed = Feed([rows_of(images())], np.arange(100), 8, seed, augment=change)
        feed.epoch = epoch
        batches = {index: feed.batch(index) for index in indices}
        return [np.concatenate(part) for part in zip(*(batches[i] for i in range(13)), strict=True)]

    (first, positions), (again, _) = fed(3, 2), fed(3, 2, reversed(range(13)))
    assert np.array_equal(first, again)  # also of one that begins in the middle
    assert sorted(positions) == list(range(100))
    assert not np.array_equal(first, images()[positions])
    assert not np.array_equal(first, fed(3, 1)[0])
    assert not np.array_equal(first, fed(4, 2)[0])
    assert np.array_equal(fed(None, 2)[0], images())  # validation stays as it is


def test_an_iterator_is_let_go_of_at_once() -> None:
    feed = Feed([rows_of(np.zeros((8, 2), np.float32))], np.zeros(8, np.int64), 4)
    dataset = feed.dataset()
    assert [len(labels) for _, labels in dataset] == [4, 4]
    # tf.data's tuner, if it ran, would be waited for: up to seconds in processes that live long.
    assert dataset.options().autotune.enabled is False
