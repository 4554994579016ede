"""What a display is told of, and the display that shows nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from experiments.config import SearchConfig
from experiments.data.prepare import PREPARING, PreparedData


class Display(Protocol):
    """Is told of everything that happens in a search."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def preparing(self, done: int, total: int, what: str = PREPARING, /) -> None: ...

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None: ...

    def trial_started(self, trial_id: str, values: Mapping[str, Any], epochs: int) -> None: ...

    def recalled(self, num_ended: int, best: tuple[str, float] | None) -> None: ...

    def epoch_ended(
        self,
        execution: int,
        epoch: int,
        metrics: Mapping[str, float],
        trial_id: str | None = None,
    ) -> None: ...

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None: ...

    def measured(self, trial_id: str, values: Sequence[float]) -> None: ...

    def confirming(self, trial_id: str, seed: int) -> None: ...

    def confirmed(self, trial_id: str, seed: int, score: float | None) -> None: ...

    def notice(self, line: str) -> None: ...

    def computing(self, what: str, done: int, total: int) -> None: ...


class SilentDisplay:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to end."""

    def preparing(self, done: int, total: int, what: str = PREPARING, /) -> None:
        """Ignored."""

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        """Ignored."""

    def trial_started(self, trial_id: str, values: Mapping[str, Any], epochs: int) -> None:
        """Ignored."""

    def recalled(self, num_ended: int, best: tuple[str, float] | None) -> None:
        """Ignored."""

    def epoch_ended(
        self,
        execution: int,
        epoch: int,
        metrics: Mapping[str, float],
        trial_id: str | None = None,
    ) -> None:
        """Ignored."""

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        """Ignored."""

    def measured(self, trial_id: str, values: Sequence[float]) -> None:
        """Ignored."""

    def confirming(self, trial_id: str, seed: int) -> None:
        """Ignored."""

    def confirmed(self, trial_id: str, seed: int, score: float | None) -> None:
        """Ignored."""

    def notice(self, line: str) -> None:
        """Ignored."""

    def computing(self, what: str, done: int, total: int) -> None:
        """Ignored."""
