"""Plain lines that a search prints while it runs."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.config import SearchConfig
from experiments.data.health import warnings_of
from experiments.data.prepare import PREPARING, PreparedData
from experiments.display.base import Display
from experiments.process.output import echo, printable, say
from experiments.record.formatting import NO_END, plural, trials_at_most
from experiments.record.formatting import score as shown
from experiments.record.objective import shown_value
from experiments.space_reference import shown_space

_MOST_CLASSES = 20
_MOST_SKIPPED = 5
_FIRST_SECONDS = 1.0
_SELDOM_SECONDS = 10.0


class PatientDisplay(Display):
    """Prints notices, and on standard error image work that takes more than a second."""

    def __init__(self) -> None:
        self._pace = _Pace()

    def preparing(self, done: int, total: int, what: str = PREPARING, /) -> None:
        """Prints progress now and then, if the preparation takes more than a second."""
        line = self._pace.line(done, total, what)
        if line:
            self._progress(line)

    def _progress(self, line: str) -> None:
        echo(line, err=True)

    def notice(self, line: str) -> None:
        """Prints the line."""
        say(self.words(line))


class _Pace:
    """Decides when to print progress: after a second first, then seldom, and at the end."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}  # name of the step -> when it is printed next
        self._said: set[str] = set()

    def line(self, done: int, total: int, what: str) -> str | None:
        now = time.monotonic()
        if now < self._next.setdefault(what, now + _FIRST_SECONDS) and done < total:
            return None
        if done >= total and what not in self._said:
            return None
        self._said.add(what)
        self._next[what] = now + _SELDOM_SECONDS
        return f"{what}: {done:,} of {total:,}"


class PlainDisplay(PatientDisplay):
    """One line a trial, for pipes and logs."""

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, float] = {}  # trial id -> its start time
        self._num_ended = 0
        self._values: dict[str, Sequence[float]] = {}  # trial id -> its values by objective
        self._config: SearchConfig | None = None
        self._noun = "images"
        # name of the computation -> start time, and rows done by then
        self._computing: dict[str, tuple[float, int]] = {}

    def _progress(self, line: str) -> None:
        say(line)

    def search_started(self, name: str, config: SearchConfig, data: PreparedData) -> None:
        """Prints the search's settings."""
        self._config, self._noun = config, data.noun
        for line in introduction(name, config, data):
            say(line)

    def trial_started(self, trial_id: str, values: Mapping[str, Any], epochs: int) -> None:
        """Stores the start time."""
        self._started[trial_id] = time.monotonic()

    def recalled(self, num_ended: int, best: tuple[str, float] | None) -> None:
        """Continues the count from the trials of earlier sessions."""
        self._num_ended = num_ended

    def trial_ended(
        self, trial_id: str, status: str, score: float | None, message: str | None
    ) -> None:
        """Prints how the trial ended."""
        self._num_ended += 1
        seconds = time.monotonic() - self._started.pop(trial_id, time.monotonic())
        outcome = shown(score) if score is not None else f"{status}: {message}"
        total = self._config.max_trials if self._config else 0
        place = f"{self._num_ended}/{total}" if total < NO_END else str(self._num_ended)
        outcome += self._others(trial_id) + ("  pruned" if status == "pruned" else "")
        say(f"trial {trial_id} ({place})  {outcome}  {seconds:.1f} s")

    def measured(self, trial_id: str, values: Sequence[float]) -> None:
        """Stores the trial's values of several objectives."""
        self._values[trial_id] = values

    def _others(self, trial_id: str) -> str:
        if self._config is None or trial_id not in self._values:
            return ""
        objectives, values = self._config.objectives, self._values.pop(trial_id)
        others = zip(objectives[1:], values[1:], strict=True)
        return "".join(f"  {o.name} {shown_value(v, o)}" for o, v in others)

    def confirming(self, trial_id: str, seed: int, number: int) -> None:
        """Prints which finalist is trained again."""
        say(f"confirming trial {trial_id} with seed {seed}")

    def computing(self, what: str, done: int, total: int) -> None:
        """Prints a line once the computation is complete."""
        started, before = self._computing.setdefault(what, (time.monotonic(), done))
        if done == total:
            seconds = max(time.monotonic() - started, 1e-3)
            rows, noun = done - before, self._noun
            say(f"{what}: {rows:,} {noun} in {seconds:.1f} s ({rows / seconds:.0f} {noun}/s)")
            del self._computing[what]


def introduction(name: str, config: SearchConfig, data: PreparedData) -> list[str]:
    """Describes the coming search in lines."""
    counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
    numbers = f" ({counts})" if counts else ""
    lines = [
        f"study {name}: {shown_space(config.space)} on {config.dataset}{numbers}, "
        f"{config.method}, {trials_at_most(config.max_trials, config.method)}"
    ]
    if config.max_epochs > 1 or data.counts:  # a script may train as it likes
        lines[0] += f", each of {plural(config.max_epochs, 'epoch')}"
    if data.class_names:
        lines.append(f"{len(data.class_names):,} classes: {_classes(data)}")
    if data.roles:
        lines.append(f"splits: {', '.join(f'{s} = {taken}' for s, taken in data.roles.items())}")
    if data.skipped:
        more = ", ..." if len(data.skipped) > _MOST_SKIPPED else ""
        lines.append(
            f"skipped {len(data.skipped)}: {', '.join(data.skipped[:_MOST_SKIPPED])}{more}"
        )
    lines += [*data.notes, *warnings_of(data.health)]
    return [printable(line, one_line=True) for line in lines]


def _classes(data: PreparedData) -> str:
    named = ", ".join(data.class_names[:_MOST_CLASSES])
    rest = len(data.class_names) - _MOST_CLASSES
    return f"{named} and {rest} more" if rest > 0 else named
