"""Stopping hopeless trials: a pruner sees every epoch of every trial."""

import warnings
from pkgutil import resolve_name

import optuna
from optuna.trial import FrozenTrial

from experiments.record.methods import PRUNERS


def stops(pruner: str, study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether one of Optuna's pruners stops `trial` after its last reported epoch.

    Args:
        pruner: A name of `PRUNERS` whose row names a class of Optuna's.
        study: Holds all trials.
        trial: The trial, with the epochs reported so far.
    """
    with warnings.catch_warnings():
        # The Wilcoxon pruner is marked as experimental, and speaks of epochs that the best trial
        # has not had: it was stopped by patience.
        warnings.simplefilter("ignore")
        made: optuna.pruners.BasePruner = resolve_name(PRUNERS[pruner].made_by)(
            **PRUNERS[pruner].options
        )
        return bool(made.prune(study, trial))


def num_brackets(pruner: str, max_epochs: int, factor: int) -> int:
    """Returns the brackets of successive halving: one of `asha`, of `hyperband` all there are."""
    count, epochs = 1, factor
    while pruner == "hyperband" and epochs < max_epochs:
        count, epochs = count + 1, epochs * factor
    return count
