"""A study as JSON: every value of its tables, none rounded or left out."""

import json
import math
from typing import Any

import pandas as pd

from experiments.record.formatting import is_missing
from experiments.record.reading import declared, native
from reports.study.study import Study


def json_of(study: Study) -> str:
    """Returns a study's trials, epochs and hyperparameters as JSON; a missing value is null."""
    objectives = [{"name": o.name, "direction": o.direction} for o in study.objectives]
    content = {
        "study": study.name,
        "objective": {"name": study.objective, "direction": study.direction},
        **({"objectives": objectives} if len(objectives) > 1 else {}),
        "trials": _table(study.trials, study.hyperparameters),
        "epochs": _table(study.epochs, {}),
        "hyperparameters": list(study.hyperparameters.values()),
    }
    return json.dumps(content, indent=1, default=str) + "\n"


def _table(frame: pd.DataFrame, hyperparameters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    known = [hyperparameters.get(name) for name in frame.columns]
    rows = [
        [_value(value, hp) for value, hp in zip(row, known, strict=True)]
        for row in frame.itertuples(index=False, name=None)
    ]
    return {"columns": list(frame.columns), "rows": rows}


def _value(value: object, hyperparameter: dict[str, Any] | None = None) -> Any:
    if isinstance(value, dict):
        return {name: _value(of) for name, of in value.items()}
    if isinstance(value, tuple | list):
        return [_value(of) for of in value]
    if is_missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return native(value) if hyperparameter is None else declared(hyperparameter, value)
