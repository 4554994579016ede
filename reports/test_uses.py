"""How often a study's test split was used, as its folder records it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.errors import UserError
from reports.reading import as_dict, clean, dicts, number, read_json
from reports.study import Study
from reports.words import plural

Arms = Iterable[Sequence[str]]  # pairs of study and trial
_MOST_ENTRIES = 10_000
_BY = {"finalists": "for finalists", "compare": "for comparisons"}


def read_uses(folder: Path) -> list[dict[str, Any]]:
    """Reads when the test split was opened on new trainings, earliest first.

    Returns:
        Entries as `experiments/test_uses.py` describes them; what is damaged is left out.
    """
    uses = []
    for entry in _entries(folder / "artifacts" / "test_uses.json"):
        trainings = [
            {"trial_id": clean(str(t.get("trial_id")), 40), "seed": t["seed"]}
            for t in dicts(entry.get("trainings"))
            if _is_whole(t.get("seed"))
        ]
        texts = {name: clean(str(entry.get(name)), 64) for name in ("by", "fingerprint")}
        if trainings:
            uses.append(entry | texts | {"trainings": trainings, "time": number(entry.get("time"))})
    return uses


def read_looks(folder: Path) -> list[dict[str, Any]]:
    """Reads which comparisons were made of tested trainings, earliest first.

    Returns:
        Entries as `experiments/test_uses.py` describes them; what is damaged is left out.
    """
    looks = []
    for entry in _entries(folder / "artifacts" / "looks.json"):
        arms, digest = entry.get("arms"), entry.get("digest")
        pairs = [arm for arm in arms if _is_pair(arm)] if isinstance(arms, list) else []
        if pairs and isinstance(digest, str):
            facts: dict[str, Any] = {"arms": arms_key(pairs), "digest": clean(digest, 64)}
            facts |= {"time": number(entry.get("time")), "images": number(entry.get("images"))}
            looks.append(facts | {"trainings": as_dict(entry.get("trainings"))})
    return looks


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        return dicts(read_json(path))[:_MOST_ENTRIES] if path.is_file() else []
    except UserError:
        return []


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pair(arm: Any) -> bool:
    return isinstance(arm, list) and len(arm) == 2 and all(isinstance(part, str) for part in arm)


def looks(study: Study) -> list[dict[str, Any]]:
    """Returns the comparisons that looked at a study's tested trainings, earliest first."""
    return read_looks(study.folder)


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


def looks_before(study: Study, arms: Arms, digest: str) -> int:
    """Returns how often the same arms were looked at before with other trainings than now.

    Looks that came after the first one with `digest` don't count: to show a comparison once more
    is no further look.
    """
    same = [look["digest"] for look in looks(study) if look["arms"] == arms_key(arms)]
    before = same[: same.index(digest)] if digest in same else same
    return len(set(before))


def opened_words(study: Study) -> str:
    """Says how often the test split was opened, and by what; empty if it never was."""
    uses, uncounted = study.test_uses, _num_uncounted(study)
    if not uses:
        return (
            f"opened on {plural(uncounted, 'training')}; how often was not recorded"
            if uncounted
            else ""
        )
    said = f"opened {_times(len(uses))}: {', '.join(_by(uses))}"
    if uncounted:
        said += f"; and on {plural(uncounted, 'training')} before that was recorded"
    return said


def _by(uses: Sequence[dict[str, Any]]) -> list[str]:
    said = []
    for by in dict.fromkeys(use["by"] for use in uses):
        of = [use for use in uses if use["by"] == by]
        count = sum(len(use["trainings"]) for use in of)
        times = f"{_times(len(of))} " if len(of) < len(uses) else ""
        said.append(f"{times}{_BY.get(by, f'by {by}')} ({plural(count, 'training')})")
    return said


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _num_uncounted(study: Study) -> int:
    """Counts tested trainings that no entry tells of: they are older than the record of uses."""
    counted = {(t["trial_id"], t["seed"]) for use in study.test_uses for t in use["trainings"]}
    tested = {
        (record["trial_id"], str(run.get("seed")))
        for record in [*study.finalists, *study.confirmed]
        for run in [*record["runs"], *dicts(record.get("ranking"))]
        if "test" in run
    }
    return len(tested - {(trial_id, str(seed)) for trial_id, seed in counted})
