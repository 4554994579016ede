"""Checks a recorded study as a whole before a search resumes it."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.reading import clean

_MOST = 1_000_000_000  # epochs, trials


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Checks the parts of `study.json` that a session is made of; what is missing is older.

    The configuration is looked at by `SearchConfig`.

    Raises:
        UserError: One of them is of another kind than any version has written.
    """
    for name, expected in _wrong(record):
        raise UserError(
            f"{str(path)!r} is damaged: {name} should be {expected}; restore it from a copy, or "
            "start a new study and give it this one's trials with --from"
        )


def _wrong(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the place of what is wrong and what was expected, with what was got."""
    for name in ("config", "objective", "dataset"):
        yield from _unless(isinstance(record[name], dict), name, "an object", record[name])
    for name in ("space", "sessions", "earlier"):
        found = record.get(name, [])
        is_list = isinstance(found, list) and all(isinstance(item, dict) for item in found)
        yield from _unless(is_list, name, "a list of objects", found)
    for hp in record["space"]:
        named = isinstance(hp.get("name"), str) and isinstance(hp.get("kind"), str)
        kept = named and isinstance(hp.get("conditions"), list)
        yield from _unless(kept, "space", "hyperparameters with name, kind and conditions", hp)
    for session in record.get("sessions", []):
        yield from _wrong_session(session)
    for trial in record.get("earlier", []):
        yield from _wrong_earlier(trial)


def _unless(holds: bool, name: str, expected: str, found: object) -> Iterator[tuple[str, str]]:
    if not holds:
        yield name, f"{expected}, got {clean(found, 80)}"


def _wrong_session(session: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, least in (("max_epochs", 1), ("factor", 2), ("first_trial", 0)):
        found = session.get(name, least)  # an older one may lack it
        whole = isinstance(found, int) and not isinstance(found, bool) and least <= found <= _MOST
        yield from _unless(whole, f"{name} of a session", f"a whole number from {least}", found)
    for point in session.get("points", []) if isinstance(session.get("points", []), list) else [0]:
        yield from _unless(isinstance(point, dict), "points of a session", "objects", point)


def _wrong_earlier(trial: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    curve, further = trial.get("curve", []), trial.get("further", [])
    pairs = curve if isinstance(curve, list) else [0]
    is_one = (
        isinstance(trial.get("values"), dict)
        and _is_number(trial.get("score"))
        and isinstance(further, list)
        and all(map(_is_number, further))
        and all(isinstance(p, list) and len(p) == 2 and all(map(_is_number, p)) for p in pairs)
    )
    yield from _unless(is_one, "earlier", "trials with values and numbers for scores", trial)


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False
