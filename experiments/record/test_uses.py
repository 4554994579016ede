"""Records each use of a study's test split: opened on trainings, or looked at in a comparison.

A test split that was used often is worth less: choosing by it biases its scores. The report shows
how often it was used, and comparisons count earlier looks at the same arms.

- `artifacts/test_uses.json`: a list, one entry each time that the split was opened on trainings
  that it had not been opened on: `time` (seconds since 1970), `by` (`finalists` or `compare`),
  `fingerprint` of the splits, `images`, `max_epochs`, `patience`, of comparisons `key`
  (`trained_how.key_of`), and `trainings`, each with its `trial_id` and `seed`.
- `artifacts/looks.json`: a list, one entry for each distinct look of a comparison: `time`, `arms`
  (sorted pairs of study and trial), `trainings` (arm -> how many), `images`, and `digest` of the
  trainings that were compared.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from experiments.record.alike import LENGTHS, differing
from experiments.record.errors import UserError
from experiments.record.files import check_own, write_json
from experiments.record.layout import StudyFolder, set_aside
from experiments.record.reading import as_dict, as_number, clean, dicts, read_json


class Tested(Protocol):
    """A dataset with a test split."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def counts(self) -> Mapping[str, int]: ...


Arms = Iterable[Sequence[str]]  # pairs of study and trial
_MOST_ENTRIES = 10_000


def read_uses(folder: Path) -> list[dict[str, Any]]:
    """Reads when the test split was opened on new trainings, earliest first.

    Returns:
        Entries as the module describes them; what is damaged is left out.
    """
    uses = []
    for entry in _entries(StudyFolder(folder).test_uses):
        trainings = [
            {"trial_id": clean(str(t.get("trial_id")), 40), "seed": t["seed"]}
            for t in dicts(entry.get("trainings"))
            if _is_whole(t.get("seed"))
        ]
        texts = {name: clean(str(entry.get(name)), 64) for name in ("by", "fingerprint")}
        if trainings:
            uses.append(
                entry | texts | {"trainings": trainings, "time": as_number(entry.get("time"))}
            )
    return uses


def read_looks(folder: Path) -> list[dict[str, Any]]:
    """Reads which comparisons were made of tested trainings, earliest first.

    Returns:
        Entries as the module describes them; what is damaged is left out.
    """
    looks = []
    for entry in _entries(StudyFolder(folder).looks):
        arms, digest = entry.get("arms"), entry.get("digest")
        pairs = [arm for arm in arms if _is_pair(arm)] if isinstance(arms, list) else []
        if pairs and isinstance(digest, str):
            facts: dict[str, Any] = {"arms": arms_key(pairs), "digest": clean(digest, 64)}
            facts |= {
                "time": as_number(entry.get("time")),
                "images": as_number(entry.get("images")),
            }
            looks.append(facts | {"trainings": as_dict(entry.get("trainings"))})
    return looks


def _entries(path: Path) -> list[dict[str, Any]]:
    return dicts(_list(path))[:_MOST_ENTRIES] if path.is_file() else []


def damaged_lists(folder: Path) -> list[str]:
    """Says of each of the two files that it can't be read; what it held is not counted."""
    study = StudyFolder(folder)
    found = [path for path in (study.test_uses, study.looks) if path.is_file()]
    return [
        f"{path.name} can't be read: earlier {what} of the test split are not counted"
        for path, what in zip((study.test_uses, study.looks), ("uses", "looks"), strict=True)
        if path in found and _list(path) is None
    ]


def _list(path: Path) -> list[Any] | None:
    """Returns the list of a file, `None` if it holds none."""
    try:
        stored = read_json(path)
    except UserError:
        return None
    return stored if isinstance(stored, list) else None


def _add(path: Path, entry: dict[str, Any]) -> None:
    """Adds an entry to a list; damaged entries stay, a file without a list is set aside."""
    before = _list(path) if path.is_file() else []
    if before is None:
        path.replace(set_aside(path))
    write_json(path, [*(before or []), entry])


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pair(arm: object) -> bool:
    return isinstance(arm, list) and len(arm) == 2 and all(isinstance(part, str) for part in arm)


def arms_key(arms: Arms) -> list[list[str]]:
    """Names what is compared, in whatever order: pairs of study and trial, sorted."""
    return sorted([clean(study, 120), clean(trial, 40)] for study, trial in arms)


def look_digest(runs: Mapping[str, Iterable[Mapping[str, Any]]]) -> str:
    """Names the trainings that a comparison looks at: the same digest, the same look.

    Args:
        runs: arm -> its tested trainings, as records with `seed` and `test`.
    """
    seen = {
        arm: sorted(
            [str(run.get("seed")), repr(as_dict(run.get("test")).get("accuracy"))] for run in of
        )
        for arm, of in runs.items()
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


_KEY, _SOURCE = "key", "source"


def note_test_use(
    folder: Path,
    by: str,
    data: Tested,
    how: Mapping[str, Any],
    trainings: Iterable[tuple[str, int]],
    when: float | None = None,
) -> None:
    """Records that the test split is about to be opened on trainings.

    It is called before the test, so that an interruption hides nothing. A recorded training whose
    test was interrupted and is repeated is not another use.

    Args:
        folder: The study folder.
        by: What opens it: `finalists` or `compare`.
        data: The dataset whose test split it is.
        how: `max_epochs` and `patience` of the trainings, `key` of all that decides them and
            `source` of changed code, where they are known: the same seed of another network is
            another use.
        trainings: Trial and seed of each.
        when: Seconds since 1970; now if `None`.
    """
    uses, path = read_uses(folder), StudyFolder(folder).test_uses
    facts = {name: how[name] for name in LENGTHS}
    facts |= {name: how[name] for name in (_KEY, _SOURCE) if how.get(name) is not None}
    noted = {
        (run["trial_id"], run["seed"])
        for use in uses
        if not differing(facts, dict.fromkeys(LENGTHS) | use)
        and use.get(_SOURCE) == facts.get(_SOURCE)
        for run in use["trainings"]
    }
    new = [{"trial_id": t, "seed": s} for t, s in trainings if (t, s) not in noted]
    if not new:
        return
    entry = {"time": time.time() if when is None else when, "by": by}
    entry["fingerprint"] = data.fingerprint
    entry |= {"images": data.counts.get("test", 0), **facts, "trainings": new}
    _add(path, entry)


def note_look(folder: Path, arms: Arms, facts: Mapping[str, Any]) -> bool:
    """Records that a comparison looked at tested trainings; the same ones again are no other look.

    Args:
        folder: The study folder.
        arms: Study and trial of each arm.
        facts: `trainings` (arm -> how many), `images`, and `digest` (see
            `experiments.record.test_uses.look_digest`).

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
        _add(StudyFolder(folder).looks, entry)
    except (OSError, UserError):
        return False
    return True
