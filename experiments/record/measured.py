"""Costs of networks that were measured outside trials: `artifacts/latency.json`."""

import math
from collections.abc import Mapping
from typing import Any

from experiments.record.files import write_json
from experiments.record.layout import StudyFolder
from experiments.record.reading import as_dict, as_number, read_dict
from experiments.record.study import environment

_MACHINE = ("platform", "cores", "memory_gb")
_MEMORY_TAKEN = 0.03  # share of the memory that one kernel or another keeps for itself


def keep_measured(
    study: StudyFolder, trials: Mapping[str, Mapping[str, float]], cpu: str
) -> dict[str, Any]:
    """Adds costs to those that are known; of those of another machine only FLOPs are kept.

    Args:
        study: The study.
        trials: trial id -> costs.
        cpu: Name of this machine's processor.

    Returns:
        The content of the file: `machine`, and `trials` by id.
    """
    machine = {name: value for name, value in environment().items() if name in _MACHINE}
    machine["cpu"] = cpu
    before = read_dict(study.latency)
    known = as_dict(before.get("trials"))
    if not _is_same(as_dict(before.get("machine")), machine):
        counted = {trial_id: as_dict(costs).get("flops") for trial_id, costs in known.items()}
        known = {trial_id: {"flops": flops} for trial_id, flops in counted.items() if flops}
    content = {"machine": machine, "trials": known | dict(trials)}
    write_json(study.latency, content)
    return content


def _is_same(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two machines are one, whatever release its kernel is."""
    systems = {str(facts.get("platform")).partition("-")[0] for facts in (then, now)}
    return (
        len(systems) == 1
        and then.get("cores") == now["cores"]
        and then.get("cpu", now["cpu"]) == now["cpu"]  # earlier versions did not record it
        and math.isclose(
            as_number(then.get("memory_gb")), now["memory_gb"], rel_tol=_MEMORY_TAKEN, abs_tol=0.1
        )
    )


def timed_trials(measured: Mapping[str, Any]) -> set[str]:
    """Returns the trials whose latency was measured, of costs by trial id."""
    return {
        trial_id
        for trial_id, costs in measured.items()
        if not math.isnan(as_number(as_dict(costs).get("latency_ms")))
    }
