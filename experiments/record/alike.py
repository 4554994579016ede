"""Which trainings may be pooled: those that were trained under the same conditions.

The conditions of a training are recorded with each one made for a comparison (`how` of a run, see
`studies.trained_how`). Finalists have `max_epochs` and `patience` in their record. Older trainings
for comparisons have their history alone. A fact that one of two trainings does not record does not
count as a difference.
"""

from collections.abc import Mapping
from typing import Any

from experiments.record.reading import as_dict

Facts = Mapping[str, Any]
Run = dict[str, Any]
LENGTHS = ("max_epochs", "patience")  # what decides the length of a training


def facts_of(record: Facts, run: Facts) -> dict[str, Any]:
    """Returns what is recorded of how a run was trained, in it or in the record that lists it."""
    own = {name: record[name] for name in LENGTHS if name in record}
    return own | as_dict(run.get("how"))


def differing(one: Facts, other: Facts) -> list[str]:
    """Returns the names of recorded facts that differ between the two."""
    return [name for name in one if name in other and one[name] != other[name]]


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
