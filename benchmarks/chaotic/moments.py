"""Moments at which a process strikes itself: a call of a function of the suite sends a signal."""

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

KILL, INTERRUPT = signal.SIGKILL, signal.SIGINT


@dataclass(frozen=True)
class Moment:
    """When a process strikes itself.

    Args:
        where: A function, as `module:name` or `module:Class.name`.
        call: At its which call, from 1.
        after: Whether the call is done before.
        delay: Seconds that go by first, while the process goes on.
        number: The signal.
    """

    where: str
    call: int = 1
    after: bool = False
    delay: float = 0.0
    number: int = KILL

    def arm(self) -> None:
        """Wraps the function, in this process."""
        module, _, name = self.where.partition(":")
        *path, last = name.split(".")
        owner: Any = import_module(module)
        for part in path:
            owner = getattr(owner, part)
        real: Callable[..., Any] = getattr(owner, last)
        calls = 0

        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.call and not self.after:
                self._strike()
            returned = real(*arguments, **options)
            if calls == self.call and self.after:
                self._strike()
            return returned

        setattr(owner, last, wrapped)

    def _strike(self) -> None:
        if self.delay:
            timer = threading.Timer(self.delay, os.kill, (os.getpid(), self.number))
            timer.daemon = True
            timer.start()
        else:
            os.kill(os.getpid(), self.number)


# Where each base ends: (function, its call), in the order of a search.
BASES = {
    "begun": Moment("experiments.search.driver:Driver.epoch_ended", 3),
    "trained": Moment("experiments.finalists.confirm:Confirmation.run"),
}
BEGINNING = (
    Moment("experiments.search.run:locked"),
    Moment("experiments.search.run:write_study"),
    Moment("experiments.search.run:write_study", number=INTERRUPT),
    Moment("experiments.search.run:write_study", after=True),
    Moment("experiments.search.session:restore", number=INTERRUPT),
    Moment("experiments.search.session_record:write_study"),
    Moment("experiments.search.session_record:write_study", after=True),
)
DATA = (
    Moment("numpy:save", 1),
    Moment("numpy:save", 1, after=True),
    Moment("numpy:save", 2, after=True),
    Moment("numpy:save", 6),
    Moment("experiments.data.prepare:health_of"),
    Moment("experiments.data.prepare:publish"),
    Moment("experiments.data.prepare:publish", after=True),
)
FEATURES = (
    Moment("experiments.training.features:preallocate", 1),
    Moment("experiments.training.features:preallocate", 1, after=True),
    Moment("experiments.training.features:preallocate", 2, after=True),
    Moment("experiments.training.feature_computing:_write_rows", 1),
    Moment("experiments.training.feature_computing:_write_rows", 2, after=True),
    Moment("experiments.training.features:checksum"),
    Moment("experiments.training.features:write_json"),
    Moment("experiments.training.features:write_json", after=True),
    Moment("experiments.training.features:FeatureStore._compute", 2),
)
FINALISTS = (
    Moment("experiments.finalists.trainings:write_json", 1),
    Moment("experiments.finalists.trainings:Trainings.epoch_ended", 2),
    Moment("experiments.finalists.trainings:Trainings._finish", 1),
    Moment("experiments.finalists.trainings:Trainings.epoch_ended", 3),
    Moment("experiments.finalists.trainings:Trainings._finish", 2, after=True),
    Moment("experiments.finalists.confirm:note_test_use", after=True),
    Moment("experiments.finalists.confirm:tested", 2),
    Moment("experiments.finalists.confirm:export"),
    Moment("experiments.finalists.confirm:export", after=True),
    Moment("experiments.finalists.confirm:write_predictions"),
    Moment("experiments.finalists.confirm:write_json"),
    Moment("experiments.finalists.confirm:write_json", after=True),
)
REPORT = (
    Moment("reports.page.report:_render"),
    Moment("reports.page.report:write_figures"),
    Moment("reports.page.report:write_text", 1),
    Moment("reports.page.report:write_text", 3, after=True),
)
RESTORING = (
    Moment("experiments.search.session:restore", number=INTERRUPT),
    Moment("experiments.search.repair:_read", 1, number=INTERRUPT),
    Moment("experiments.search.repair:_read", 2, number=INTERRUPT),
    Moment("experiments.search.repair:note_asked", number=INTERRUPT),
    Moment("experiments.executors.attempt_log:AttemptLog.restore", number=INTERRUPT),
    Moment("experiments.search.session:restore", after=True, number=INTERRUPT),
    Moment("experiments.search.session_record:write_study", number=INTERRUPT),
)
