"""A metric of one's own as the objective, and what `compile` got overridden by the tuner."""

import os

import keras
import keras_tuner
import numpy as np


@keras.saving.register_keras_serializable()
def within_half(y_true, y_pred):
    return keras.ops.mean(keras.ops.cast(keras.ops.abs(y_true - y_pred) < 0.5, "float32"))


class Regressor(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(hp.Int("units", 4, 16, step=4), "tanh"),
                keras.layers.Dense(1),
            ]
        )
        model.compile("adam", "mae", metrics=[within_half])
        return model


def search(directory):
    x = np.random.default_rng(0).normal(size=(300, 6)).astype("float32")
    y = x[:, :1] - 0.5 * x[:, 1:2]
    tuner = keras_tuner.GridSearch(
        Regressor(),
        objective=keras_tuner.Objective("val_within_half", "max"),
        max_trials=3,
        seed=0,
        directory=directory,
        project_name="custom_metric",
        loss="mse",
    )
    tuner.search(x[:200], y[:200], epochs=2, validation_data=(x[200:], y[200:]))
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
