"""The state of a training after an epoch, from which another process can resume it.

A snapshot is one `.npz` file: weights, the optimizer's state, the best epoch's weights, and the
record of the training so far as JSON. It holds no pickles and is written atomically.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.files import atomic, finite
from experiments.record.layout import TrialFolder
from experiments.record.reading import DAMAGED_ARRAYS
from experiments.training.task import Execution, FitTask, TrialTask, append

_SECONDS = 2.0  # between snapshots at least
_SHARE = 20  # snapshots may take at most one part in 20 of the time
Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class Snapshot:
    """The state of a training after some of its epochs.

    Args:
        execution: The record of the training so far.
        initial_epoch: Epoch that its history begins at.
        epochs: Finished epochs, including those before the history.
        phase: Number of its current phase.
        phase_start: Index into the history of the first epoch of that phase.
        decided: Whether the training was told to continue after its last epoch.
        before: The objective of the phase's epochs before the history, in the trials that this
            one continues.
        variables: Values of all variables of the model that the phase trains.
        optimizer: Values of the optimizer's variables.
        best: Values of the model's weights after its best epoch so far.
        build: What Keras builds the model by, if its own code leaves that to the first batch.
        drawn: State of Keras' global generator of seeds; `None` if nothing was drawn from it.
        measured: Names of what each epoch of the history measured; `nan` may be a measured value.
        phase_epoch: Epoch that its phase begins at; `None` in snapshots of earlier versions.
        phase_end: Epoch that its phase was to end at, where a schedule depends on it.
    """

    execution: Execution
    initial_epoch: int
    epochs: int
    phase: int
    phase_start: int
    variables: Arrays
    optimizer: Arrays
    best: Arrays
    decided: bool = False
    before: tuple[float, ...] = ()
    build: dict[str, Any] | None = None
    drawn: list[int] | None = None
    measured: Sequence[Sequence[str]] = ()
    phase_epoch: int | None = None
    phase_end: int | None = None

    def metrics(self, index: int) -> dict[str, float]:
        """Returns what an epoch of the history measured."""
        return {name: self.execution.history[name][index] for name in self.measured[index]}


_GROUPS = ("variables", "optimizer", "best")


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Writes a snapshot.

    Raises:
        OSError: There is no room.
    """
    numbers = {n: getattr(snapshot, n) for n in ("initial_epoch", "epochs", "phase", "phase_start")}
    numbers |= {"decided": snapshot.decided, "before": list(snapshot.before)}
    more = {
        n: getattr(snapshot, n) for n in ("build", "drawn", "measured", "phase_epoch", "phase_end")
    }
    numbers |= {name: value for name, value in more.items() if value not in (None, ())}
    facts = json.dumps(numbers | {"execution": finite(asdict(snapshot.execution))})
    arrays = {
        f"{group}_{index}": value
        for group in _GROUPS
        for index, value in enumerate(getattr(snapshot, group))
    }
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, facts=np.frombuffer(facts.encode(), np.uint8), **arrays)


def read_snapshot(path: Path) -> Snapshot | None:
    """Reads a snapshot; `None` if it is missing or can't be read."""
    if not path.is_file():  # reading from a pipe would block
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            names = stored.files
            groups: dict[str, Any] = {
                group: [
                    stored[f"{group}_{index}"]
                    for index in range(sum(name.startswith(f"{group}_") for name in names))
                ]
                for group in _GROUPS
            }
        execution = Execution(**facts.pop("execution"))
        execution.history = {name: _known(v) for name, v in execution.history.items()}
        facts["before"] = tuple(map(float, facts.get("before", ())))
        # Snapshots of earlier versions do not say what was measured and what was `nan`.
        facts.setdefault("measured", _not_nan(execution))
        return Snapshot(execution=execution, **facts, **groups)
    except (*DAMAGED_ARRAYS, AttributeError):
        return None


def _not_nan(execution: Execution) -> list[list[str]]:
    epochs = range(len(execution.epoch_seconds))
    history = execution.history.items()
    return [[name for name, values in history if not math.isnan(values[n])] for n in epochs]


