"""Which weights stay on the disk: those of the best trials and of trials not done with."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from experiments.record.layout import CHECKPOINT, SNAPSHOTS
from experiments.record.objective import Objective


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
        # (whether it was stopped early, score, trial id), best first
        self._best: list[tuple[bool, float, str]] = []
        self._held: set[str] = set()  # trials whose training may be gone on with

    @property
    def score_to_beat(self) -> float | None:
        """The score that a trial's weights need to be kept; `None` while there is room.

        Trials that were stopped early give way to every other one.
        """
        if not len(self._best) >= self._num_kept > 0:
            return None
        was_stopped, score, _ = self._best[-1]
        return None if was_stopped else score

    def recall(self, trials: Sequence[tuple[str, float | None, Sequence[float] | None]]) -> None:
        """Takes note of the trials of earlier sessions: id, score and values by objective.

        Of equal ones those stay that have weights: they were the first to end then.
        """
        for trial in sorted(trials, key=lambda trial: not self._has_weights(trial[0])):
            self.ended(*trial)

    def ended(
        self, trial_id: str, score: float | None, values: Sequence[float] | None = None
    ) -> None:
        """Takes note of a trial's end, and removes the weights that are not wanted any more.

        Args:
            trial_id: The trial.
            score: Its score; `None` if it has none.
            values: What it came to by each objective; `None` if it was stopped early.
        """
        self._held.add(trial_id)
        if score is None or not self._num_kept:
            self._remove(trial_id, CHECKPOINT)
            return
        self._rank(trial_id, score, values is None)
        for *_, dropped in self._best[self._num_kept :]:
            self._remove(dropped, CHECKPOINT)
        del self._best[self._num_kept :]

    def _rank(self, trial_id: str, score: float, was_stopped: bool) -> None:
        def is_before(other: tuple[bool, float, str]) -> bool:
            if was_stopped != other[0]:
                return other[0]
            return self._objective.better(score, other[1])

        places = (place for place, other in enumerate(self._best) if is_before(other))
        self._best.insert(next(places, len(self._best)), (was_stopped, score, trial_id))

    def _has_weights(self, trial_id: str) -> bool:
        return (self._folder / f"trial_{trial_id}" / CHECKPOINT).is_file()

    def release(self, wanted: set[str]) -> None:
        """Removes the training state of ended trials that are not among `wanted`."""
        for trial_id in self._held - wanted:
            self._remove(trial_id, SNAPSHOTS)
        self._held &= wanted

    def _remove(self, trial_id: str, name: str) -> None:
        for path in (self._folder / f"trial_{trial_id}").glob(name):
            with suppress(FileNotFoundError):
                path.unlink()
