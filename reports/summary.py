"""What a study came to: the numbers of its verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.load import Study

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A score that travels with its interval.

    Args:
        mean: Mean of the scores.
        low: Lower end of the 95 % interval.
        high: Upper end.
        count: Number of scores.
        kind: What the interval covers: `seeds` (Student's t over trainings) or `images`
            (Wilson, one training on a sample of images).
    """

    mean: float
    low: float
    high: float
    count: int
    kind: str


def estimate(scores: Sequence[float], num_images: int) -> Estimate:
    """Estimates an accuracy from one score a seed.

    From two seeds on the interval is Student's t over the seeds: where another training would
    fall on average. One seed says nothing of that, so its interval is Wilson's for a share of
    `num_images` (Wilson 1927, "Probable inference, the law of succession, and statistical
    inference").
    """
    mean = float(np.mean(scores))
    if len(scores) > 1:
        spread = stats.sem(scores) * stats.t.ppf((1 + CONFIDENCE) / 2, len(scores) - 1)
        return Estimate(mean, max(mean - spread, 0), min(mean + spread, 1), len(scores), "seeds")
    interval = stats.binomtest(round(mean * num_images), num_images).proportion_ci(
        CONFIDENCE, method="wilson"
    )
    return Estimate(mean, float(interval.low), float(interval.high), 1, "images")


@dataclass(frozen=True)
class Verdict:
    """The answer of a study.

    Args:
        trial_id: The best trial, or `None` if none was completed.
        score: Its score in the search, on the validation split.
        tests: One `(trial_id, Estimate)` a finalist, in the order of the search.
        trainable_parameters: Of the exported model, or of the trial where none was exported.
        frozen_parameters: Likewise.
        num_completed: Trials with a score.
        num_failed: Trials that failed.
        num_running: Trials that were begun and not ended.
    """

    trial_id: str | None
    score: float
    tests: tuple[tuple[str, Estimate], ...]
    trainable_parameters: float
    frozen_parameters: float
    num_completed: int
    num_failed: int
    num_running: int


def verdict(study: Study) -> Verdict:
    """Sums `study` up."""
    completed = study.completed
    best = completed.iloc[0] if len(completed) else None
    model = study.model or {}
    tests = tuple(
        (
            finalist["trial_id"],
            estimate(
                [run["test"]["accuracy"] for run in finalist["runs"]],
                finalist["runs"][0]["test_size"],
            ),
        )
        for finalist in study.finalists
        if finalist["runs"]
    )
    return Verdict(
        trial_id=None if best is None else str(best["trial_id"]),
        score=math.nan if best is None else float(best["score"]),
        tests=tests,
        trainable_parameters=_parameters(model, best, "trainable_parameters"),
        frozen_parameters=_parameters(model, best, "frozen_parameters"),
        num_completed=len(completed),
        num_failed=len(study.failed),
        num_running=int((study.trials["status"] == "running").sum()),
    )


def _parameters(model: dict[str, float], best: object, name: str) -> float:
    if name in model:
        return model[name]
    return math.nan if best is None else float(best[name])  # type: ignore[index]
