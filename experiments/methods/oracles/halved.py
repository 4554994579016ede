"""Successive halving in a search that draws by itself: random search and the grid."""

from typing import Any

from experiments.methods.oracles.base import DurableOracle, Status
from experiments.methods.oracles.halving import Halving
from experiments.methods.oracles.hyperband_brackets import check_factor
from experiments.methods.oracles.optuna_pruners import num_brackets
from experiments.record.methods import HALVING


class Halved(DurableOracle):
    """An oracle whose trials may be stopped at a rung, and promoted later.

    Args:
        pruner: `asha`, `hyperband` (asynchronous both) or `none`.
        max_epochs: Epochs of a trial that is not stopped.
        factor: One trial in so many is promoted at each rung.
        **kwargs: Arguments of `keras_tuner.Oracle`.

    Raises:
        UserError: The factor is below 2.
    """

    def __init__(
        self, pruner: str = "none", max_epochs: int = 1, factor: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._pruner, self._max_epochs = pruner, max_epochs
        self._halving: Halving | None = None
        if pruner in HALVING:
            check_factor(factor)
            first = self._objectives()[0]
            brackets = num_brackets(pruner, max_epochs, factor)
            self._halving = Halving(max_epochs, first.name, first.direction, factor, brackets)

    @property
    def pauses(self) -> bool:
        """Whether a trial that was stopped may be promoted: its training has to be kept."""
        return self._halving is not None

    def wanted(self) -> set[str]:
        """Returns the trials whose training a later trial may continue."""
        return self._halving.promotion_candidates(self.trials) if self._halving else set()

    def promoted(self) -> dict[str, Any] | None:
        """Returns the next trial, if it promotes another."""
        values = self._promoted()
        return None if values is None else {"status": Status.RUNNING, "values": values}

    def _promoted(self) -> dict[str, Any] | None:
        if self._halving is None:
            return None
        return self._halving.promoted_values(self.trials, self._max_epochs)

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Any:
        """Records one epoch; a status of `STOPPED` in the answer ends the trial."""
        trial = super().update_trial(trial_id, metrics, step)
        running = {t.trial_id for t in self.ongoing_trials.values()}
        if self._pruner != "none" and trial_id in running:
            stops = step + 1 < self._max_epochs and self._is_hopeless(trial, step)
            trial.status = Status.STOPPED if stops else Status.RUNNING
        return trial

    def _is_hopeless(self, trial: Any, step: int) -> bool:
        return self._halving is not None and self._halving.stops(trial, self.trials, step)
