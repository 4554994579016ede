"""Tables of the report, as frames of readable text."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from experiments.record.formatting import format_number as shown
from experiments.record.formatting import is_missing, score, text, words
from experiments.record.objective import shown_value
from experiments.record.predictions import largest_errors
from experiments.record.reading import as_dict, as_number, clean, dicts
from experiments.record.schema import APART
from reports.analysis.costs import best_by_base, costs_of_bases, costs_table
from reports.analysis.label_scores import label_scores
from reports.analysis.metrics_table import metrics_of_best
from reports.analysis.numbers import Numbers, fits, numbers
from reports.analysis.study_front import study_front, value_of_trials
from reports.analysis.verdict import metric_on_test
from reports.study.study import Study

NUM_BEST = 10
NUM_WORST = 12


def best_trials(study: Study) -> pd.DataFrame:
    """The best trials with their score, cost and varied hyperparameters."""
    return readable(study, study.ranked.head(NUM_BEST))


def front(study: Study) -> pd.DataFrame:
    """The trials of the front of several objectives, best first by the first; else empty."""
    found = study_front(study)
    if found is None:
        return pd.DataFrame()
    table = readable(study, found.trials.iloc[found.front.members], added=("role", "given away"))
    losses = [f"{100 * distance:.0f} %" for distance in found.front.distance]
    table.insert(len(study.objectives) + 1, "given away", losses)
    roles = ["knee" if p == found.front.knee else "" for p in found.front.members]
    table.insert(1, "role", roles)
    return table


def bases(study: Study) -> pd.DataFrame:
    """The best trial of each of several bases with its costs, best first; else empty."""
    found = costs_of_bases(study)
    if found is None:
        return pd.DataFrame()
    table = costs_table(found, "base")
    table.insert(1, "trial", list(best_by_base(study)["trial_id"]))
    return table


def all_trials(study: Study) -> pd.DataFrame:
    """Every trial in order of start."""
    return readable(study, study.trials, with_status=True)


def readable(
    study: Study, trials: pd.DataFrame, with_status: bool = False, added: Collection[str] = ()
) -> pd.DataFrame:
    """Trials as text, a column a field; no hyperparameter has the name of a column to be added."""
    columns: dict[str, Any] = {"trial": trials["trial_id"]}
    if with_status:
        columns["status"] = trials["status"]
    columns[words(study.objective)] = [score(v) for v in trials["score"]]
    for objective in study.objectives[1:]:
        values = value_of_trials(study, trials, objective.name)
        columns[words(objective.name)] = [
            "" if np.isnan(v) else shown_value(v, objective) for v in values
        ]
    several = any(len(scores) > 1 for scores in trials["scores"])
    if several:
        columns["each execution"] = [" ".join(map(score, t)) for t in trials["scores"]]
    for name, digits in (("epochs", 0), ("seconds", 1)):
        if _is_told(study, name):
            heading = f"{name} in all" if several else name
            columns[heading] = [shown(v, digits) for v in trials[name]]
    if "parameters" not in columns and _is_told(study, "trainable_parameters"):
        parameters = trials["trainable_parameters"] + trials["frozen_parameters"]
        columns["parameters"] = [shown(v) for v in parameters]
    for name in study.hyperparameters:
        if trials[name].notna().any():
            columns[_free(words(name), {*columns, *added})] = [text(v) for v in trials[name]]
    return pd.DataFrame(columns, index=trials.index)


def _is_told(study: Study, name: str) -> bool:
    """Whether a column is shown: plain Keras Tuner records neither times nor parameters."""
    return not study.is_plain or bool(study.trials[name].notna().any())


def _free(name: str, taken: Collection[str]) -> str:
    return name if name not in taken else _free(name + APART, taken)


def failures(study: Study) -> list[dict[str, str]]:
    """Trials that failed: `trial`, `cause`, `message` (its last line), `traceback`."""
    return [
        {
            "trial": str(row["trial_id"]),
            "cause": (_said(row["cause"]) or "unknown").replace("_", " "),
            "message": (_said(row["message"]).strip().splitlines() or [""])[-1],
            "traceback": _said(row["traceback"]) or _said(row["message"]),
        }
        for _, row in study.failed.iterrows()
    ]


def _said(value: object) -> str:
    return "" if is_missing(value) else str(value)


def finalists(study: Study) -> pd.DataFrame:
    """Every training of every finalist: untested ones that ranked it, and tested ones."""
    first = metric_on_test(study)
    runs = [run for finalist in study.finalists for run in finalist["runs"]]
    metrics = sorted({n for run in runs for n in run["test"]}, key=lambda n: (n != first, n))
    rows = []
    for finalist in study.finalists:
        rows += [_training(study, finalist, r, "ranking") for r in dicts(finalist.get("ranking"))]
        for index, run in enumerate(finalist["runs"]):
            tested = {f"test {words(name)}": score(run["test"].get(name)) for name in metrics}
            tested["exported"] = "yes" if index == finalist.get("exported_run") else ""
            rows.append(_training(study, finalist, run, "test") | tested)
    if not any(row["for"] == "ranking" for row in rows):
        rows = [{name: value for name, value in row.items() if name != "for"} for row in rows]
    return pd.DataFrame(rows).fillna("")


def worst_predictions(study: Study) -> pd.DataFrame:
    """Test rows with the largest errors of a regression, the largest first; else empty."""
    found = numbers(study)
    if isinstance(found, str):
        return pd.DataFrame()
    rows = []
    for place, column in largest_errors(found.targets, found.outputs, NUM_WORST):
        true, said = found.targets[place, column], found.outputs[place, column]
        rows.append(
            {
                found.noun: f"{place:,}",
                "target": found.names[column],
                "true": score(true),
                "predicted": score(said),
                "error": score(said - true, signed=True),
            }
        )
    table = pd.DataFrame(rows)
    return table if len(found.names) > 1 else table.drop(columns="target")


def target_fits(study: Study) -> pd.DataFrame:
    """How well each of several targets of a regression is predicted; else empty."""
    found = numbers(study)
    if isinstance(found, str) or len(found.names) < 2:
        return pd.DataFrame()
    return pd.DataFrame(fit_rows(found))


def fit_rows(found: Numbers) -> list[dict[str, str]]:
    """Returns how well each target is predicted, as text."""
    return [
        {
            "target": fit.name,
            "mean absolute error": score(fit.mae),
            "of always the median": score(fit.constant_mae),
            "root mean squared error": score(fit.rmse),
            "R²": score(fit.r2),
            "mean error": score(fit.bias.mean, signed=True),
        }
        for fit in fits(found)
    ]


def label_table(study: Study) -> pd.DataFrame:
    """Counts, precision, recall and F1 of each label, then of all together; else empty."""
    found = label_scores(study)
    if isinstance(found, str):
        return pd.DataFrame()
    return pd.DataFrame(
        [
            {
                "label": label.name,
                "have it": shown(label.num_true),
                "said to": shown(label.num_said),
                "right": shown(label.num_right),
                "precision": score(label.precision),
                "recall": score(label.recall),
                "F1": score(label.f1),
            }
            for label in (*found.labels, found.total)
        ]
    )


def metrics_table(study: Study) -> pd.DataFrame:
    """Every metric of the recommended trial, where there is more than loss and objective."""
    found = metrics_of_best(study)
    usual = {"loss", "accuracy", study.objective.removeprefix("val_")}
    if found is None or (not found.outputs and {row.name for row in found.rows} <= usual):
        return pd.DataFrame()
    rows = [
        {
            "output": row.output or "all",
            "metric": words(row.name),
            "training": score(row.training),
            "validation": score(row.validation),
            "test": score(row.test),
        }
        for row in found.rows
    ]
    empty = [n for n in ("training", "validation", "test") if not any(row[n] for row in rows)]
    return pd.DataFrame(rows).drop(columns=[*empty, *(() if found.outputs else ("output",))])


def _training(
    study: Study, finalist: dict[str, Any], run: dict[str, Any], purpose: str
) -> dict[str, str]:
    return {
        "trial": finalist["trial_id"],
        "for": purpose,
        "seed": clean(str(run.get("seed"))),
        words(study.objective): score(as_number(run.get("score"))),
    }


def layers(study: Study) -> pd.DataFrame:
    """Layers of the exported model; `_depth` counts the models around each."""
    return pd.DataFrame(
        [
            {
                "layer": clean(str(row.get("name", "")), 60),
                "kind": clean(str(row.get("kind", "")), 40),
                "output shape": _shape(row.get("output_shape")),
                "trainable": shown(as_number(row.get("trainable_parameters"))),
                "frozen": shown(as_number(row.get("frozen_parameters"))),
                "_depth": int(row["depth"]) if isinstance(row.get("depth"), int) else 0,
            }
            for row in dicts(as_dict(study.model).get("layers"))[:2000]
        ]
    )


def _shape(shape: object) -> str:
    return " x ".join(str(n) for n in shape[1:6]) or "-" if isinstance(shape, list) else "-"
