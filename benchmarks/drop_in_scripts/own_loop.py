"""A training loop of one's own, which calls callbacks and returns the objective."""

import os

import keras
import keras_tuner
import numpy as np
import tensorflow as tf


class Loop(keras_tuner.HyperModel):
    def build(self, hp):
        return keras.Sequential(
            [
                keras.Input((5,)),
                keras.layers.Dense(hp.Int("units", 4, 12, step=4), activation="relu"),
                keras.layers.Dense(1),
            ]
        )

    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        size = hp.Int("batch_size", 25, 75, step=25)
        optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-3, 1e-1, sampling="log"))
        loss = keras.losses.MeanSquaredError()
        for callback in callbacks:
            callback.set_model(model)
        best = float("inf")
        for epoch in range(2):
            for start in range(0, len(x), size):
                with tf.GradientTape() as tape:
                    value = loss(y[start : start + size], model(x[start : start + size]))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            told = float(loss(validation_data[1], model(validation_data[0])))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": told})
            best = min(best, told)
        return best


def search(directory):
    x = np.random.default_rng(1).normal(size=(150, 5)).astype("float32")
    y = x[:, :1] * 2
    tuner = keras_tuner.RandomSearch(
        Loop(),
        objective=keras_tuner.Objective("my_metric", "min"),
        max_trials=3,
        seed=5,
        directory=directory,
        project_name="own_loop",
    )
    tuner.search(x=x[:100], y=y[:100], validation_data=(x[100:], y[100:]))
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
