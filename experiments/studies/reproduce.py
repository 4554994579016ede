"""Trains a recorded trial again, and reports whether the result agrees."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.display.plain import PatientDisplay
from experiments.finalists.again import train_again
from experiments.finalists.trainings import Training
from experiments.hyperparameters.source import space_source
from experiments.hyperparameters.space_files import changed_files
from experiments.process.numerics import needs_another_process, numerics, variables_for
from experiments.record.alike import changed, source_of
from experiments.record.errors import UserError
from experiments.record.numerics import differences, engine_difference
from experiments.record.reading import as_dict, as_number, clean, dicts, dig, read_json
from experiments.record.schema import check_executions
from experiments.record.study import environment
from experiments.studies.reopen import Opened
from experiments.training.task import Execution, TrialResult

TOLERANCE = 0.005


@dataclass(frozen=True)
class Reproduction:
    """The result of training a trial again.

    Args:
        trial_id: The trial.
        recorded: Its recorded score.
        score: Its score in this training.
        largest: Largest difference of the objective over all epochs of all trainings.
        tolerance: Largest difference that counts as agreement.
        differences: Differing conditions, one line each.
        unrecorded: Whether the record is too old to hold what determines the trial's numbers.
        origins: Trials that it was promoted from, in order; their epochs were compared too.
    """

    trial_id: str
    recorded: float
    score: float
    largest: float
    tolerance: float
    differences: tuple[str, ...]
    origins: tuple[str, ...] = ()
    unrecorded: bool = False

    @property
    def agrees(self) -> bool:
        """Whether every epoch is within the tolerance."""
        return bool(self.largest <= self.tolerance)

    @property
    def text(self) -> str:
        """The result as lines for a terminal."""
        exact = ", exactly" if self.largest == 0 else ""
        answer = f"agrees{exact}" if self.agrees else "does NOT agree"
        lines = [
            f"trial {self.trial_id} {answer}: recorded {self.recorded:.6f}, now {self.score:.6f}; "
            f"largest difference in any epoch {self.largest:.2g} (tolerance {self.tolerance:g})"
        ]
        if self.origins:
            lines.append(f"  trained through trial {', then '.join(self.origins)}, as it was")
        lines += [f"  differs: {difference}" for difference in self.differences]
        if not self.agrees and self.unrecorded:
            lines.append("  not recorded then: number of threads, oneDNN, CPU")
        elif not self.agrees and not self.differences:
            lines.append("  nothing recorded differs (threads, oneDNN, CPU, versions): an "
                         "operation whose order of additions is not fixed")  # fmt: skip
        return "\n".join(lines)


@dataclass(frozen=True)
class Link:
    """A trial of a chain of promotions.

    Args:
        trial_id: The trial.
        result: Its `result.json`.
        hyperparameters: Its `HyperParameters` config.
    """

    trial_id: str
    result: dict[str, Any]
    hyperparameters: dict[str, Any]

    @property
    def executions(self) -> list[dict[str, Any]]:
        """Its trainings, as recorded."""
        return dicts(self.result.get("executions"))

    @property
    def initial_epoch(self) -> int:
        """The epoch from which it continued; 0 if it started from scratch."""
        return int(as_number(self.result.get("initial_epoch") or 0))

    @property
    def origin(self) -> Any:
        """The trial that it was promoted from."""
        return self.hyperparameters["values"].get("tuner/trial_id")


def reproduce(opened: Opened, trial_id: str, tolerance: float = TOLERANCE) -> Reproduction:
    """Trains a trial again with its recorded seeds, and compares every epoch.

    A promoted trial is trained from the first epoch of its chain. Each trial of the chain is
    trained for its own epochs, with its own seeds.

    Raises:
        UserError: The trial did not end, or its chain can't be trained as recorded.
    """
    chain = _chain(opened, str(opened.study.trial(trial_id)["trial_id"]))
    objective, largest = opened.config.parsed_objective.name, 0.0
    differing: dict[str, None] = {}  # lines, in order
    with tempfile.TemporaryDirectory() as folder:
        snapshots: Path | None = None
        for link in chain:
            again, snapshots = _train(opened, link, Path(folder), snapshots)
            largest = max(largest, _largest(link.executions, again.executions, objective))
            differing |= dict.fromkeys(differences(_numerics(opened, link), again.numerics))
            differing |= dict.fromkeys(engine_difference(link.result, {"features": again.features}))
    scores = [execution.score for execution in again.executions]
    return Reproduction(
        trial_id=chain[-1].trial_id,
        recorded=as_number(chain[-1].result["score"]),
        score=float(np.mean([s for s in scores if s is not None])),
        largest=largest,
        tolerance=tolerance,
        differences=tuple(dict.fromkeys((*differing, *_differences(opened, chain)))),
        origins=tuple(link.trial_id for link in chain[:-1]),
        unrecorded=not chain[-1].result.get("numerics"),
    )


def _numerics(opened: Opened, link: Link) -> dict[str, Any]:
    """Returns what determined a trial's numbers; for older studies, the threads it must have had.

    The workers of older studies shared the cores, and the study records both.
    """
    recorded = as_dict(link.result.get("numerics"))
    cores = dig(opened.study.record, "environment", "cores")
    if recorded or not isinstance(cores, int) or opened.config.ray is not None:
        return recorded
    workers = opened.config.workers
    apart = str(link.result.get("worker") or "").startswith("worker ")
    if not apart:
        return {"intra_op_threads": cores}
    return {} if workers == "auto" else {"intra_op_threads": max(1, cores // max(1, int(workers)))}


def _chain(opened: Opened, trial_id: str) -> list[Link]:
    """Returns the chain of trials that `trial_id` continued, in order, and the trial itself."""
    chain = [_link(opened, trial_id)]
    while chain[0].initial_epoch:
        origin = chain[0].origin
        if not isinstance(origin, str) or origin in [link.trial_id for link in chain]:
            raise UserError(
                f"trial {chain[0].trial_id} continued from epoch {chain[0].initial_epoch} of "
                "another trial, and its record does not say of which"
            )
        chain.insert(0, _link(opened, origin))
    return chain


def _link(opened: Opened, trial_id: str) -> Link:
    if not trial_id.isdecimal():  # it becomes part of a path
        raise UserError(f"{clean(trial_id, 60)!r} is no trial of a study of this suite")
    path = opened.study.files.trial(trial_id).result
    recorded = as_dict(read_json(path))
    if recorded.get("status") not in ("completed", "pruned") or not recorded.get("executions"):
        raise UserError(f"trial {trial_id} was not completed: there is nothing to agree with")
    try:
        check_executions(recorded)
    except ValueError as error:
        raise UserError(
            f"{str(path)!r} is damaged: {error}; restore it from a copy, or reproduce another trial"
        ) from None
    return Link(trial_id, recorded, opened.hyperparameters(trial_id))


def _train(
    opened: Opened, link: Link, folder: Path, start: Path | None
) -> tuple[TrialResult, Path]:
    """Trains a link from the snapshots of the one before; returns the result and its folder."""
    task = opened.task(
        link.hyperparameters,
        seeds=tuple(int(execution["seed"]) for execution in link.executions),
        epochs=_epochs(opened, link),
        patience=as_dict(link.result.get("asked")).get("patience", opened.config.patience),
        counts_before=dig(link.result, "asked", "counts_before") is True,
        start_snapshots=None if start is None else str(start),
        keep_snapshots=True,
    )
    # An early-stopped trial would train further here: it is stopped at its recorded epoch.
    last = link.initial_epoch + len(link.executions[0].get("epoch_seconds") or [])
    stop_after = last if link.result["status"] == "pruned" else None
    training = Training(link.trial_id, task.seeds[0], task, stop_after=stop_after)
    then = _numerics(opened, link)
    environment = variables_for(then) if needs_another_process(then, numerics()) else None
    outcome = train_again(training, folder, PatientDisplay(), environment=environment)
    again = outcome.result
    assert outcome.weights is not None
    if again.initial_epoch != link.initial_epoch:
        raise UserError(
            f"trial {link.trial_id} continued from epoch {link.initial_epoch} of its origin, and "
            f"now from epoch {again.initial_epoch}: the phases of its training are not where they "
            "were"
        )
    return again, outcome.weights.parent


def _epochs(opened: Opened, link: Link) -> int:
    """Returns the number of epochs that a trial was asked for, from its session where recorded."""
    own = dig(link.result, "asked", "epochs")  # older studies do not have it
    own = link.hyperparameters["values"].get("tuner/epochs") if own is None else own
    if own is not None:
        return int(own)
    sessions = dicts(opened.study.record.get("sessions"))
    begun = [s for s in sessions if as_number(s.get("first_trial")) <= int(link.trial_id)]
    if len({s.get("max_epochs") for s in sessions}) > 1 and begun:
        return int(as_number(begun[-1].get("max_epochs")))
    return opened.config.max_epochs


def _largest(recorded: list[dict[str, Any]], again: list[Execution], objective: str) -> float:
    """Returns the largest difference in any epoch; infinite where epochs or one's value miss."""
    largest = 0.0
    for old, new in zip(recorded, again, strict=True):
        before = [as_number(v) for v in dig(old, "history", objective) or []]
        after = [as_number(v) for v in new.history.get(objective, [])]
        if len(before) != len(after) or not before:
            return math.inf
        largest = max(largest, *map(_difference, before, after))
    return largest


