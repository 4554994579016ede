"""Two inputs by name and two outputs, each with its loss; the sum of losses is the objective."""

import os

import keras
import keras_tuner
import numpy as np


def build_model(hp):
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    units = hp.Int("units", 4, 12, step=4)
    joined = keras.layers.concatenate(
        [
            keras.layers.Dense(units, activation="relu")(left),
            keras.layers.Dense(units, activation="relu")(right),
        ]
    )
    number = keras.layers.Dense(1, name="number")(joined)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(joined)
    model = keras.Model([left, right], {"number": number, "kind": kind})
    model.compile(
        "adam",
        loss={"number": "mse", "kind": "sparse_categorical_crossentropy"},
        metrics={"kind": ["accuracy"]},
    )
    return model


def search(directory):
    rng = np.random.default_rng(2)
    x = {"left": rng.normal(size=(200, 4)), "right": rng.normal(size=(200, 3))}
    y = {"number": x["left"][:, :1], "kind": x["right"].argmax(axis=1)}
    first = {name: values[:150] for name, values in x.items()}
    last = {name: values[150:] for name, values in x.items()}
    tuner = keras_tuner.RandomSearch(
        build_model,
        objective="val_loss",
        max_trials=2,
        seed=7,
        directory=directory,
        project_name="several_inputs",
        max_consecutive_failed_trials=2,
    )
    tuner.search(
        first,
        {name: values[:150] for name, values in y.items()},
        validation_data=(last, {name: values[150:] for name, values in y.items()}),
        epochs=2,
    )
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
