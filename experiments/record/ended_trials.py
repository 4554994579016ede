"""The trials of a study whose search has ended, read without Keras Tuner.

It imports Keras, and Keras TensorFlow: five seconds and 700 MB, which a finished study does
not need.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.fidelity import epochs_asked
from experiments.record.layout import DAMAGED, TEMPORARY, TRIAL, StudyFolder, TrialFolder
from experiments.record.objective import Objective
from experiments.record.reading import read_json
from experiments.record.schema import check_ended_state, checked_result

ENDED = ("COMPLETED", "FAILED")


@dataclass(frozen=True)
class Values:
    """A trial's hyperparameters, by their values alone."""

    values: dict[str, Any]


@dataclass(frozen=True)
class EndedTrial:
    """A trial that has ended, with the facts that a Keras Tuner `Trial` has under these names."""

    trial_id: str
    status: str
    message: str | None
    score: float | None
    hyperparameters: Values


class EndedTrials:
    """The ended trials of a study, with the interface of an exhausted oracle.

    Args:
        objective: What ranks them.
        trials: In the order of their numbers.
        asked: trial id -> epochs that it was to be trained for.
        space: The hyperparameters that the last one was drawn from, as `study.json` has them.
    """

    def __init__(
        self,
        objective: Objective,
        trials: Iterable[EndedTrial],
        asked: dict[str, int],
        space: list[dict[str, Any]],
    ) -> None:
        self.objective, self.asked, self.space = objective, asked, space
        self.trials = {trial.trial_id: trial for trial in trials}

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Returns the best completed trials, fewer where there are fewer."""
        return best_trials(self.trials, self.objective.direction, num_trials)


def num_ended(oracle: Any) -> int:
    """Returns the number of an oracle's trials that have ended."""
    return sum(trial.status in ENDED for trial in oracle.trials.values())


def so_far(oracle: Any) -> tuple[int, tuple[str, float] | None]:
    """Returns the number of trials that have ended, and the best with its score."""
    best = oracle.get_best_trials(1)
    return num_ended(oracle), (best[0].trial_id, best[0].score) if best else None


def best_trials(trials: Mapping[str, Any], direction: str, count: int) -> list[Any]:
    """Returns the best completed ones of `trials`, fewer than `count` where there are fewer."""
    completed = [t for t in trials.values() if t.status == "COMPLETED"]
    return sorted(completed, key=lambda t: t.score, reverse=direction == "max")[:count]


def read_ended(folder: Path, objective: Objective) -> EndedTrials | None:
    """Reads the trials of a study.

    Returns:
        `None` if one has not ended, or if there is anything that `repair.restore` would mend.
    """
    found: dict[int, EndedTrial] = {}
    last: tuple[int, Any] = (-1, ())  # number of the last trial, and its space
    asked: dict[str, int] = {}
    try:
        for place in StudyFolder(folder).trials():
            state, result = _read(place)
            trial = _trial(state)
            number = int(trial.trial_id)
            found[number] = trial
            if number > last[0]:
                last = number, state["hyperparameters"]["space"]
            epochs = epochs_asked(result)
            if epochs is not None:
                asked[trial.trial_id] = epochs
        space = _described(last[1])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return None
    return EndedTrials(objective, [found[number] for number in sorted(found)], asked, space)


def _read(folder: TrialFolder) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the content of `trial.json` and of `result.json`.

    Raises:
        ValueError: One of them is not there, or they are not what an ended trial leaves.
    """
    names = os.listdir(folder.path)
    if any(name.startswith(TEMPORARY) or name.endswith(DAMAGED) for name in names):
        raise ValueError("there is something to be mended")
    state, result = (read_json(path) for path in (folder.state, folder.result))
    if any(f"{TRIAL}{content['trial_id']}" != folder.path.name for content in (state, result)):
        raise ValueError("it is of another trial")
    check_ended_state(state)
    if failed_of_cache(checked_result(result)):
        raise ValueError("it is run again")
    return state, result


def _trial(state: dict[str, Any]) -> EndedTrial:
    if state["status"] not in ENDED:
        raise ValueError("it has not ended")
    values = Values(dict(state["hyperparameters"]["values"]))
    return EndedTrial(state["trial_id"], state["status"], state["message"], state["score"], values)


def _described(space: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the space in a trial's file as `study.json` has it."""
    return [
        {"kind": hp["class_name"]}
        | hp["config"]
        | {"conditions": [_condition(c["config"]) for c in hp["config"]["conditions"]]}
        for hp in space
    ]


def _condition(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": config["name"], "values": list(config["values"])}


# Nothing else is named as entries of the cache are, whatever a trial's values: see `cache.entries`.
_OF_CACHE = re.compile(
    r"(FileNotFoundError|PermissionError): \[Errno \d+\] [^']*'([^']*[/\\])?"
    r"(datasets[/\\][0-9a-f]{24}|features[/\\][0-9a-f]{32}(\.partial)?)[/\\]"
)


_ROUND = "tuner/bracket"  # Hyperband has decided on what came after such a trial


def failed_of_cache(result: Mapping[str, Any] | None) -> bool:
    """Whether a trial failed because a file of the cache was missing or could not be touched.

    Args:
        result: The content of `result.json`.
    """
    if result is None or result.get("status") != "failed" or result.get("cause") != "error":
        return False
    is_of_round = _ROUND in dict(result["hyperparameters"])
    return not is_of_round and bool(_OF_CACHE.match(str(result.get("message"))))
