"""An index of trial results, without epochs, in one file of the study folder.

Trial files are the truth, and the index is a cache of them. An entry is valid only while the
trial's files are unchanged by inode, time of change and size. Other trials are read from their
files. The index is written whole or not at all, and skipped where the folder is read-only.
"""

import gc
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.layout import RESULT, STATE, TEMPORARY, TRIAL, StudyFolder, TrialFolder
from experiments.record.reading import as_dict, clean, read_dict, read_json
from experiments.record.stamps import Stamp, stamp_of

Trial = tuple[str, dict[str, Any], dict[str, Any]]  # id, trial.json, result.json

_FORMAT = 2  # to be raised when `compact` leaves out or takes in something else
_FEWEST = 20  # trials that are worth an index
_STALE_SHARE = 0.1  # of the trials; from there on the index is written anew
# A file that was written this short a time ago may change again without another time of change.
_YOUNG_NS = 2_000_000_000


@dataclass
class Scan:
    """What a study folder holds, by one walk over it.

    Args:
        stamps: trial folder -> stamps of its `trial.json` and `result.json`, in order of the name;
            of trial folders with a `trial.json`.
        num_bytes: Bytes of all regular files.
    """

    stamps: dict[str, tuple[Stamp, Stamp]] = field(default_factory=dict)
    num_bytes: int = 0


def scan(folder: Path, whole: bool = False) -> Scan:
    """Walks over a study folder; what vanishes meanwhile is left out.

    Args:
        folder: The folder.
        whole: Whether to add up the bytes of everything in it, else of nothing.
    """
    found = Scan()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            is_trial = entry.name.startswith(TRIAL)
            if whole:
                found.num_bytes += _bytes(entry)
            if is_trial and (stamp := stamp_of(f"{entry.path}/{STATE}")) is not None:
                found.stamps[entry.name] = (stamp, stamp_of(f"{entry.path}/{RESULT}"))
    return found


def _bytes(entry: os.DirEntry[str]) -> int:
    try:
        if entry.is_dir(follow_symlinks=False):
            with os.scandir(entry.path) as inner:
                return sum(map(_bytes, inner))
        return entry.stat().st_size if entry.is_file(follow_symlinks=False) else 0
    except OSError:
        return 0


def read_compact(folder: Path, problems: list[str], found: Scan | None = None) -> list[Trial]:
    """Reads the results of a study's trials, without epoch histories.

    Args:
        folder: The study folder.
        problems: Names what can't be read; more is added.
        found: What the folder holds, if it was looked at already.
    """
    with _no_collections():
        return _read_compact(folder, problems, (found or scan(folder)).stamps)


def _read_compact(
    folder: Path, problems: list[str], stamps: dict[str, tuple[Stamp, Stamp]]
) -> list[Trial]:
    known = _read_index(folder) if len(stamps) >= _FEWEST else {}
    kept: dict[str, list[Any]] = {}
    for name, pair in stamps.items():
        entry = known.get(name)
        if entry is None or entry[0] != list(pair):
            trial = read_trial(folder / name, problems)
            if trial is None:
                continue
            entry = [list(pair), *compact(trial[1], trial[2])]
        kept[name] = entry
    fresh = sum(known.get(name) is entry for name, entry in kept.items())
    stale = len(kept) - fresh + len(known.keys() - stamps.keys())
    if len(stamps) >= _FEWEST and stale > _STALE_SHARE * len(kept):
        _write_index(folder, kept)
    return [(trial_id_of(name), entry[1], entry[2]) for name, entry in kept.items()]


@contextmanager
def _no_collections() -> Iterator[None]:
    """Collects no garbage: looking at what is being read takes as long as reading it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_trial(folder: Path, problems: list[str]) -> Trial | None:
    """Reads the files in a trial's folder; one that can't be read is named."""
    files, trial_id = TrialFolder(folder), trial_id_of(folder.name)
    try:
        state = read_json(files.state)
        result = read_json(files.result) if files.result.is_file() else {}
        if not isinstance(state, dict) or not isinstance(result, dict):
            raise UserError(f"{str(folder)!r} holds a file that is no record of a trial")
    except UserError as error:
        problems.append(f"trial {trial_id} is left out: {clean(str(error))}")
        return None
    return trial_id, state, result


def read_result(folder: Path) -> dict[str, Any]:
    """Reads the `result.json` of a trial's folder; it is empty where there is none to be read."""
    return read_dict(TrialFolder(folder).result)


def trial_id_of(name: str) -> str:
    """Returns the id of a trial by the name of its folder."""
    return clean(name.removeprefix(TRIAL), 40)


def compact(state: dict[str, Any], result: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a trial's files without what takes room in them and no frame of trials shows."""
    small = _without(state, "metrics")
    if "hyperparameters" in state:
        small["hyperparameters"] = _without(state["hyperparameters"], "space")
    brief = _without(result, "hyperparameters", "numerics")
    if isinstance(executions := result.get("executions"), list):
        brief["executions"] = [_rounded(_without(e, "history")) for e in executions]
    return small, brief


def _rounded(execution: Any) -> Any:
    """Returns an execution with its seconds by step in milliseconds' precision."""
    steps = as_dict(as_dict(execution).get("seconds"))
    if not steps:
        return execution
    shorter = {n: round(s, 3) if isinstance(s, float) else s for n, s in steps.items()}
    return execution | {"seconds": shorter}


def _without(record: object, *names: str) -> Any:
    if not isinstance(record, dict):
        return record
    return {name: value for name, value in record.items() if name not in names}


def _read_index(folder: Path) -> dict[str, list[Any]]:
    """Returns trial folder -> stamps, trial and result of what is in the index as it should be."""
    stored = read_dict(StudyFolder(folder).index)
    entries = as_dict(stored.get("trials")) if stored.get("format") == _FORMAT else {}
    return {name: entry for name, entry in entries.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[1], dict)
        and isinstance(entry[2], dict)
    )


def _write_index(folder: Path, entries: dict[str, list[Any]]) -> None:
    """Writes the entries whose files are not so young that they might change unnoticed."""
    newest = time.time_ns() - _YOUNG_NS
    old = {n: e for n, e in entries.items() if all(s[1] < newest for s in e[0] if s)}
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=folder, prefix=TEMPORARY, delete=False
        ) as file:
            temporary = file.name
            json.dump({"format": _FORMAT, "trials": old}, file, separators=(",", ":"))
        os.chmod(temporary, 0o644)
        os.replace(temporary, StudyFolder(folder).index)
    except OSError:  # a folder that can't be written is read without an index
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


_STATUS = {"COMPLETED": "completed", "FAILED": "failed", "INVALID": "failed"}


def status_of(trial: Trial) -> str:
    """Returns `completed`, `pruned`, `failed` or `running`."""
    _, state, result = trial
    status = result.get("status") or _STATUS.get(str(state.get("status")), "running")
    return clean(status, 20)


def read_trials(folders: Iterable[Path], problems: list[str]) -> list[Trial]:
    """Reads trials from their folders; `problems` names what can't be read."""
    found = (read_trial(folder, problems) for folder in folders)
    return [trial for trial in found if trial is not None]
