"""A series of numbers, predicted by a recurrent network; Hyperband divides the epochs."""

import os

import keras
import keras_tuner
import numpy as np


def build_model(hp):
    model = keras.Sequential(
        [
            keras.Input((12, 1)),
            keras.layers.LSTM(hp.Int("units", 4, 12, step=4)),
            keras.layers.Dense(1),
        ]
    )
    model.compile(hp.Choice("optimizer", ["adam", "rmsprop"]), loss="mse")
    return model


def search(directory):
    series = np.sin(np.arange(400) * 0.2).astype("float32")
    x = np.stack([series[n : n + 12] for n in range(380)])[..., None]
    y = series[12:392]
    tuner = keras_tuner.Hyperband(
        build_model,
        objective="val_loss",
        max_epochs=4,
        factor=2,
        seed=2,
        directory=directory,
        project_name="series",
    )
    tuner.search(x[:300], y[:300], validation_data=(x[300:], y[300:]))
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
