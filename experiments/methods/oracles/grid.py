"""Grid search that resumes."""

from collections.abc import Iterator
from typing import Any

import keras_tuner

from experiments.methods.oracles.base import Status
from experiments.methods.oracles.halved import Halved


class GridOracle(Halved, keras_tuner.oracles.GridSearchOracle):
    """Keras Tuner's grid, in its order; the next is the first combination not tried yet."""

    _untried: Iterator[dict[str, Any]] | None = None
    _size_of_space = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns a trial to be promoted, or the first combination that no trial has."""
        promoted = self.promoted()
        if promoted is not None:
            return promoted
        if self._untried is None or len(self.hyperparameters.space) != self._size_of_space:
            self._size_of_space = len(self.hyperparameters.space)
            self._untried = self._left()
        values = next(self._untried, None)
        if values is not None:
            return {"status": Status.RUNNING, "values": values}
        # A running trial may yet bring new hyperparameters.
        return {"status": Status.IDLE if self.ongoing_trials else Status.STOPPED}

    def is_done(self) -> bool:
        """Whether all of the grid was begun, or as many trials as there may be."""
        if super().is_done():
            return True
        is_begun = next(self._left(), None) is None
        return is_begun and not self._retry_queue and self.promoted() is None

    def rebuild(self, trials: Any) -> None:
        """Sets the state to what it was after `trials`."""
        super().rebuild(trials)
        self._untried = None
