"""Tabular regression with normalisation that is adapted before the search."""

import os

import keras
import keras_tuner
import numpy as np
from sklearn.datasets import load_diabetes


def search(directory):
    x, y = load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    normalization = keras.layers.Normalization()
    normalization.adapt(x[:300])

    def build_model(hp):
        inputs = keras.Input((10,))
        hidden = normalization(inputs)
        hidden = keras.layers.Dense(hp.Int("units", 8, 32, step=8), activation="relu")(hidden)
        hidden = keras.layers.Dropout(hp.Float("dropout", 0.0, 0.4, step=0.1))(hidden)
        model = keras.Model(inputs, keras.layers.Dense(1)(hidden))
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log")
        model.compile(keras.optimizers.Adam(rate), loss="mse", metrics=["mae"])
        return model

    tuner = keras_tuner.BayesianOptimization(
        build_model,
        objective=keras_tuner.Objective("val_mae", direction="min"),
        max_trials=4,
        num_initial_points=2,
        seed=1,
        directory=directory,
        project_name="tabular",
    )
    tuner.search(
        x[:300].astype(np.float32),
        y[:300],
        validation_data=(x[300:], y[300:]),
        epochs=3,
        batch_size=32,
    )
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
