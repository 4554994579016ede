"""Which weights stay on the disk: those of the best trials and of trials not done with."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from experiments.objective import Objective

CHECKPOINT = "checkpoint.weights.h5"
SNAPSHOTS = "snapshot-*.npz"


class Retention:
    """Removes weights as the search goes; histories stay.

    Args:
        folder: The study folder.
        objective: Ranks trials.
        num_kept: Trials whose best epoch's weights are kept.
    """

    def __init__(self, folder: Path, objective: Objective, num_kept: int) -> None:
        self._folder = folder
        self._objective = objective
        self._num_kept = num_kept
        self._best: list[tuple[float, str]] = []  # best first
        self._held: set[str] = set()  # trials whose training may be gone on with

    @property
    def score_to_beat(self) -> float | None:
        """The score that a trial's weights need to be kept; `None` while there is room."""
        return self._best[-1][0] if len(self._best) >= self._num_kept > 0 else None

    def recall(self, trials: Sequence[tuple[str, float | None, Sequence[float] | None]]) -> None:
        """Takes note of the trials of earlier sessions: id, score and values by objective."""
        for trial in trials:
            self.ended(*trial)

    def ended(
        self, trial_id: str, score: float | None, values: Sequence[float] | None = None
    ) -> None:
        """Takes note of a trial's end, and removes the weights that are not wanted any more.

        Args:
            trial_id: The trial.
            score: Its score; `None` if it has none.
            values: What it came to by each of several objectives; not looked at here.
        """
        self._held.add(trial_id)
        if score is None or not self._num_kept:
            self._remove(trial_id, CHECKPOINT)
            return
        self._rank(trial_id, score)
        for _, dropped in self._best[self._num_kept :]:
            self._remove(dropped, CHECKPOINT)
        del self._best[self._num_kept :]

    def _rank(self, trial_id: str, score: float) -> None:
        position = next(
            (i for i, (s, _) in enumerate(self._best) if self._objective.better(score, s)),
            len(self._best),
        )
        self._best.insert(position, (score, trial_id))

    def release(self, wanted: set[str]) -> None:
        """Removes the training state of ended trials that are not among `wanted`."""
        for trial_id in self._held - wanted:
            self._remove(trial_id, SNAPSHOTS)
        self._held &= wanted

    def _remove(self, trial_id: str, name: str) -> None:
        for path in (self._folder / f"trial_{trial_id}").glob(name):
            with suppress(FileNotFoundError):
                path.unlink()
