"""Data as `tf.data`, and a space that is partly overridden."""

import os

import keras
import keras_tuner
import numpy as np
import tensorflow as tf


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hp.Int("units", 4, 16, step=4), hp.Choice("act", ["relu", "tanh"])),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    rate = hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def search(directory):
    x = np.random.default_rng(3).normal(size=(240, 4)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices((x, (x[:, 0] > 0).astype("int64")))
    overridden = keras_tuner.HyperParameters()
    overridden.Choice("learning_rate", [0.005, 0.01])
    tuner = keras_tuner.RandomSearch(
        build_model,
        objective="val_accuracy",
        max_trials=3,
        seed=8,
        hyperparameters=overridden,
        tune_new_entries=False,
        directory=directory,
        project_name="tf_data",
    )
    tuner.search(data.take(160).batch(20), validation_data=data.skip(160).batch(20), epochs=2)
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
