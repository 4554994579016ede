"""How many epochs trials had: a trial with fewer than others is not ranked with them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.record.layout import was_pruned
from experiments.record.reading import as_number, dig


def is_left_behind(trial: Any) -> bool:
    """Whether an ended trial would have had more epochs if it had been better.

    It was stopped early, or belongs to a Hyperband round before the last.
    """
    return was_pruned(trial.status, trial.message) or is_of_early_round(
        trial.hyperparameters.values
    )


def is_of_early_round(values: Mapping[str, Any]) -> bool:
    """Whether these values belong to a Hyperband round before the last."""
    return as_number(values.get("tuner/round")) < as_number(values.get("tuner/bracket"))


def with_continued(
    trial_id: str, curves: Mapping[str, Mapping[int, float]], origins: Mapping[str, str]
) -> dict[int, float]:
    """Returns the epochs of a trial, and before them those of the trials that it continues.

    Args:
        trial_id: The trial.
        curves: trial id -> epoch -> value, of the epochs that it trained itself.
        origins: trial id -> the trial that it continues, if it does.
    """
    whole, seen = dict(curves.get(trial_id, {})), {trial_id}
    while (origin := origins.get(trial_id)) is not None and origin not in seen:
        seen.add(origin)  # a damaged study may go round in a circle
        trial_id, begin = origin, min(whole, default=math.inf)
        whole = {e: v for e, v in curves.get(origin, {}).items() if e < begin} | whole
    return whole


def epochs_asked(result: Mapping[str, Any]) -> int | None:
    """Returns the epochs that a trial was to be trained for; `None` in older records.

    Args:
        result: The content of `result.json`.
    """
    asked = as_number(dig(result, "asked", "epochs"))
    return int(asked) if asked > 0 else None


def longest_first(trials: Sequence[Any], asked: Mapping[str, int]) -> list[Any]:
    """Returns trials in their order, but those with fewer epochs after all others.

    A study whose trials got more epochs later has both kinds. Fewer epochs are a handicap: such a
    trial is not necessarily worse, but its score is not comparable with the others'.

    Args:
        trials: Trials, best first.
        asked: trial id -> epochs that it was to be trained for; unknown ones count as whole.
    """
    most = max((asked.get(trial.trial_id, 0) for trial in trials), default=0)
    return sorted(trials, key=lambda trial: asked.get(trial.trial_id, most) < most)


def is_paused(trial: Any) -> bool:
    """Whether a trial was stopped before its last epoch."""
    return was_pruned(trial.status, trial.message)
