"""The verdict of a study, in numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import is_missing, is_same, named, plural
from experiments.record.layout import DEFAULT
from experiments.record.reading import as_number, clean, dig
from reports.analysis.recommended import recommended
from reports.analysis.row_scores import estimate_over_examples
from reports.analysis.task import has_no_classes
from reports.analysis.test_predictions import test_predictions
from reports.statistics.class_scores import METRICS, estimate_by_images
from reports.statistics.estimates import Estimate, accuracy, bounded, mean
from reports.study.metrics import base_name, is_share_of_images, reported_on_test
from reports.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("trainable_parameters", "frozen_parameters", "flops", "latency_ms")


@dataclass(frozen=True)
class Gain:
    """The gain of the best trial over the space's default.

    Args:
        estimate: Best minus default; positive is better.
        split: `test` (both trained again over seeds) or `validation` (one trial each;
            `estimate.count` trainings).
        default: The default's own score.
    """

    estimate: Estimate
    split: str
    default: float


@dataclass(frozen=True)
class Verdict:
    """The answer of a study.

    Args:
        trial_id: The best trial; the winner, if the finalists raced; with several objectives, the
            front's knee; `None` if none was completed.
        score: Its score in the search, on the validation split.
        tests: One `(trial_id, Estimate)` a finalist, in the order of the search.
        test_metric: The metric of `tests`: the objective's own, where it was recorded on test.
        test_size: Rows of the test split; `None` where nothing was tested.
        gain: Over the space's default; `None` where there is none, see `why_no_gain`.
        trainable_parameters: Of the trial; of the exported model, where that is the trial's.
        frozen_parameters: Likewise.
        flops: Floating-point operations of one row.
        latency_ms: Median milliseconds of one row, alone.
        model_bytes: Size of the exported file; NaN where that is another trial's.
        num_completed: Trials with a score.
        num_failed: Trials that failed.
        num_pruned: Trials that were stopped as hopeless.
        num_running: Trials that started and have not ended.
    """

    trial_id: str | None
    score: float
    tests: tuple[tuple[str, Estimate], ...]
    test_metric: str
    test_size: int | None
    gain: Gain | None
    trainable_parameters: float
    frozen_parameters: float
    flops: float
    latency_ms: float
    model_bytes: float
    num_completed: int
    num_failed: int
    num_pruned: int
    num_running: int


def verdict(study: Study) -> Verdict:
    """Sums `study` up."""
    completed = study.completed
    chosen = completed[completed["trial_id"] == recommended(study)]
    best = chosen.iloc[0] if len(chosen) else None
    tested = [finalist for finalist in study.finalists if finalist["runs"]]
    metric = metric_on_test(study)
    model = study.files.model
    is_other = best is not None and str(best["trial_id"]) != exported_trial(study)
    other = best if is_other else None  # than the exported one
    costs = {n: cost_of_exported(study, n) if other is None else float(other[n]) for n in COSTS}
    return Verdict(
        trial_id=None if best is None else str(best["trial_id"]),
        score=math.nan if best is None else float(best["score"]),
        tests=tuple(
            (f["trial_id"], estimate_of(study, f, metric)) for f in tested if _has(f, metric)
        ),
        test_metric=metric,
        test_size=int(tested[0]["runs"][0]["test_size"]) if tested else None,
        gain=_gain(study, best, tested[0] if tested else None),
        **costs,
        model_bytes=float(model.stat().st_size) if other is None and model.is_file() else math.nan,
        num_completed=len(completed),
        num_failed=len(study.failed),
        num_pruned=len(study.pruned),
        num_running=int((study.trials["status"] == "running").sum()),
    )


def metric_on_test(study: Study) -> str:
    """Returns the metric of reported test scores: the objective's own, where it was evaluated.

    Else it is accuracy, or another recorded metric.
    """
    return reported_on_test(study.objective, study.finalists)


def winner_on_test(study: Study) -> tuple[str, Estimate] | None:
    """Returns metric and test score of the finalist that leads; `None` where none was tested."""
    metric = metric_on_test(study)
    tested = next((f for f in study.finalists if f["runs"] and _has(f, metric)), None)
    return None if tested is None else (metric, estimate_of(study, tested, metric))


def scores_on_test(finalist: dict[str, Any], metric: str) -> list[float]:
    """Returns a finalist's test scores by `metric`, one a seed."""
    return [as_number(run["test"].get(metric)) for run in finalist["runs"]]


def estimate(
    scores: Sequence[float],
    num_images: int,
    metric: str = "accuracy",
    is_correct: npt.NDArray[np.bool_] | None = None,
) -> Estimate:
    """Estimates a test score from one score per seed; a share of the images as one.

    The spread of other metrics over images is not known here: their interval is for these images.
    """
    if is_share_of_images(metric) and all(0 <= score <= 1 for score in scores):
        return accuracy(scores, num_images, is_correct)
    return bounded(mean(scores), metric)


def _has(finalist: dict[str, Any], metric: str) -> bool:
    return all(math.isfinite(score) for score in scores_on_test(finalist, metric))


