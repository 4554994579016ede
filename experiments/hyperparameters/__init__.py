"""The hyperparameters of a search: their ranges, combinations, and Optuna distributions."""
