"""`artifacts/finalists.json`: the finalists' trainings, the winner's first."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.record.files import write_json
from experiments.record.layout import set_aside
from experiments.record.reading import as_number, dicts, read_json

# What messages of such failures begin with.
_PASSING = (
    "FileNotFoundError",
    "MissingDataError",
    "OSError",
    "PermissionError",
    "TimeoutError",
    "the worker process",
)
_HOW = ("trial_id", "max_epochs", "patience", "source")  # what a finalist's trainings share
Records = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Confirmed:
    """The result of confirming the finalists.

    Args:
        winner: The finalist that was exported; `None` if none was trained.
        scores: Its test accuracies, one a training; its test losses where it has no accuracy.
    """

    winner: str | None = None
    scores: tuple[float, ...] = ()


def read_finalists(path: Path) -> list[dict[str, Any]]:
    """Reads the record; empty where there is none. Damaged entries are left out."""
    return _sound(path)[0]


def mended_finalists(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Reads the record before it is written anew: a damaged file is kept under another name.

    Returns:
        The record, without finalists whose entry is damaged, and a line on what was set aside;
        empty if nothing was.
    """
    records, is_whole = _sound(path)
    if is_whole:
        return records, ""
    aside = set_aside(path)
    if records:
        shutil.copyfile(path, aside)
        write_json(path, records)
    else:
        path.replace(aside)
    return records, f"{path.name} is damaged, set aside as {aside.name}"


def _sound(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Returns the entries that can be used, and whether that is all there is."""
    if not os.path.lexists(path):
        return [], True
    try:
        stored = read_json(path)
    except ValueError:
        return [], False
    sound = [record for record in dicts(stored) if _is_sound(record)]
    return sound, isinstance(stored, list) and len(sound) == len(stored)


def _is_sound(record: dict[str, Any]) -> bool:
    try:
        str(record["trial_id"]), int(record["max_epochs"])
        for run in trainings_of(record):
            int(run["seed"]), float(run["score"])
        for run in record["runs"]:
            int(run["test_size"]), float(_score(run["test"]))
        for failed in record.get("failed", ()):
            failed["seed"], failed["message"]
        if record["exported_run"] is not None:
            record["runs"][record["exported_run"]]
    except (
        *(StopIteration, ValueError, KeyError, TypeError, AttributeError, IndexError),
        OverflowError,
    ):
        return False
    return True


def trainings_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the trainings of a finalist: those that were tested, then those that ranked it."""
    return [*record["runs"], *record.get("ranking", ())]


def confirmed(records: Records) -> Confirmed:
    """Returns the winner and its test scores."""
    record = _exported(records)
    if record is None:
        return Confirmed()
    scores = tuple(_score(run["test"]) for run in record["runs"])
    return Confirmed(record["trial_id"], scores)


def _score(test: dict[str, float]) -> float:
    """Returns the accuracy of a test result, or else its first metric, the loss."""
    return test["accuracy"] if "accuracy" in test else next(iter(test.values()))


def exported(records: Records) -> dict[str, Any]:
    """Returns the facts of the training that was exported; empty if none was."""
    record = _exported(records)
    if record is None:
        return {}
    return facts_of(record, record["runs"][record["exported_run"]])


def facts_of(record: dict[str, Any], run: dict[str, Any]) -> dict[str, Any]:
    """Returns the facts of one training of a finalist."""
    return record | {"seed": run["seed"]}


def _exported(records: Records) -> dict[str, Any] | None:
    return next((record for record in records if record["exported_run"] is not None), None)


def is_exported(records: Records, model: Path) -> bool:
    """Whether the chosen training is in the model's file, if there is one to choose."""
    if _exported(records) is None:
        return not any(record["runs"] for record in records)
    return model.is_file()


def is_done(records: Records, config: SearchConfig, asked: Sequence[str]) -> bool:
    """Whether the record holds the requested finalists, trained as they would be now.

    More finalists or trainings than asked for are fine: finished work is reused.

    Records from before finalists were ranked have their trainings in `runs` alone, all tested. They
    count as well.

    Args:
        records: The record.
        config: The search.
        asked: Ids of the finalists, in the order of the search.
    """
    if not records or any(_differs(record, config) for record in records):
        return False
    if any(_has_passing_failure(record) for record in records):
        return False
    names = [record["trial_id"] for record in records]
    if not set(asked) <= set(names):
        return False
    is_fresh = _is_winner_tested(records, config.seeds)
    if config.race and len(asked) > 1:
        return is_fresh and all(_is_of_race(record, config) for record in records)
    if any("race" in record for record in records):
        return is_fresh and len(asked) == 1
    if any("ranking" in record for record in records):
        return is_fresh and all(_num_ranking(record) >= config.seeds for record in records)
    counts = [len(record["runs"]) + len(record.get("failed", ())) for record in records]
    return bool(asked) and names[0] == asked[0] and min(counts) >= config.seeds


def left_out(before: Records, now: Records) -> list[dict[str, Any]]:
    """Returns the trainings of `before` that `now` does not hold, as records of their finalists.

    They are kept because a later session may need them again.
    """
    held = {key for record in now for key in _keys(record)}
    found = []
    for record in before:
        lists = {"runs": record["runs"], "ranking": record.get("ranking", ())}
        kept = {
            name: [run for run in runs if _key(record, run) not in held]
            for name, runs in lists.items()
        }
        held |= set(_keys(record))
        if any(kept.values()):
            how = {n: record[n] for n in _HOW if n in record}
            found.append(how | {"exported_run": None} | kept)
    return found


def _keys(record: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [_key(record, run) for run in trainings_of(record)]


def _key(record: dict[str, Any], run: dict[str, Any]) -> tuple[Any, ...]:
    return (*(record.get(name) for name in _HOW), run["seed"])


def _is_winner_tested(records: Records, num_seeds: int) -> bool:
    """Whether the winner among those that were ranked has its fresh trainings."""
    winner = _exported(records)
    chosen = [winner] if winner is not None else records
    return all(not r.get("ranking") or _num_tested(r) >= num_seeds for r in chosen)


def _num_ranking(record: dict[str, Any]) -> int:
    failed = [f for f in record.get("failed", ()) if f.get("ranking")]
    return len(record.get("ranking", ())) + len(failed)


def _num_tested(record: dict[str, Any]) -> int:
    failed = [f for f in record.get("failed", ()) if not f.get("ranking")]
    return len(record["runs"]) + len(failed)


def _has_passing_failure(record: dict[str, Any]) -> bool:
    """Whether a training failed for a transient reason: a file, a killed process."""
    return any(str(f.get("message")).startswith(_PASSING) for f in record.get("failed", ()))


def _differs(record: dict[str, Any], config: SearchConfig) -> bool:
    """Whether a finalist was trained for other epochs, or with another patience, than now."""
    patience = record.get("patience", config.patience)  # missing in older records
    return bool(record["max_epochs"] != config.max_epochs or patience != config.patience)


def _is_of_race(record: dict[str, Any], config: SearchConfig) -> bool:
    race = record.get("race")
    return (
        isinstance(race, dict)
        and as_number(race.get("budget")) >= config.confirm * config.seeds
        and race.get("ended_by") != "deadline"
    )
