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


_IMAGES = 9600  # a fifth of an epoch


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
            np.asarray(train.labels)[:_IMAGES],
            space.batch_size(hp),
            seed=0,
            augment=space.augmentation(hp),
        )
        self._batches = self._feed.dataset()
        few = dataset_of(data.open("validation"), 64).take(2)
        loop.install(self._model, self._batches, few, space.steps_per_execution)

    def turn(self, number: int) -> float:
        """Trains on some images; returns the processor seconds, of all threads."""
        self._feed.epoch = number
        started = time.process_time()
        self._model.fit(self._batches, verbose=0, shuffle=False)
        return time.process_time() - started


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--turns", type=int, default=24)
    given = arguments.parse_args()
    turns = 4 if given.quick else given.turns
    with workplace() as folder:
        config = search_config(folder, given.data_dir, space="mnist_cnn", dataset="tfds:mnist")
        data = prepared(config)
        trained = {augment: Trained(data, augment) for augment in _CHOICES}
        # In short turns, so that a change of the machine's speed meets all; the first warms up.
        seconds = [
            {augment: one.turn(number) for augment, one in trained.items()}
            for number in range(turns + 1)
        ][1:]
    print(f"{_IMAGES:,} images a turn, {turns} turns each")
    for augment in _CHOICES:
        each = sorted(turn[augment] for turn in seconds)
        shares = sorted(turn[augment] / turn["none"] - 1 for turn in seconds)
        quartiles = [shares[turns * part // 4] for part in (1, 2, 3)]
        print(
            f"{augment}: {each[turns // 2]:.2f} s a turn, {quartiles[1]:+.1%} "
            f"({quartiles[0]:+.1%} to {quartiles[2]:+.1%}, the middle half of the turns)"
        )


if __name__ == "__main__":
    main()
