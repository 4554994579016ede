"""Predictions of each tested training of a trial for each test image."""

from typing import Any, NamedTuple

import numpy as np

from experiments.record.alike import facts_of
from experiments.record.layout import DEFAULT
from experiments.record.predictions import (
    Kept,
    _arrays,
    _rows,
    _Whole,
    _whole_numbers,
    read_finalists_predictions,
)
from experiments.record.reading import as_number, clean, dicts
from reports.analysis.newest_alike import newest_alike
from reports.study.study import Study


class Predictions(NamedTuple):
    """Predictions of trainings for the test images.

    Args:
        labels: `(num_images,)`, whole numbers.
        predicted: `(num_trainings, num_images)`, whole numbers, in the order of `tested_runs`.
        seeds: `(num_trainings,)`, seeds of the trainings.
    """

    labels: _Whole
    predicted: _Whole
    seeds: _Whole


def tested_runs(study: Study, trial_id: str | None) -> list[dict[str, Any]]:
    """Returns the tested trainings of a trial: the finalist's, then those made for comparisons.

    Trainings that ranked finalists are left out even if they were tested: selection biases them,
    upwards for the winner and downwards for the others. All returned trainings were trained alike
    (`alike.py`).
    """
    ranking = ranking_seeds(study, trial_id)
    found = [
        (facts_of(record, run), run)
        for record in [*study.finalists, *study.confirmed]
        if record["trial_id"] == trial_id
        for run in record["runs"]
        if clean(str(run.get("seed"))) not in ranking
    ]
    runs: dict[str, dict[str, Any]] = {}
    for run in newest_alike(study, found):
        runs.setdefault(clean(str(run.get("seed"))), run)
    return list(runs.values())


def ranking_seeds(study: Study, trial_id: str | None) -> set[str]:
    """Returns the seeds of the trainings that ranked a trial among finalists."""
    return {
        clean(str(run.get("seed")))
        for record in study.finalists
        if record["trial_id"] == trial_id
        for run in dicts(record.get("ranking"))
    }


def test_predictions(study: Study, trial_id: str | None) -> Predictions | None:
    """Returns the predictions of a trial's tested trainings for each test image.

    Files that are damaged, and predictions that do not give the recorded accuracy, count as
    missing.

    Args:
        study: The study.
        trial_id: A trial, or `default`.

    Returns:
        The kept predictions of `tested_runs`; `None` without any.
    """
    if trial_id is None or (trial_id != DEFAULT and trial_id not in set(study.trials["trial_id"])):
        return None
    found: list[tuple[int, _Whole]] = []
    labels: _Whole | None = None
    files = [_of_finalists(study, trial_id), _of_comparisons(study, trial_id)]
    for run in tested_runs(study, trial_id):
        for file_labels, kept in files:
            row = kept.get(run["seed"]) if isinstance(run.get("seed"), int) else None
            if row is None or not _agrees(row, file_labels, run):
                continue
            if labels is None:
                labels = file_labels
            if np.array_equal(labels, file_labels):
                found.append((run["seed"], row))
                break
    if labels is None:
        return None
    seeds = np.array([seed for seed, _ in found], dtype=np.int64)
    return Predictions(labels, np.stack([row for _, row in found]), seeds)


def _agrees(row: _Whole, labels: _Whole, run: dict[str, Any]) -> bool:
    """Whether the predictions belong to this record, and not to one that was replaced."""
    gap = abs(float((row == labels).mean()) - as_number(run["test"].get("accuracy")))
    return gap < 0.5 / len(labels)


def _of_finalists(study: Study, trial_id: str) -> tuple[_Whole, Kept]:
    if "finalists_predictions" not in study.memory:
        study.memory["finalists_predictions"] = read_finalists_predictions(study.folder)
    labels, found = study.memory["finalists_predictions"]
    return labels, found.get(trial_id, {})


def _of_comparisons(study: Study, trial_id: str) -> tuple[_Whole, Kept]:
    """Reads `artifacts/confirmed/<trial>.npz`: `labels`, and `predicted` in the runs' order."""
    arrays = _arrays(study.files.confirmed_trial(trial_id).with_suffix(".npz"))
    labels = _whole_numbers(arrays.get("labels"), 1)
    runs = [r for c in study.confirmed if c["trial_id"] == trial_id for r in c["runs"]]
    seeds = [run.get("seed") for run in runs]
    if not all(isinstance(seed, int) and abs(seed) < 2**62 for seed in seeds):
        return labels, {}
    predicted = arrays.get("predicted")
    if predicted is not None and predicted.ndim:
        predicted = predicted[: len(seeds)]  # the record of the next training may not be written
    return labels, _rows(labels, predicted, np.array(seeds, dtype=np.int64))