def estimate_of(study: Study, finalist: dict[str, Any], metric: str) -> Estimate:
    """Estimates a finalist's test score by `metric`; NaN where a training lacks it."""
    scores = scores_on_test(finalist, metric)
    if has_no_classes(study):
        found = estimate_over_examples(study, finalist, metric, scores) or mean(scores)
        return bounded(found, metric)
    size = int(as_number(finalist["runs"][0]["test_size"]))
    kept = test_predictions(study, finalist["trial_id"])
    rows = {} if kept is None else dict(zip(kept.seeds.tolist(), kept.predicted, strict=True))
    own = [rows[run["seed"]] for run in finalist["runs"] if run.get("seed") in rows]
    whole = kept is not None and len(own) == len(finalist["runs"]) and len(kept.labels) == size
    if kept is None or not whole:
        return estimate(scores, size, metric)
    name, predicted = base_name(metric), np.stack(own)
    if name in METRICS and len(study.class_names) > 1 and size > 1:
        by_images = estimate_by_images(name, scores, kept.labels, predicted, len(study.class_names))
        if by_images is not None:
            return bounded(by_images, metric)
    is_accuracy = name in ("accuracy", "acc")  # top-k counts others as right too
    return estimate(scores, size, metric, predicted == kept.labels if is_accuracy else None)


def exported_finalist(study: Study) -> dict[str, Any] | None:
    """Returns the finalist of which a training was exported, if there is one."""
    return next((f for f in study.finalists if f.get("exported_run") is not None), None)


def exported_trial(study: Study) -> str | None:
    """Returns the trial whose network was exported; the recommended one if no finalist was."""
    finalist = exported_finalist(study) or next(iter(study.finalists), None)
    if finalist is not None:
        return str(finalist["trial_id"])
    return recommended(study) if len(study.objectives) < 2 else None


def cost_of_exported(study: Study, name: str) -> float:
    """Returns a cost of the exported model; an objective as the search knew it."""
    own = study.trials.loc[study.trials["trial_id"] == exported_trial(study), name]
    value = as_number(dig(study.model, name))
    is_objective = name in {objective.name for objective in study.objectives[1:]}
    if len(own) and (is_objective or not math.isfinite(value)):
        return float(own.iloc[0])
    return value


def _gain(study: Study, best: Any, winner: dict[str, Any] | None) -> Gain | None:
    tested = _gain_on_test(study, best)
    if winner is not None and tested is not None:
        return tested
    if best is None:
        return None
    done, asked = _of_default(study, study.completed), _asked(study)
    done = done[asked[done.index] == asked[best.name]]
    if done.empty:
        return None
    row = done.iloc[0]
    sign = 1 if study.direction == "max" else -1
    gap_value = sign * float(best["score"] - row["score"])
    count = max(1, min(len(best["scores"]), len(row["scores"])))
    return Gain(Estimate(gap_value, math.nan, math.nan, count, "none"), "validation", row["score"])


def _gain_on_test(study: Study, best: Any) -> Gain | None:
    if not any(c["trial_id"] == DEFAULT and c["runs"] for c in study.confirmed):
        return None
    tested = [
        run["test"] for trial in (*study.finalists, *study.confirmed) for run in trial["runs"]
    ]
    if not all("accuracy" in test for test in tested):  # the metric that compares arms
        return None
    from reports.analysis.comparison.arms import arms_of_default
    from reports.analysis.comparison.decide import compare

    comparison = compare(arms_of_default(study))
    # With several objectives, the recommended trial need not have the best score.
    if not comparison.pairs or best is None or comparison.arms[0].trial_id != best["trial_id"]:
        return None
    default = comparison.estimates[1]
    return Gain(comparison.pairs[0].difference, "test", default.mean if default else math.nan)


def why_no_gain(study: Study, trial_id: str | None) -> str:
    """Says why the gain of a trial over the space's default is not known."""
    done = _of_default(study, study.completed)
    best = study.completed[study.completed["trial_id"] == trial_id]
    if len(done) and len(best):
        own, other = (int(_asked(study)[rows.index[0]]) for rows in (done, best))
        return f"the default was to have {plural(own, 'epoch')}, the best trial {other:,}"
    tried = _of_default(study, study.trials)["status"]
    did = {"failed": "failed", "pruned": "was stopped early", "running": "has not ended"}
    return f"the default {did.get(next(iter(tried), ''), 'was not trained')}"


def _of_default(study: Study, trials: "pd.DataFrame") -> "pd.DataFrame":
    """Returns those of `trials` whose every hyperparameter has its default."""
    known = {n: hp for n, hp in study.hyperparameters.items() if "default" in hp}
    alike = trials if known else trials[:0]
    for name, hp in known.items():  # each leaves fewer trials to check
        has_it = [is_missing(v) or is_same(v, hp["default"]) for v in alike[name]]
        alike = alike[np.array(has_it, dtype=bool)]
    return alike


def _asked(study: Study) -> "pd.Series[float]":
    """Returns the epochs that each trial was to have, by row; 0 where that is not recorded."""
    planned = study.trials["planned_epochs"]
    return planned.fillna(planned.max()).fillna(0.0)


def study_path(study: Study) -> str:
    """Returns the path of the study's folder that was given to its search.

    Its present place is not used: a study gives the same page wherever it is read from.
    """
    runs = dig(study.record, "config", "runs_dir")
    name = study.folder.name
    return f"{runs.rstrip('/')}/{name}" if isinstance(runs, str) and runs else name


def study_argument(study: Study) -> str:
    """Returns what names the study in a command."""
    folder = Path(study_path(study))
    return clean(named(folder) if folder.name != str(folder) else quote(folder.name))


def model_path(study: Study) -> str | None:
    """Returns the path of the exported model, if there is one."""
    model = study.files.model
    return clean(f"{study_path(study)}/{model.name}") if model.is_file() else None
