"""Feeds memory-mapped arrays to training in batches; a seed determines their order."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from experiments.data.prepare import DatasetSplit
from search_spaces.base import Augmentation
from search_spaces.frozen import VIEWS

Array = npt.NDArray[Any]
# Called with positions; returns their rows: (count, ...)
Rows = Callable[[npt.NDArray[np.int64]], Array]


class Feed:
    """Batches of inputs, labels and, if classes are weighed, weights; only these are in memory.

    The order of images, the view of each and how it is changed depend on the seed and the epoch
    alone. A resumed training therefore sees the same epochs as an uninterrupted one.

    Args:
        views: Source of rows for each view; each epoch draws one view for every image.
        labels: `(num_images,)`, int64; of other targets float32, `(num_rows, ...)`.
        batch_size: Images per batch.
        seed: Determines order, views and changes; `None` takes the rows in order, in the first
            view, unchanged.
        class_weights: `(num_classes,)`, what an image of each class weighs in the loss.
        augment: Changes the images of each batch.
    """

    def __init__(
        self,
        views: Sequence[Rows],
        labels: Array,
        batch_size: int,
        seed: int | None = None,
        class_weights: Sequence[float] | None = None,
        augment: Augmentation | None = None,
    ) -> None:
        self.epoch = 0
        self.num_rows = len(labels)
        self.num_batches = -(-len(labels) // batch_size)
        self._views = views
        # Kept features have one precision for each view: what fits half a float in one may not in
        # another.
        kinds = [view(np.arange(min(len(labels), 1))).dtype for view in views]
        self._kind = np.result_type(*kinds)
        self._labels = labels
        self.batch_size = batch_size
        self._seed = seed
        self._augment = augment
        self._weights = None if class_weights is None else np.array(class_weights, np.float32)
        self._shuffles = True
        self._drawn: tuple[tuple[int, bool], Array, Array] | None = None

    def shuffle(self, shuffles: bool) -> None:
        """Says whether images are shuffled from now on, or come in order."""
        self._shuffles = shuffles

    def _draw(self) -> tuple[Array, Array]:
        """Returns the order of images and the view of each in this epoch."""
        now = self.epoch, self._shuffles
        if self._drawn is None or self._drawn[0] != now:
            count = len(self._labels)
            if self._seed is None:
                order, views = np.arange(count), np.zeros(count, dtype=np.int64)
            else:
                rng = np.random.default_rng([self._seed, self.epoch])
                order, views = rng.permutation(count), rng.integers(0, len(self._views), count)
                order = order if self._shuffles else np.arange(count)
            self._drawn = now, order, views
        return self._drawn[1:]

    def batch(self, index: int) -> tuple[Array, ...]:
        """Returns inputs, labels and, if classes are weighed, weights of a batch of this epoch."""
        return self._rows(slice(index * self.batch_size, (index + 1) * self.batch_size), index + 1)

    def epoch_rows(self) -> tuple[Array, ...]:
        """Returns the rows of all batches of this epoch, in order; nothing may be augmented."""
        assert self._augment is None
        return self._rows(slice(None), 0)

    @property
    def epoch_bytes(self) -> int:
        """Bytes of the inputs of an epoch."""
        one = self._views[0](np.zeros(1, np.int64))
        return int(one.size * self._kind.itemsize) * len(self._labels)

    def _rows(self, chosen: slice, number: int) -> tuple[Array, ...]:
        order, views = self._draw()
        positions, drawn = order[chosen], views[chosen]
        inputs = self._views[0](positions).astype(self._kind, copy=False)
        for view in range(1, len(self._views)):
            shown = np.flatnonzero(drawn == view)
            if len(shown):
                inputs[shown] = self._views[view](positions[shown])
        if self._augment is not None and self._seed is not None:
            # Not from 0: a generator takes no notice of zeros at the end of its seed.
            rng = np.random.default_rng([self._seed, self.epoch, number])
            inputs = self._augment(inputs, rng)
        labels = self._labels[positions]
        return (
            (inputs, labels) if self._weights is None else (inputs, labels, self._weights[labels])
        )

    def dataset(self, by_epoch: bool = False) -> tf.data.Dataset:
        """Returns the batches as a dataset; each iteration over it is the epoch `epoch`.

        Args:
            by_epoch: Whether its one element is all rows of the epoch instead, see `epoch_rows`.
        """
        if by_epoch:
            return _ByEpoch(self)
        example, *_ = first = self.batch(0)
        kinds = [tf.as_dtype(part.dtype) for part in first]

        def rows(index: np.int64) -> tuple[Array, ...]:
            return self.batch(int(index))

        @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
        def load(index: tf.Tensor) -> tuple[Any, ...]:
            inputs, *others = tf.numpy_function(rows, [index], kinds, stateful=True)
            inputs.set_shape((None, *example.shape[1:]))
            for other, known in zip(others, first[1:], strict=True):
                other.set_shape((None, *known.shape[1:]))
            return inputs, *others

        dataset = _untuned(tf.data.Dataset.range(self.num_batches).map(load).prefetch(2))
        return dataset.apply(tf.data.experimental.assert_cardinality(self.num_batches))


class _ByEpoch(tf.data.Dataset):  # type: ignore[misc]
    """All rows of a feed's epoch as the one element, gathered when its first iteration begins.

    Without a function of its own: TensorFlow makes one anew for each iterator, which takes as long
    as an epoch of a small head. Keras makes two iterators an epoch, and leaves one unused.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._example = tf.data.Dataset.from_tensors(feed.batch(0))
        self._gathered: tuple[int, tf.data.Dataset] | None = None  # epoch, its rows
        super().__init__(self._example._variant_tensor)

    @property
    def element_spec(self) -> Any:
        """Kinds and shapes, those of an iterator."""
        return tuple(
            tf.TensorSpec((self._feed.num_rows, *spec.shape[1:]), spec.dtype)
            for spec in self._example.element_spec
        )

    def _inputs(self) -> list[tf.data.Dataset]:
        return []

    def __iter__(self) -> Any:
        epoch = self._feed.epoch
        if self._gathered is None or self._gathered[0] != epoch:
            self._gathered = None  # freed before the next is made
            rows = tf.data.Dataset.from_tensors(self._feed.epoch_rows())
            self._gathered = epoch, _untuned(rows)
        return iter(self._gathered[1])


def _untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns tf.data's tuner off: there is nothing to tune.

    A discarded iterator waits for the tuner to wake up: it sleeps for 10 ms at first, then twice as
    long each time, for up to a minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def rows_of(array: Array, view: str | None = None) -> Rows:
    """Returns a function that gathers rows of `array` in a view of `search_spaces.frozen.VIEWS`."""
    if view is None:
        return lambda positions: array[positions]
    return lambda positions: VIEWS[view](array[positions])


def dataset_of(split: DatasetSplit, batch_size: int) -> tf.data.Dataset:
    """Returns batches of `(images, labels)` of an opened split, in order.

    Images are `(batch, height, width, channels)`, uint8, labels `(batch,)`, int64; other rows and
    targets `(batch, ...)`.
    """
    return Feed([rows_of(split.images)], np.asarray(split.labels), batch_size).dataset()
