"""The live display of a search in a terminal, which a notebook shows too."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol, Self, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from experiments.config import SearchConfig, num_trainings, trainings_in_turn
from experiments.data.prepare import PREPARING, PreparedData
from experiments.display.base import Display
from experiments.display.plain import introduction
from experiments.process.output import Enduring, printable
from experiments.record.fidelity import is_of_early_round
from experiments.record.formatting import NO_END, duration
from experiments.record.formatting import score as shown
from experiments.record.objective import shown_value

_NUM_ROWS = 12
_MAX_HYPERPARAMETERS = 4


@dataclass(frozen=True)
class _Running:
    """A running training: its start, its values, its bar, and the epochs of an execution."""

    started: float
    values: Mapping[str, Any]
    bar: Any
    epochs: int
    is_trial: bool = True  # not a finalist's training


class _PlainColumn(TextColumn):
    """A column of a bar that shows text without markup."""

    def render(self, task: Task) -> Text:
        return as_text(self.text_format.format(task=task))


class _Shown(Protocol):
    """What shows the display until it is stopped."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class LiveDisplay(Display):
    """A table of trials with the best so far, running epochs, elapsed and remaining time."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=cast(IO[str], Enduring(sys.stdout)))
        self._progress = Progress(
            _PlainColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(Column(no_wrap=True, min_width=7)),
            _PlainColumn("{task.fields[note]}"),
        )
        self._live: _Shown = Live(self, console=self._console, refresh_per_second=4)
        self._rows: list[tuple[str, str, float | None, float, Mapping[str, Any]]] = []
        self._config: SearchConfig | None = None
        self._noun = "images"
        self._best: tuple[float, str] | None = None
        self._running: dict[str, _Running] = {}  # trial id, or trial and seed -> its training
        self._trials: Any = None
        self._preparing: dict[str, Any] = {}  # step of the preparation -> its bar
        self._num_recalled = 0
        self._values: dict[str, Sequence[float]] = {}  # trial id -> its values by objective
        self._computing: dict[str, Any] = {}  # name of the computation -> its bar

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._trials is not None:
            self._progress.update(self._trials, note="")  # nothing is left
        self._live.stop()

    def __rich__(self) -> Group:
        return Group(*([self._table()] if self._config else []), self._progress)

    def preparing(self, done: int, total: int, what: str = PREPARING, /) -> None:
        """Updates the bar of the preparation."""
        if what not in self._preparing:
            self._preparing[what] = self._progress.add_task(what, total=total, note="")
        self._progress.update(self._preparing[what], completed=done)

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        """Prints the search's settings and starts the table."""
        for line in introduction(name, config, data):
            self._print(as_text(line))
        for bar in self._preparing.values():
            self._progress.remove_task(bar)
        self._preparing.clear()
        self._config, self._noun = config, data.noun
        total = config.max_trials if config.max_trials < NO_END else None
        self._trials = self._progress.add_task("trials", total=total, note="")

    def trial_started(self, trial_id: str, values: Mapping[str, Any], epochs: int) -> None:
        """Starts a trial's bar of epochs."""
        assert self._config is not None
        self._end_bar(trial_id)
        executions = self._config.executions_per_trial
        bar = self._progress.add_task(f"  trial {trial_id}", total=epochs * executions, note="")
        self._running[trial_id] = _Running(time.monotonic(), values, bar, epochs)

    def recalled(self, num_ended: int, best: tuple[str, float] | None) -> None:
        """Continues the count from the trials of earlier sessions."""
        self._num_recalled = num_ended
        self._progress.update(self._trials, completed=num_ended)
        if best is not None:
            self._best = best[1], best[0]

    def _end_bar(self, key: str) -> _Running | None:
        running = self._running.pop(key, None)
        if running is not None:
            self._progress.remove_task(running.bar)
        return running

    def epoch_ended(
        self, execution: int, epoch: int, metrics: Mapping[str, float], trial_id: str | None = None
    ) -> None:
        """Updates the bar of epochs."""
        running = self._running.get(str(trial_id))
        if running is None:
            return
        assert self._config is not None
        names = dict.fromkeys((self._config.parsed_objective.name, "val_accuracy", "val_loss"))
        note = "  ".join(f"{n} {shown(metrics[n])}" for n in [*names][:2] if n in metrics)
        done = execution * running.epochs + epoch + 1
        self._progress.update(running.bar, completed=done, note=note)

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        """Adds the trial to the table."""
        assert self._config is not None
        running = self._end_bar(trial_id)
        assert running is not None
        seconds = time.monotonic() - running.started
        self._rows.append((trial_id, status, score, seconds, running.values))
        if message:
            self._print(as_text(f"trial {trial_id} {status}: {message}", "red"))
        whole = status == "completed" and not is_of_early_round(running.values)
        if (
            whole
            and score is not None
            and self._config.parsed_objective.better(score, self._best[0] if self._best else None)
        ):
            self._best = (score, trial_id)
        self._progress.update(self._trials, advance=1, note=self._remaining())

    def measured(self, trial_id: str, values: Sequence[float]) -> None:
        """Stores a trial's values of several objectives."""
        self._values[trial_id] = values

    def _remaining(self) -> str:
        assert self._config is not None
        mean = sum(row[3] for row in self._rows) / len(self._rows)
        left = self._config.max_trials - self._num_recalled - len(self._rows)
        beside = max(1, len(self._running) + 1)  # trials that run at a time
        trainings = trainings_in_turn(self._config, beside) / self._config.executions_per_trial
        if (left <= 0 and not trainings) or self._config.max_trials >= NO_END:
            return ""
        return f"about {duration((left / beside + trainings) * mean, 0)} left"

    def confirming(self, trial_id: str, seed: int, number: int) -> None:
        """Starts the bar of a finalist's training."""
        assert self._config is not None
        total = num_trainings(self._config)
        self._progress.update(self._trials, note="")
        name = f"confirming {trial_id} ({number}/{total})"
        epochs = self._config.max_epochs
        bar = self._progress.add_task(f"  {name}", total=epochs, note="")
        key = f"{trial_id}-{seed}"
        self._running[key] = _Running(time.monotonic(), {}, bar, epochs, is_trial=False)

    def confirmed(self, trial_id: str, seed: int, score: float | None) -> None:
        """Ends the bar of a finalist's training."""
        self._end_bar(f"{trial_id}-{seed}")

    def notice(self, line: str) -> None:
        """Prints the line above the table."""
        self._print(as_text(self.words(line)))

    def _print(self, line: Text) -> None:
        self._console.print(line)

    def computing(self, what: str, done: int, total: int) -> None:
        """Updates the bar of features, with their rate."""
        if what not in self._computing:
            self._computing[what] = self._progress.add_task(f"  {what}", total=total, note="")
        bar = self._computing[what]
        self._progress.update(bar, completed=done)
        speed = next(task.speed for task in self._progress.tasks if task.id == bar)
        self._progress.update(bar, note=f"{speed:.0f} {self._noun}/s" if speed else "")
        if done == total:
            self._progress.remove_task(self._computing.pop(what))

    def _table(self) -> Table:
        assert self._config is not None
        table = Table(box=None, pad_edge=False, header_style="bold")
        names = self._names()
        objectives = [o.name for o in self._config.objectives]
        for name in ("trial", *objectives, "seconds", *names):
            right = name in ("seconds", *objectives[1:])
            table.add_column(as_text(name), no_wrap=True, justify="right" if right else "left")
        rows = self._rows[-_NUM_ROWS:]
        best = [row for row in self._rows if self._best and row[0] == self._best[1]]
        for row in [r for r in best if r not in rows] + rows:
            table.add_row(*map(as_text, self._cells(row, names)), style=self._style(row))
        for trial_id, running in list(self._running.items()):  # in a thread of its own
            if running.is_trial:
                cells = [_text(running.values.get(name)) for name in names]
                seconds = f"{time.monotonic() - running.started:.1f}"
                blank = [""] * (len(objectives) - 1)
                shown = (trial_id, "running", *blank, seconds, *cells)
                table.add_row(*map(as_text, shown), style="dim")
        return table

    def _cells(self, row: tuple[Any, ...], names: list[str]) -> list[str]:
        trial_id, status, score, seconds, values = row
        mark = " *" if self._best and trial_id == self._best[1] else ""
        pruned = " pruned" if status == "pruned" else ""
        outcome = status if score is None else f"{shown(score)}{mark}{pruned}"
        return [
            trial_id,
            outcome,
            *self._others(trial_id),
            f"{seconds:.1f}",
            *(_text(values.get(name)) for name in names),
        ]

    def _others(self, trial_id: str) -> list[str]:
        """Returns a trial's values of the objectives after the first."""
        assert self._config is not None
        objectives = self._config.objectives
        values = self._values.get(trial_id, [None] * len(objectives))
        return [shown_value(v, o) for v, o in zip(values[1:], objectives[1:], strict=True)]

    def _style(self, row: tuple[Any, ...]) -> str:
        if self._best and row[0] == self._best[1]:
            return "bold green"
        return {"completed": "", "pruned": "dim"}.get(row[1], "red")

    def _names(self) -> list[str]:
        """Returns the hyperparameters that differ between trials, as many as fit."""
        running = [r.values for r in list(self._running.values()) if r.is_trial]
        values = [row[4] for row in self._rows] + running
        names = dict.fromkeys(n for v in values for n in v if not n.startswith("tuner/"))
        varied = [n for n in names if len({str(v.get(n)) for v in values}) > 1]
        room = max(1, min(_MAX_HYPERPARAMETERS, (self._console.width - 36) // 14))
        return varied[:room]


def as_text(line: str, style: str = "") -> Text:
    """Converts untrusted text to harmless text without markup."""
    return Text(printable(line), style=style)


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
