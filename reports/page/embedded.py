"""The study's data inside its page, as CSV and JSON."""

import base64
import json
import math
from typing import Any

import pandas as pd

from experiments.record.reading import native
from reports.study.study import Study

_MOST_BYTES = 2_500_000  # of a table; larger ones lie beside the page

# Columns of counts, which gaps alone make floats.
_COUNTS = (
    *("epochs", "attempts", "trainable_parameters", "frozen_parameters", "flops"),
    *("initial_epoch", "planned_epochs", "total_epochs"),
)
_NO_CELLS = ["step_seconds", "kept_parts"]  # columns of `Study.trials` that hold no single value


def csv_of(frame: pd.DataFrame) -> str:
    """Returns a frame as CSV, its columns of single values."""
    return frame.drop(columns=_NO_CELLS, errors="ignore").to_csv(index=False)


def trials_csv(study: Study) -> str:
    """Returns all trials as CSV; counts and whole hyperparameters have no decimals."""
    whole = [*_COUNTS, *(column for column, hp in study.hyperparameters.items() if _is_whole(hp))]
    return csv_of(study.trials.assign(**{name: _as_whole(study.trials[name]) for name in whole}))


def _as_whole(column: pd.Series) -> pd.Series:
    try:
        return column.astype("Int64")
    except (TypeError, ValueError):  # a damaged record has other values
        return column


def _is_whole(hyperparameter: dict[str, Any]) -> bool:
    choices = hyperparameter.get("values") or [None]
    return hyperparameter.get("kind") == "Int" or all(type(value) is int for value in choices)


def csv_link(csv: str) -> str | None:
    """Returns a link that holds the CSV itself; `None` where it would be too large."""
    content = csv.encode("utf-8")
    if len(content) > _MOST_BYTES:
        return None
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode()}"


def trials_json(study: Study) -> str:
    """Returns all trials as JSON that is safe in a script element."""
    left_out = {"traceback", "scores", *_NO_CELLS}
    columns = [name for name in study.trials.columns if name not in left_out]
    objectives = [{"name": o.name, "direction": o.direction} for o in study.objectives]
    payload = {
        "study": study.name,
        "objective": {"name": study.objective, "direction": study.direction},
        **({"objectives": objectives} if len(objectives) > 1 else {}),
        "trials": {
            "columns": columns,
            "rows": [
                [_plain(value) for value in row]
                for row in study.trials[columns].itertuples(index=False, name=None)
            ],
        },
    }
    return in_script(payload)


def in_script(data: object) -> str:
    """Returns JSON that ends no script element and is no markup."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: object) -> Any:
    value = native(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        if value.is_integer() and abs(value) < 1e15:
            return int(value)
        return float(f"{value:.10g}") if abs(value) < 1 else round(value, 6)
    return value
