"""A study as pandas frames: what every figure, table and statistic starts from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.record.errors import UserError
from experiments.record.layout import StudyFolder
from experiments.record.notes import Note
from experiments.record.objective import Objective
from experiments.record.reading import clean, dicts, dig, read_arrays
from experiments.record.state import INTERRUPTED, state_of

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


@dataclass(frozen=True)
class Study:
    """One study, as its folder records it.

    Args:
        folder: The study folder.
        name: Its name.
        record: `study.json`; empty for a project of plain Keras Tuner.
        objective: Name of the metric that ranks trials.
        direction: `"max"` or `"min"`.
        objectives: All objectives; the first is `objective` with its direction.
        trials: One row a trial: `trial_id`, `number` (from 1, in order of start where
            `is_ordered`), `status` (`completed`, `pruned`, `failed`, `running`), `score`, `scores`
            (one an execution), `cause`, `message`, `traceback`, `started` and `ended` (seconds
            since 1970), `seconds`, `epochs`, `worker`, `attempts`, `trainable_parameters`,
            `frozen_parameters`, `flops` (of one image), `latency_ms`, `feature_seconds` (that 1,000
            images took through its frozen parts), `origin` (the trial whose training it continued,
            as promoted trials do), `initial_epoch` (epochs of the network before it),
            `planned_epochs` (to which it was to train the network; missing where that was the
            search's limit), `total_epochs` (that the network was trained for at its end),
            `step_seconds` (seconds by step of its training, a mapping), `kept_parts` (frozen parts
            whose features it was trained on),
            one column for each further objective that is a metric (at the epoch that was best by
            the first), and one column a hyperparameter, missing where it was inactive.
        read_epochs: Reads the epochs of one trial, or of all for `None`, which takes longer than
            all the rest.
        hyperparameters: column -> its description: `name`, `kind`, range, `sampling`, `conditions`.
        finalists: Trials trained again: `trial_id` and `runs`, each with its `seed`, `score`,
            `history` and `test` metrics.
        confirmed: Likewise, trained for a comparison; `trial_id` is `default` for the space's own
            default.
        problems: Parts of the folder that could not be read, one line each.
        notes: How the record was read where it can be read in several ways (plain Keras Tuner).
        is_ordered: Whether the order in which trials were started is known.
        end_order: Ids of trials in order of their end, where that order is recorded and times are
            not.
        handicaps: Trials that had fewer epochs than others; see `fidelity.handicaps`.
        model: Layers, parameters and costs of the exported model, if recorded; empty where they
            can't be read.
    """

    folder: Path
    name: str
    record: dict[str, Any]
    objective: str
    direction: str
    trials: "pd.DataFrame"
    read_epochs: "Callable[[str | None], pd.DataFrame]"
    hyperparameters: dict[str, dict[str, Any]]
    finalists: list[dict[str, Any]] = field(default_factory=list)
    confirmed: list[dict[str, Any]] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    objectives: tuple[Objective, ...] = ()
    notes: tuple[Note, ...] = ()
    is_ordered: bool = True
    end_order: tuple[str, ...] = ()
    handicaps: dict[str, int] = field(default_factory=dict)
    model: dict[str, Any] | None = None

    @cached_property
    def files(self) -> StudyFolder:
        """Where each of its files is."""
        return StudyFolder(self.folder)

    @property
    def is_plain(self) -> bool:
        """Whether plain Keras Tuner left it: it has no record of how it was run."""
        return not self.record

    @property
    def is_scripted(self) -> bool:
        """Whether a script searched it with `experiments.Tuner`, and so has its model and data."""
        return "script" in self.record

    @property
    def takes_options(self) -> bool:
        """Whether `experiments search` made it, whose options can be changed."""
        return not self.is_plain and not self.is_scripted

    @cached_property
    def epochs(self) -> "pd.DataFrame":
        """One row an epoch of an execution: `trial_id`, `execution`, `epoch` (from 1), `seconds`
        and one column a metric."""
        return self.read_epochs(None)

    def epochs_of(self, trial_id: str) -> "pd.DataFrame":
        """Returns the rows of `epochs` of one trial; the others' files are not read."""
        return self.read_epochs(trial_id)

    @cached_property
    def completed(self) -> "pd.DataFrame":
        """Trials with a score, best first; of equal ones the earlier is first."""
        done = self.trials[(self.trials["status"] == "completed") & self.trials["score"].notna()]
        return done.sort_values("score", ascending=self.direction == "min", kind="stable")

    @cached_property
    def ranked(self) -> "pd.DataFrame":
        """Completed trials, best first, but those with fewer epochs after all others.

        Their scores are not comparable with the others'. Finalists are chosen in this order.
        """
        place = self.completed["trial_id"].map(lambda trial_id: self.handicaps.get(trial_id, 0))
        return self.completed.loc[place.sort_values(kind="stable").index]

    @cached_property
    def by_end(self) -> "pd.DataFrame":
        """Completed trials in order of their end; of their start, where that alone is known."""
        place = {trial_id: index for index, trial_id in enumerate(self.end_order)}
        done = self.completed.assign(_place=self.completed["trial_id"].map(place))
        return done.sort_values(["_place", "ended", "number"], kind="stable").drop(columns="_place")

    @cached_property
    def pruned(self) -> "pd.DataFrame":
        """Trials that were stopped as hopeless, in order of start."""
        return self.trials[self.trials["status"] == "pruned"]

    @property
    def failed(self) -> "pd.DataFrame":
        """Trials that failed, in order of start."""
        return self.trials[self.trials["status"] == "failed"]

    @cached_property
    def searched(self) -> list[str]:
        """Hyperparameters that took more than one value."""
        return [
            name
            for name in self.hyperparameters
            if self.trials[name].dropna().astype(str).nunique() > 1
        ]

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; empty where unknown."""
        names = dig(self.record, "dataset", "class_names")
        return [clean(name, 80) for name in names] if isinstance(names, list) else []

    @property
    def seed(self) -> int:
        """The study's seed: every random draw of its statistics comes from it."""
        seed = dig(self.record, "config", "seed")
        return seed % 2**32 if isinstance(seed, int) else 0

    @property
    def running(self) -> bool:
        """Whether the search had not ended when the folder was read."""
        if not self.record:
            return False
        sessions = dicts(self.record.get("sessions"))  # the last one may be an extension
        return "ended" not in (sessions[-1] if sessions else self.record)

    @cached_property
    def interrupted(self) -> bool:
        """Whether the search had not ended, and no process goes on with it."""
        return self.running and state_of(self.folder, self.record).name == INTERRUPTED

    @cached_property
    def memory(self) -> dict[str, Any]:
        """Results that were computed once and that several figures use."""
        return {}

    @cached_property
    def test_uses(self) -> list[dict[str, Any]]:
        """When the test split was opened on new trainings; see `read_uses`."""
        from experiments.record.test_uses import read_uses

        return read_uses(self.folder)

    def arrays(self, name: str) -> dict[str, Any] | None:
        """Arrays of the artifact `name`, if recorded.

        Raises:
            UserError: They exist and can't be read.
        """
        path = self.files.arrays(name)
        if name not in self.memory and path.is_file():
            self.memory[name] = read_arrays(path)
        return self.memory.get(name)

    def trial(self, trial_id: str) -> "pd.Series[Any]":
        """Returns the row of one trial, with or without leading zeros.

        Raises:
            UserError: There is none.
        """
        ids = {str(t): str(t) for t in self.trials["trial_id"]}
        ids |= {str(int(t)): t for t in ids.values() if t.isdecimal()}
        if trial_id not in ids:
            there = ", ".join(list(self.trials["trial_id"])[:50])
            raise UserError(f"study {self.name!r} has no trial {trial_id!r}: there are {there}")
        return self.trials[self.trials["trial_id"] == ids[trial_id]].iloc[0]


def computed_once(compute: Callable[[Study], T]) -> Callable[[Study], T]:
    """Keeps what a function of a study returns in the study's `memory`."""
    key = f"{compute.__module__}.{compute.__name__}"

    @wraps(compute)
    def recalled(study: Study) -> T:
        if key not in study.memory:
            study.memory[key] = compute(study)
        found: T = study.memory[key]
        return found

    return recalled
