"""Trains a recorded trial again, and says whether it agrees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.errors import UserError
from experiments.rerun import Opened
from experiments.study import environment
from experiments.trial import Execution, run_trial
from reports.reading import as_dict, dicts, dig, number, read_json

TOLERANCE = 0.005


@dataclass(frozen=True)
class Reproduction:
    """What training a trial again came to.

    Args:
        trial_id: The trial.
        recorded: Its recorded score.
        score: Its score now.
        largest: Largest difference of the objective in any epoch of any training.
        tolerance: What difference counts as agreement.
        differences: What differs in the environment, one line each.
    """

    trial_id: str
    recorded: float
    score: float
    largest: float
    tolerance: float
    differences: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether every epoch is within the tolerance."""
        return bool(self.largest <= self.tolerance)

    @property
    def text(self) -> str:
        """The answer in lines for a terminal."""
        exact = ", exactly" if self.largest == 0 else ""
        answer = f"agrees{exact}" if self.agrees else "does NOT agree"
        lines = [
            f"trial {self.trial_id} {answer}: recorded {self.recorded:.6f}, now {self.score:.6f}; "
            f"largest difference in any epoch {self.largest:.2g} (tolerance {self.tolerance:g})"
        ]
        lines += [f"  differs: {difference}" for difference in self.differences]
        if not self.agrees and not self.differences:
            lines.append("  nothing recorded differs: number of threads, or an operation whose "
                         "order of additions is not fixed")  # fmt: skip
        return "\n".join(lines)


def reproduce(opened: Opened, trial_id: str, tolerance: float = TOLERANCE) -> Reproduction:
    """Trains a trial again with its recorded seeds, and compares every epoch.

    Raises:
        UserError: The trial was not completed, or goes on from another trial's weights.
    """
    trial_id = str(opened.study.trial(trial_id)["trial_id"])
    result = as_dict(read_json(opened.folder / f"trial_{trial_id}" / "result.json"))
    _check(opened, trial_id, result)
    recorded = dicts(result["executions"])
    hyperparameters = opened.hyperparameters(trial_id)
    epochs = int(hyperparameters["values"].get("tuner/epochs", opened.config.max_epochs))
    seeds = tuple(int(execution["seed"]) for execution in recorded)
    task = opened.task(hyperparameters, seeds=seeds, epochs=epochs)
    again = run_trial(task, lambda execution, epoch, metrics: False)
    if again.status != "completed":
        raise UserError(f"trial {trial_id} fails now ({again.cause}): {again.message}")
    scores = [execution.score for execution in again.executions]
    return Reproduction(
        trial_id=trial_id,
        recorded=number(result["score"]),
        score=float(np.mean([s for s in scores if s is not None])),
        largest=_largest(recorded, again.executions, opened.config.parsed_objective.name),
        tolerance=tolerance,
        differences=tuple(_differences(as_dict(opened.study.record.get("environment")))),
    )


def _check(opened: Opened, trial_id: str, result: dict[str, Any]) -> None:
    if result.get("status") != "completed" or not dicts(result.get("executions")):
        raise UserError(f"trial {trial_id} was not completed: there is nothing to agree with")
    if result.get("initial_epoch"):
        raise UserError(
            f"trial {trial_id} went on from another trial's weights (Hyperband): only trials that "
            "began at their first epoch can be reproduced"
        )


def _largest(recorded: list[dict[str, Any]], again: list[Execution], objective: str) -> float:
    """Returns the largest difference of an epoch; infinite where epochs are missing."""
    largest = 0.0
    for old, new in zip(recorded, again, strict=True):
        before = [number(v) for v in dig(old, "history", objective) or []]
        after = new.history.get(objective, [])
        if len(before) != len(after):
            return float("inf")
        largest = max([largest, *(abs(a - b) for a, b in zip(before, after, strict=True))])
    return largest


def _differences(then: dict[str, Any]) -> Iterator[str]:
    now = environment()
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