def _known(values: Sequence[Any]) -> list[float]:
    """Returns recorded values; JSON has none for `nan`."""
    return [math.nan if value is None else float(value) for value in values]


class UnfitError(ValueError):
    """A snapshot is of another network than the one that goes on from it."""


def same_shapes(variables: Sequence[Any], values: Arrays) -> bool:
    """Whether values fit Keras variables."""
    return [tuple(v.shape) for v in variables] == [tuple(value.shape) for value in values]


def assign(variables: Sequence[Any], values: Arrays) -> None:
    """Sets Keras variables to values.

    Raises:
        UnfitError: They do not fit; none was set.
    """
    if not same_shapes(variables, values):
        raise UnfitError("what it goes on from is of another network: its code has changed")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class SnapshotStore:
    """Keeps snapshots of one execution of a trial, and finds the one to resume from.

    Args:
        task: The trial.
        index: Number of the execution.
        seed: Its seed; a snapshot of another seed is ignored.
    """

    def __init__(self, task: TrialTask | FitTask, index: int, seed: int) -> None:
        own_folder, origin = task.snapshots, task.start_snapshots
        self._path = None if own_folder is None else TrialFolder(own_folder).snapshot(index)
        self._keeps_last = task.keep_snapshots
        own = None if self._path is None else read_snapshot(self._path)
        self.own = own if own is not None and own.execution.seed == seed else None
        start = None if origin is None else TrialFolder(origin).snapshot(index)
        self.origin = None if start is None else read_snapshot(start)
        self.execution = self.own.execution if self.own else Execution(seed)
        self.measured = list(self.own.measured) if self.own else []
        self._seed = seed
        self._last = time.monotonic()
        self._cost = 0.0
        self._written = -1

    def resume_point(self, bounds: Sequence[tuple[int, int]]) -> Snapshot | None:
        """Returns the snapshot to resume from: its own or its origin's; `None` to start anew.

        A snapshot is usable only if its phase still begins where it did, and holds its number of
        epochs. A trial with more epochs than before may have its phases at other epochs, and its
        own epochs so far may be of another schedule. Hyperband's rounds differ in that by design.

        Args:
            bounds: First epoch and end of each phase.
        """
        for found in (self.own, self.origin):
            if found is not None and found.phase < len(bounds):
                first, end = bounds[found.phase]
                begins_there = found.phase_epoch in (None, first)
                ends_there = found is not self.own or found.phase_end in (None, end)
                if first <= found.epochs <= end and begins_there and ends_there:
                    return found
            if found is self.own:
                self.forget()
        return None

    def forget(self) -> None:
        """Begins the record anew."""
        self.own, self.execution, self.measured = None, Execution(self._seed), []

    def refuse(self) -> None:
        """Begins the training anew: what was found is of another network."""
        self.forget()
        self.origin = None

    def add(self, metrics: Mapping[str, float]) -> None:
        """Adds what an epoch measured, whose seconds have been added."""
        append(self.execution.history, metrics, len(self.execution.epoch_seconds))
        self.measured.append(list(metrics))

    def is_due(self) -> bool:
        """Whether enough time has passed that another snapshot costs little."""
        pause = max(_SECONDS, _SHARE * self._cost)
        return self._path is not None and time.monotonic() - self._last >= pause

    def keep(self, snapshot: Snapshot, ended: bool = False) -> None:
        """Writes a snapshot, unless this epoch's has been written.

        Args:
            snapshot: The state.
            ended: Whether callbacks may have changed the state after the last epoch.
        """
        if self._path is None or (snapshot.epochs == self._written and not ended):
            return
        started = time.monotonic()
        write_snapshot(self._path, snapshot)
        self._last = time.monotonic()
        self._cost, self._written = self._last - started, snapshot.epochs

    @property
    def keeps_last(self) -> bool:
        """Whether the state after the last epoch is kept for a later trial that continues it."""
        return self._path is not None and self._keeps_last
