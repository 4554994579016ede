"""Augmentation: shifts and affine maps of images, against TensorFlow's own."""

from typing import Any

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

from search_spaces._augmentation import GROUP, SHIFT, _drawn, affine, shifted, transformed
from search_spaces.mnist_cnn import MnistCnn

SHAPES = [(28, 28, 1), (9, 14, 3)]


def images(shape: tuple[int, int, int], count: int = 150) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype("uint8")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("change", [shifted, affine])
def test_images_keep_shape_and_kind_and_one_colour_stays(change: Any, shape: Any) -> None:
    given = images(shape)
    result = change(given, np.random.default_rng(1))
    assert (result.shape, result.dtype) == (given.shape, np.uint8)
    assert np.array_equal(given, images(shape))  # they may be of a file
    grey = np.full_like(given, 77)
    assert np.array_equal(change(grey, np.random.default_rng(1)), grey)


def test_shifts_are_by_whole_pixels_in_every_direction() -> None:
    given = np.zeros((400, 28, 28, 1), np.uint8)
    given[:, 14, 10] = 255
    _, rows, columns, _ = np.nonzero(shifted(given, np.random.default_rng(1)))
    most = round(SHIFT * 28)
    assert len(rows) == 400
    assert set(rows - 14) == set(columns - 10) == set(range(-most, most + 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_affine_maps_are_tensorflows(shape: tuple[int, int, int]) -> None:
    given = images(shape)
    (height, width), rng = shape[:2], np.random.default_rng(1)
    groups = _drawn(-(-len(given) // GROUP), (height, width), rng)
    matrices, offsets = (part.repeat(GROUP, axis=0)[: len(given)] for part in groups)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    begin = centre + offsets - matrices @ centre
    rows = [np.concatenate([matrices[:, axis], begin[:, axis, None]], axis=1) for axis in (0, 1)]
    expected = tf.raw_ops.ImageProjectiveTransformV3(
        images=given.astype("float32"),
        transforms=np.concatenate([*rows, np.zeros((len(given), 2))], axis=1).astype("float32"),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    difference = transformed(given, *groups) - expected.numpy()
    inside = np.abs(difference)[:, 3:-3, 3:-3]  # beyond the edge TensorFlow rounds before it clips
    assert inside.max() < 3.6  # places and weights are whole 256ths, and values are rounded
    assert inside.mean() < 1
    assert np.abs(matrices - np.eye(2)).max() < 0.4


def test_the_identity_changes_nothing() -> None:
    given = images((9, 14, 3))
    same = transformed(
        given, np.tile(np.eye(2, dtype="float32"), (19, 1, 1)), np.zeros((19, 2), "float32")
    )
    assert np.array_equal(same, given)


@pytest.mark.parametrize(("choice", "expected"), [("none", None), ("affine", affine)])
def test_the_space_says_how_images_are_changed(choice: str, expected: Any) -> None:
    hp = keras_tuner.HyperParameters()
    space = MnistCnn((28, 28, 1), 10)
    assert space.augmentation(hp) is None  # as in a study that knew no augmentation
    hp.values["augment"] = choice
    assert space.augmentation(hp) is expected
