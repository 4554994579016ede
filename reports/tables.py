"""Tables of the report, as frames of readable text."""

import math
from typing import Any

import pandas as pd

from reports.figures._style import text, words
from reports.load import Study

NUM_BEST = 10


def best_trials(study: Study) -> pd.DataFrame:
    """The best trials with their score, cost and varied hyperparameters."""
    return _readable(study, study.completed.head(NUM_BEST))


def all_trials(study: Study) -> pd.DataFrame:
    """Every trial in order of start."""
    return _readable(study, study.trials, with_status=True)


def _readable(study: Study, trials: pd.DataFrame, with_status: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame(index=trials.index)
    frame["trial"] = trials["trial_id"]
    if with_status:
        frame["status"] = trials["status"]
    frame[words(study.objective)] = [number(v, 4) for v in trials["score"]]
    if any(len(scores) > 1 for scores in trials["scores"]):
        frame["each execution"] = [" ".join(number(s, 4) for s in t) for t in trials["scores"]]
    frame["epochs"] = [number(v) for v in trials["epochs"]]
    frame["seconds"] = [number(v, 1) for v in trials["seconds"]]
    frame["trainable parameters"] = [number(v) for v in trials["trainable_parameters"]]
    for name in study.hyperparameters:
        if name in trials and (trials[name].notna().any()):
            frame[words(name)] = [text(v) for v in trials[name]]
    return frame


def failed_trials(study: Study) -> pd.DataFrame:
    """Trials that failed, with cause."""
    failed = study.failed
    return pd.DataFrame(
        {
            "trial": failed["trial_id"],
            "cause": [str(c or "unknown").replace("_", " ") for c in failed["cause"]],
            "what happened": [str(m or "").strip().splitlines()[-1:] for m in failed["message"]],
        }
    ).assign(**{"what happened": lambda f: [m[0] if m else "" for m in f["what happened"]]})


def finalists(study: Study) -> pd.DataFrame:
    """Every training of every finalist."""
    rows = [
        {
            "trial": finalist["trial_id"],
            "seed": run["seed"],
            words(study.objective): number(run["score"], 4),
            "test accuracy": number(run["test"]["accuracy"], 4),
            "test loss": number(run["test"]["loss"], 4),
            "exported": "yes" if index == finalist.get("exported_run") else "",
        }
        for finalist in study.finalists
        for index, run in enumerate(finalist["runs"])
    ]
    return pd.DataFrame(rows)


def layers(study: Study) -> pd.DataFrame:
    """Layers of the exported model."""
    return pd.DataFrame(
        [
            {
                "layer": row["name"],
                "kind": row["kind"],
                "output shape": " x ".join(str(n) for n in row["output_shape"][1:]) or "-",
                "trainable": number(row["trainable_parameters"]),
                "frozen": number(row["frozen_parameters"]),
                "_depth": row["depth"],
            }
            for row in (study.model or {"layers": []})["layers"]
        ]
    )


def number(value: Any, digits: int = 0) -> str:
    """Formats a number; empty where it is missing."""
    if value is None or not math.isfinite(float(value)):
        return ""
    return f"{float(value):,.{digits}f}"
