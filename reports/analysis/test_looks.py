"""How often a study's test split was used, in numbers and words."""

from collections.abc import Sequence
from typing import Any

from experiments.record.formatting import plural
from experiments.record.reading import dicts
from experiments.record.test_uses import Arms, arms_key, read_looks
from reports.study.study import Study

_BY = {"finalists": "for finalists", "compare": "for comparisons"}


def looks_before(study: Study, arms: Arms, digest: str) -> int:
    """Returns how often the same arms were compared before, with other trainings than now.

    Looks after the first one with `digest` don't count: showing a comparison again is not another
    look.
    """
    same = [look["digest"] for look in read_looks(study.folder) if look["arms"] == arms_key(arms)]
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
    """Counts tested trainings without an entry: they are older than the record of uses."""
    counted = {(t["trial_id"], t["seed"]) for use in study.test_uses for t in use["trainings"]}
    tested = {
        (record["trial_id"], str(run.get("seed")))
        for record in [*study.finalists, *study.confirmed]
        for run in [*record["runs"], *dicts(record.get("ranking"))]
        if "test" in run
    }
    return len(tested - {(trial_id, str(seed)) for trial_id, seed in counted})
