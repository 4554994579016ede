"""Costs of networks that were measured outside trials: `artifacts/latency.json`."""

from collections.abc import Mapping
from typing import Any

from experiments.record.files import write_json
from experiments.record.layout import StudyFolder
from experiments.record.reading import as_dict, read_dict
from experiments.record.study import environment

_MACHINE = ("platform", "cores", "memory_gb")


def keep_measured(study: StudyFolder, trials: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Adds costs to those of this machine; those of another machine are dropped.

    Args:
        study: The study.
        trials: trial id -> costs.

    Returns:
        The content of the file: `machine`, and `trials` by id.
    """
    machine = {name: value for name, value in environment().items() if name in _MACHINE}
    before = read_dict(study.latency)
    same = before.get("machine") == machine
    known = as_dict(before.get("trials")) if same else {}
    content = {"machine": machine, "trials": known | dict(trials)}
    write_json(study.latency, content)
    return content
