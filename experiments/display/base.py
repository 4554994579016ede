"""The base class of displays: it receives every event of a search, and shows nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from experiments.config import SearchConfig
from experiments.data.prepare import PREPARING, PreparedData


class Display:
    """Receives every event of a search; subclasses show what they choose."""

    words: Callable[[str], str] = staticmethod(str)  # what is made of a notice

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the display when the search ends, with its error if it failed."""

    def preparing(self, done: int, total: int, what: str = PREPARING, /) -> None:
        """Images are prepared, `done` of `total` so far; `what` names the step."""

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        """The search begins, with its data prepared."""

    def trial_started(self, trial_id: str, values: Mapping[str, Any], epochs: int) -> None:
        """A trial begins, with its hyperparameter values and its maximum number of epochs."""

    def recalled(self, num_ended: int, best: tuple[str, float] | None) -> None:
        """Earlier sessions ended trials; `best` is the id and score of the best one."""

    def epoch_ended(
        self, execution: int, epoch: int, metrics: Mapping[str, float], trial_id: str | None = None
    ) -> None:
        """An epoch, from 0, of a trial or of a finalist's training ended."""

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        """A trial ended; `message` says why it failed."""

    def measured(self, trial_id: str, values: Sequence[float]) -> None:
        """A trial reached these values, one for each of several objectives."""

    def confirming(self, trial_id: str, seed: int, number: int) -> None:
        """A finalist's training begins; `number` counts those of earlier sessions, from 1."""

    def confirmed(self, trial_id: str, seed: int, score: float | None) -> None:
        """A finalist's training ended, with its score on validation; `None` if it failed."""

    def notice(self, line: str) -> None:
        """A notice of one line."""

    def computing(self, what: str, done: int, total: int) -> None:
        """Features are computed, `done` of `total` images so far."""
