"""A distribution strategy, a Keras sequence, and the optimizer given to the tuner."""

import os

import keras
import keras_tuner
import numpy as np
import tensorflow as tf


class Batches(keras.utils.PyDataset):
    def __init__(self, seed):
        super().__init__()
        self.x = np.random.default_rng(seed).normal(size=(96, 4)).astype("float32")

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = self.x[32 * index : 32 * (index + 1)]
        return part, part.sum(axis=1, keepdims=True)


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hp.Int("units", 4, 12, step=4), activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    return model


def search(directory):
    tuner = keras_tuner.RandomSearch(
        build_model,
        objective="val_loss",
        max_trials=2,
        seed=9,
        directory=directory,
        project_name="strategy",
        optimizer="adam",
        distribution_strategy=tf.distribute.OneDeviceStrategy("/cpu:0"),
    )
    tuner.search(Batches(0), validation_data=Batches(1), epochs=2)
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
