"""`artifacts/finalists.json`: the finalists' trainings, the winner's first."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig

# What messages of such failures begin with.
_PASSING = (
    "FileNotFoundError",
    "MissingDataError",
    "OSError",
    "PermissionError",
    "TimeoutError",
    "the worker process",
)
Records = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Confirmed:
    """What confirming came to.

    Args:
        winner: The finalist that was exported; `None` if none was trained.
        scores: Its test accuracies, one a training.
    """

    winner: str | None = None
    scores: tuple[float, ...] = ()


def read_finalists(path: Path) -> list[dict[str, Any]]:
    """Reads the record; empty where there is none, or where it is damaged in any way."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        for record in records:
            str(record["trial_id"]), int(record["max_epochs"]), record["exported_run"]
            for run in record["runs"]:
                int(run["seed"]), float(run["score"]), int(run["test_size"])
                float(run["test"]["accuracy"])
        return list(records)
    except (OSError, ValueError, KeyError, TypeError):
        return []


def confirmed(records: Records) -> Confirmed:
    """Returns the winner and its test scores."""
    for record in records:
        if record["exported_run"] is not None:
            scores = tuple(run["test"]["accuracy"] for run in record["runs"])
            return Confirmed(record["trial_id"], scores)
    return Confirmed()


def exported(records: Records) -> tuple[str, int] | None:
    """Returns trial and seed of the training that was exported."""
    for record in records:
        if record["exported_run"] is not None:
            return record["trial_id"], record["runs"][record["exported_run"]]["seed"]
    return None


def is_done(records: Records, config: SearchConfig, asked: Sequence[str]) -> bool:
    """Whether the record is of the finalists that are asked for, trained as they are now.

    Args:
        records: The record.
        config: The search.
        asked: Ids of the finalists, the best first.
    """
    if not records or any(_differs(record, config) for record in records):
        return False
    if any(_has_passing_failure(record) for record in records):
        return False
    if config.race:
        return sorted(asked) == sorted(record["trial_id"] for record in records) and all(
            _is_of_race(record, config) for record in records
        )
    tested = [(r["trial_id"], len(r["runs"]) + len(r.get("failed", ()))) for r in records]
    return tested == [(name, config.seeds) for name in asked] and not any(
        "race" in record for record in records
    )


def _has_passing_failure(record: dict[str, Any]) -> bool:
    """Whether a training failed of what may be otherwise another time: a file, a killed process."""
    return any(str(f.get("message")).startswith(_PASSING) for f in record.get("failed", ()))


def _differs(record: dict[str, Any], config: SearchConfig) -> bool:
    """Whether a finalist was trained for other epochs, or with another patience, than now."""
    patience = record.get("patience", config.patience)  # missing in older records
    return bool(record["max_epochs"] != config.max_epochs or patience != config.patience)


def _is_of_race(record: dict[str, Any], config: SearchConfig) -> bool:
    race = record.get("race")
    return (
        isinstance(race, dict)
        and race.get("budget") == config.confirm * config.seeds
        and race.get("ended_by") != "deadline"
    )
