"""Any function of hyperparameters: `run_trial` trains no network and returns metrics."""

import os

import keras_tuner
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score


class Forest(keras_tuner.RandomSearch):
    def run_trial(self, trial, x, y):
        hp = trial.hyperparameters
        forest = RandomForestClassifier(
            n_estimators=hp.Int("trees", 5, 20, step=5),
            max_depth=hp.Int("depth", 1, 4),
            random_state=0,
        )
        accuracy = cross_val_score(forest, x, y, cv=3).mean()
        return {"accuracy": accuracy, "depth": hp.get("depth")}


def search(directory):
    x, y = load_wine(return_X_y=True)
    tuner = Forest(
        objective=keras_tuner.Objective("accuracy", "max"),
        max_trials=5,
        seed=6,
        directory=directory,
        project_name="own_run",
    )
    tuner.search(x, y)
    return tuner


if __name__ == "__main__":
    search(os.environ.get("RUNS", "runs")).results_summary(2)
