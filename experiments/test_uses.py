"""Writes down each time that a study's test split is used: opened on trainings, or looked at.

A test split that was used often is worth less: what is chosen by it flatters itself. The report
says how often it was, and comparisons count how often the same arms were looked at before.

- `artifacts/test_uses.json`: a list, one entry each time that the split was opened on trainings
  that it had not been opened on: `time` (seconds since 1970), `by` (`finalists` or `compare`),
  `fingerprint` of the splits, `images`, `max_epochs`, `patience`, of comparisons `key`
  (`trained_how.key_of`), and `trainings`, each with its `trial_id` and `seed`.
- `artifacts/looks.json`: a list, one entry for each distinct look of a comparison: `time`, `arms`
  (sorted pairs of study and trial), `trainings` (arm -> how many), `images`, and `digest` of the
  trainings that were compared.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.data import PreparedData
from experiments.errors import UserError
from experiments.files import check_own, write_json
from reports.alike import differing
from reports.test_uses import Arms, arms_key, read_looks, read_uses

_HOW = ("max_epochs", "patience")
_KEY = "key"


def note_test_use(
    folder: Path,
    by: str,
    data: PreparedData,
    how: Mapping[str, Any],
    trainings: Iterable[tuple[str, int]],
    when: float | None = None,
) -> None:
    """Notes that the test split is about to be opened on trainings.

    It is called before, so that an interruption hides nothing. What was noted before, and is tested
    once more since it was interrupted, is not another use.

    Args:
        folder: The study folder.
        by: What opens it: `finalists` or `compare`.
        data: The prepared dataset.
        how: `max_epochs` and `patience` of the trainings, and `key` of all that decides them, where
            it is known: the same seed of another network is another use.
        trainings: Trial and seed of each.
        when: Seconds since 1970; now if `None`.
    """
    uses = read_uses(folder)
    facts = {name: how[name] for name in _HOW}
    facts |= {_KEY: how[_KEY]} if _KEY in how else {}
    noted = {
        (run["trial_id"], run["seed"])
        for use in uses
        if not differing(facts, dict.fromkeys(_HOW) | use)
        for run in use["trainings"]
    }
    new = [{"trial_id": t, "seed": s} for t, s in trainings if (t, s) not in noted]
    if not new:
        return
    entry = {"time": time.time() if when is None else when, "by": by}
    entry["fingerprint"] = data.fingerprint
    entry |= {"images": data.counts.get("test", 0), **facts, "trainings": new}
    write_json(folder / "artifacts" / "test_uses.json", [*uses, entry])


def note_look(folder: Path, arms: Arms, facts: Mapping[str, Any]) -> bool:
    """Notes that a comparison looked at tested trainings; the same ones again are no other look.

    Args:
        folder: The study folder.
        arms: Study and trial of each arm.
        facts: `trainings` (arm -> how many), `images`, and `digest` (see
            `reports.test_uses.look_digest`).

    Returns:
        Whether it is in the record now; it is not where the folder can't be written.
    """
    key, looks = arms_key(arms), read_looks(folder)
    if any(look["arms"] == key and look["digest"] == facts["digest"] for look in looks):
        return True
    entry = {"time": time.time(), "arms": key}
    entry |= {name: facts[name] for name in ("trainings", "images", "digest")}
    try:
        check_own(folder)
        write_json(folder / "artifacts" / "looks.json", [*looks, entry])
    except (OSError, UserError):
        return False
    return True
