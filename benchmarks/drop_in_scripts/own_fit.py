"""A hypermodel whose `fit` has hyperparameters of its own."""

import os

import keras
import keras_tuner
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler


class Classifier(keras_tuner.HyperModel):
    def build(self, hp):
        model = keras.Sequential(
            [
                keras.Input((30,)),
                keras.layers.Dense(hp.Int("units", 8, 24, step=8), activation="relu"),
                keras.layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(
            *args,
            batch_size=hp.Choice("batch_size", [16, 32]),
            shuffle=hp.Boolean("shuffle"),
            verbose=0,
            **kwargs,
        )


def search(directory):
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x).astype("float32")
    tuner = keras_tuner.RandomSearch(
        Classifier(),
        objective=keras_tuner.Objective("val_auc", "max"),
        max_trials=3,
        seed=4,
        executions_per_trial=2,
        directory=directory,
        project_name="own_fit",
    )
    tuner.search(x[:400], y[:400], validation_data=(x[400:], y[400:]), epochs=2)
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
