"""Feeds memory-mapped arrays to training, a batch at a time."""

from typing import Any

import numpy as np
import tensorflow as tf

from experiments.data import Split


def dataset_of(split: Split, batch_size: int, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Returns batches of `(images, labels)`; only the batches at hand are in memory.

    Args:
        split: Opened arrays.
        batch_size: Images a batch.
        shuffle_seed: Shuffles anew each epoch, in an order the seed decides; in order if `None`.

    Returns:
        A `tf.data.Dataset` of images `(batch, height, width, channels)`, uint8, and labels
        `(batch,)`, int64.
    """
    count = len(split.labels)
    labels = np.asarray(split.labels)
    shape = split.images.shape[1:]

    def gather(indices: Any) -> tuple[Any, Any]:
        return split.images[indices], labels[indices]

    def load(indices: Any) -> tuple[Any, Any]:
        images, classes = tf.numpy_function(gather, [indices], (tf.uint8, tf.int64), stateful=False)
        images.set_shape((None, *shape))
        classes.set_shape((None,))
        return images, classes

    dataset = tf.data.Dataset.range(count)
    if shuffle_seed is not None:
        dataset = dataset.shuffle(count, seed=shuffle_seed, reshuffle_each_iteration=True)
    batched = dataset.batch(batch_size).map(load).prefetch(2)
    return batched.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
