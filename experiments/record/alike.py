"""Which trainings may be pooled: those that were trained under the same conditions.

The conditions of a training are recorded with each one made for a comparison (`how` of a run, see
`studies.trained_how`). Finalists have `max_epochs` and `patience` in their record. Older trainings
for comparisons have their history alone. A fact that one of two trainings does not record does not
count as a difference.
"""

from collections.abc import Mapping
from typing import Any

from experiments.record.reading import as_dict, as_number, dicts

Facts = Mapping[str, Any]
Run = dict[str, Any]
SPACE_SOURCE, SPACE_FILES = "space_source", "space_files"  # fingerprints: modules and files
LENGTHS = ("max_epochs", "patience")  # what decides the length of a training


def facts_of(record: Facts, run: Facts) -> dict[str, Any]:
    """Returns what is recorded of how a run was trained, in it or in the record that lists it."""
    own = {name: record[name] for name in LENGTHS if name in record}
    return own | as_dict(run.get("how"))


def differing(one: Facts, other: Facts) -> list[str]:
    """Returns the names of recorded facts that differ between the two."""
    return [name for name in one if name in other and not _is_same(name, one[name], other[name])]


def _is_same(name: str, one: Any, other: Any) -> bool:
    """Whether a fact is the same; where the file of a user's model lies does not count."""
    if name == "space":
        return str(one).rpartition(".py")[2] == str(other).rpartition(".py")[2]
    if name == SPACE_SOURCE:
        return not changed(as_dict(one), as_dict(other))
    if name == "settings":
        then, now = as_dict(one), as_dict(other)
        return then.keys() == now.keys() and all(_is_same_setting(then[n], now[n]) for n in then)
    return bool(one == other)


def _is_same_setting(one: object, other: object) -> bool:
    """Whether a setting is the same; some were recorded as given: text, relative paths."""
    texts = [",".join(map(str, v)) if isinstance(v, list) else str(v) for v in (one, other)]
    try:
        return float(texts[0]) == float(texts[1])
    except ValueError:
        parts = [text.split(",") for text in texts]
    return len(parts[0]) == len(parts[1]) and all(map(_is_same_part, *parts))


def _is_same_part(one: str, other: str) -> bool:
    """Whether two of `VALUE` or `NAME=VALUE` are the same; one may be the other's relative path."""
    (name, _, short), (other_name, _, long) = (
        part.strip().rpartition("=") for part in sorted((one, other), key=len)
    )
    return name == other_name and (short == long or long.endswith(f"/{short}"))


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names the modules that differ; none where the source of then was not recorded.

    A module that has another name now, and the same text, does not differ.

    Args:
        then: Fingerprints of a space's modules by name, see `hyperparameters.source`.
        now: Those of now.
    """
    if not then:
        return []
    gone = {name: text for name, text in then.items() if name not in now}
    new = {name: text for name, text in now.items() if name not in then}
    other = [name for name in then if name in now and then[name] != now[name]]
    other += [name for name, text in gone.items() if text not in new.values()]
    other += [name for name, text in new.items() if text not in gone.values()]
    return sorted(other)


def source_of(
    study: Mapping[str, Any], trial: int | None = None, of: str = SPACE_SOURCE
) -> dict[str, str]:
    """Returns the recorded source at a trial; empty where it was not recorded.

    Args:
        study: The content of `study.json`.
        trial: Number of the trial; the last session's if `None`.
        of: `SPACE_SOURCE`, or `SPACE_FILES` for the files that settings name.
    """
    found = as_dict(study.get(of))
    for session in dicts(study.get("sessions")):
        if trial is None or as_number(session.get("first_trial")) <= trial:
            found = as_dict(session.get(of)) or found
    return found


def why_unlike(facts: Facts, run: Facts, wanted: Facts) -> list[str]:
    """Returns the names of facts in which a run differs from one trained as `wanted`.

    Args:
        facts: What `facts_of` says of the run.
        run: The run. Where its epochs are not among the facts, its history has to be as long as
            `max_epochs`, or longer than `patience`, by which it may have ended earlier.
        wanted: The facts that it should have.
    """
    found = differing(facts, wanted)
    if "max_epochs" not in facts and not _may_be_whole(run, wanted):
        found.append("max_epochs")
    return found


def _may_be_whole(run: Facts, wanted: Facts) -> bool:
    num_epochs, limit = num_epochs_of(run), wanted.get("max_epochs")
    if not num_epochs or not isinstance(limit, int) or num_epochs == limit:
        return True
    patience = wanted.get("patience")
    return isinstance(patience, int) and patience < num_epochs < limit


def num_epochs_of(run: Facts) -> int:
    """Returns the epochs in a run's history; 0 where there is none."""
    curves = as_dict(run.get("history")).values()
    return max((len(curve) for curve in curves if isinstance(curve, list)), default=0)
