"""Images: a number of layers that is searched, and layers that are there only then."""

import os

import keras
import keras_tuner
from sklearn.datasets import load_digits


def build_model(hp):
    model = keras.Sequential([keras.Input((8, 8, 1))])
    if hp.Boolean("convolution"):
        with hp.conditional_scope("convolution", [True]):
            filters = hp.Int("filters", 4, 16, step=4)
            model.add(keras.layers.Conv2D(filters, 3, activation="relu"))
    model.add(keras.layers.Flatten())
    for layer in range(hp.Int("num_layers", 1, 2)):
        model.add(keras.layers.Dense(hp.Int(f"units_{layer}", 16, 48, step=16), "relu"))
    model.add(keras.layers.Dense(10, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def search(directory):
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1) / 16
    tuner = keras_tuner.RandomSearch(
        build_model,
        objective="val_accuracy",
        max_trials=4,
        seed=3,
        directory=directory,
        project_name="images",
    )
    tuner.search_space_summary()
    tuner.search(
        images[:600],
        labels[:600],
        epochs=3,
        validation_split=0.2,
        class_weight=dict.fromkeys(range(10), 1.0),
        callbacks=[keras.callbacks.EarlyStopping(patience=2)],
    )
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
