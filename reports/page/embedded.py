"""The study's data inside its page, as CSV and JSON."""

import base64
import json
import math
from typing import Any

import pandas as pd

from experiments.record.reading import native
from reports.study.study import Study

_MOST_BYTES = 2_500_000  # of a table; larger ones lie beside the page
_LARGEST_WHOLE = 2**53  # larger floats have no next whole number

_NO_CELLS = ["step_seconds", "kept_parts"]  # columns of `Study.trials` that hold no single value


def csv_of(frame: pd.DataFrame) -> str:
    """Returns a frame as CSV, its columns of single values; whole numbers have no decimals."""
    return frame.drop(columns=_NO_CELLS, errors="ignore").apply(_whole).to_csv(index=False)


def _whole(column: pd.Series) -> pd.Series:
    """Returns a column whose gaps alone made it one of floats as whole numbers."""
    if column.dtype.kind != "f" or column.isna().all():
        return column
    is_whole = (column % 1 == 0) & (column.abs() < _LARGEST_WHOLE)
    return column.astype("Int64") if (is_whole | column.isna()).all() else column


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
