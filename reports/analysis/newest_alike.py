"""Which trainings of a trial a study pools: the newest that were trained alike."""

from collections.abc import Sequence
from typing import Any

from experiments.record.alike import LENGTHS, Run, why_unlike
from experiments.record.reading import as_dict, dig
from reports.study.study import Study


def newest_alike(study: Study, runs: Sequence[tuple[dict[str, Any], Run]]) -> list[Run]:
    """Returns the newest of a trial's runs that were trained alike.

    Runs that were trained as the study now says take precedence: its epochs may have been raised
    since. Among these, the others have to agree with the last run that has all its facts.

    Args:
        study: The study.
        runs: Each with its facts, in the order of the record.
    """
    now = _now(study)
    current = [(f, run) for f, run in runs if not why_unlike(f, run, now)] or list(runs)
    whole = [facts for facts, run in current if as_dict(run.get("how"))]
    wanted = whole[-1] if whole else {}
    return [run for facts, run in current if not why_unlike(facts, run, wanted)]


def _now(study: Study) -> dict[str, Any]:
    config = as_dict(study.record.get("config"))
    found = {name: config[name] for name in LENGTHS if name in config}
    fingerprint = dig(study.record, "dataset", "fingerprint")
    return found | ({"fingerprint": fingerprint} if isinstance(fingerprint, str) else {})
