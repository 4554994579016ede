"""What a search shows while it runs."""

import time
from typing import Any, Protocol

import click

from experiments.config import SearchConfig
from experiments.data import PreparedData


class Display(Protocol):
    """Is told of everything that happens in a search."""

    def preparing(self, done: int, total: int) -> None: ...

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None: ...

    def trial_started(self, trial_id: str, values: dict[str, Any], epochs: int) -> None: ...

    def epoch_ended(self, execution: int, epoch: int, metrics: dict[str, float]) -> None: ...

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None: ...

    def confirming(self, trial_id: str, seed: int) -> None: ...


class SilentDisplay:
    """Shows nothing."""

    def preparing(self, done: int, total: int) -> None:
        """Ignored."""

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        """Ignored."""

    def trial_started(self, trial_id: str, values: dict[str, Any], epochs: int) -> None:
        """Ignored."""

    def epoch_ended(self, execution: int, epoch: int, metrics: dict[str, float]) -> None:
        """Ignored."""

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        """Ignored."""

    def confirming(self, trial_id: str, seed: int) -> None:
        """Ignored."""


class PlainDisplay(SilentDisplay):
    """One line a trial, for pipes and logs."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._trial_started = 0.0

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
        click.echo(
            f"study {name}: {config.space} on {config.dataset} ({counts}), {config.method}, "
            f"up to {config.max_trials} trials of {config.max_epochs} epochs"
        )
        if data.skipped:
            click.echo(
                f"skipped {len(data.skipped)} unreadable images: {', '.join(data.skipped[:5])}"
            )

    def trial_started(self, trial_id: str, values: dict[str, Any], epochs: int) -> None:
        self._trial_started = time.monotonic()

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        seconds = time.monotonic() - self._trial_started
        outcome = f"{score:.4f}" if score is not None else f"{status}: {message}"
        click.echo(f"trial {trial_id}  {outcome}  {seconds:.1f} s")

    def confirming(self, trial_id: str, seed: int) -> None:
        click.echo(f"confirming trial {trial_id} with seed {seed}")
