"""What augmentation takes of an epoch: processor seconds of `mnist_cnn`'s default on MNIST."""

import os
import time

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # so that it does not matter who else runs

import keras
import keras_tuner
import numpy as np
from common import parser, prepared, search_config, workplace

from experiments.data.prepare import DatasetSplit, PreparedData
from experiments.training import loop
from experiments.training.feed import Feed, dataset_of, rows_of
from search_spaces.mnist_cnn import MnistCnn

_CHOICES = ("none", "shift", "affine")


class Trained:
    """The default network in training, its images changed in one way.

    Args:
        data: The dataset.
        augment: How images are changed.
    """

    def __init__(self, data: PreparedData, augment: str) -> None:
        keras.utils.set_random_seed(0)
        hp = keras_tuner.HyperParameters()
        hp.values["augment"] = augment
        space = MnistCnn(data.shape, len(data.class_names))
        self._model = space.build(hp)
        train: DatasetSplit = data.open("train")
        self._feed = Feed(
            [rows_of(train.images)],
            np.asarray(train.labels),
            space.batch_size(hp),
            seed=0,
            augment=space.augmentation(hp),
        )
        self._batches = self._feed.dataset()
        few = dataset_of(data.open("validation"), 64).take(2)
        loop.install(self._model, self._batches, few, space.steps_per_execution)

    def epoch(self, number: int) -> float:
        """Trains an epoch; returns its processor seconds, of all threads."""
        self._feed.epoch = number
        started = time.process_time()
        self._model.fit(self._batches, verbose=0, shuffle=False)
        return time.process_time() - started


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=4)
    given = arguments.parse_args()
    sample = 6000 if given.quick else None
    with workplace() as folder:
        config = search_config(
            folder, given.data_dir, space="mnist_cnn", dataset="tfds:mnist", sample=sample
        )
        data = prepared(config)
        trained = {augment: Trained(data, augment) for augment in _CHOICES}
        # In turns, so that a change of the machine's speed meets all; the first epoch warms up.
        seconds = [
            {augment: one.epoch(number) for augment, one in trained.items()}
            for number in range(given.epochs)
        ][1:]
    print(f"{data.counts['train']:,} images, {given.epochs - 1} epochs in turns")
    least = {augment: min(epoch[augment] for epoch in seconds) for augment in _CHOICES}
    for augment, spent in least.items():
        share = spent / least["none"] - 1
        print(f"{augment}: {spent:.2f} s an epoch, {share:+.1%}")


if __name__ == "__main__":
    main()