def _difference(old: float, new: float) -> float:
    """Returns how far two values are apart; infinite where exactly one of them is no number."""
    if math.isnan(old) or math.isnan(new):
        return 0.0 if math.isnan(old) and math.isnan(new) else math.inf
    return abs(old - new)


def _differences(opened: Opened, chain: Sequence[Link]) -> Iterator[str]:
    source = space_source(opened.config.space)
    for link in chain:
        for module in changed(source_of(opened.study.record, int(link.trial_id)), source):
            yield f"code of the space: {module} has changed since"
        settings, trial = opened.config.settings, int(link.trial_id)
        for name in changed_files(opened.study.record, settings, trial):
            yield f"file of the settings: {name} has changed since"
    then, now = as_dict(opened.study.record.get("environment")), environment()
    for name in ("python", "platform", "cores"):
        if then.get(name) != now[name]:
            yield f"{name}: {then.get(name)} then, {now[name]} now"
    packages = as_dict(then.get("packages"))
    for name, version in now["packages"].items():
        if packages.get(name) != version:
            yield f"{name}: {packages.get(name)} then, {version} now"
    commit, current = dig(then, "git", "commit"), dig(now, "git", "commit")
    if commit != current:
        yield f"git commit: {str(commit)[:12]} then, {str(current)[:12]} now"
    elif dig(then, "git", "dirty") or dig(now, "git", "dirty"):
        yield "there were or are uncommitted changes"
