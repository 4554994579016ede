"""What MLflow is told of a study: the tags of its experiment, and a run a trial."""

import math
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.record.formatting import is_missing
from experiments.record.reading import as_dict, as_number, clean, declared, dig
from reports.analysis.recommended import recommended
from reports.analysis.study_front import value_of_trials
from reports.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

_STATUS = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_OF_CONFIG = ("space", "dataset", "method", "pruner", "seed")
_OF_TRIAL = ("trial_id", "status", "cause", "message", "traceback", "origin", "worker", "attempts")
_COSTS = (
    "seconds", "epochs", "trainable_parameters", "frozen_parameters", "flops", "latency_ms"
)  # fmt: skip
_NO_TIME = 1  # milliseconds since 1970; MLflow takes 0 for "now"
_LATEST = 4e9  # seconds since 1970; later times are damage
_LAST_STEP = 2**31 - 1
# The least that MLflow's servers of any version take.
_MOST_OF_PARAM, _MOST_OF_TAG, _MOST_OF_KEY = 500, 4000, 200


@dataclass(frozen=True)
class Point:
    """One value of a metric.

    Args:
        key: Name of the metric.
        value: Its value; finite.
        milliseconds: When, since 1970.
        step: Epoch, from 1; for what a whole trial has, its last.
    """

    key: str
    value: float
    milliseconds: int
    step: int


@dataclass(frozen=True)
class Run:
    """A trial as MLflow holds it.

    Args:
        name: Shown name.
        status: `FINISHED`, `FAILED`, `KILLED` (pruned, or its search was interrupted) or `RUNNING`.
        started: Milliseconds since 1970; 1 where no time was recorded.
        ended: Likewise; `None` while it runs.
        params: Active hyperparameters.
        tags: Tags of the study, and what is known of the trial in words.
        metrics: Every epoch, then what the whole trial has.
        artifacts: Files to keep with it.
    """

    name: str
    status: str
    started: int
    ended: int | None
    params: dict[str, str]
    tags: dict[str, str]
    metrics: tuple[Point, ...]
    artifacts: tuple[Path, ...]


def study_tags(study: Study) -> dict[str, str]:
    """Returns what is true of all trials of a study, as tags."""
    config = as_dict(study.record.get("config"))
    version = dig(study.record, "environment", "packages", "keras-tuner-experiments")
    found = {
        "study": study.name,
        "objective": ", ".join(f"{o.name}:{o.direction}" for o in study.objectives),
        **{name: config.get(name) for name in _OF_CONFIG},
        "keras_tuner_experiments": version,
    }
    return _tags(found)


def runs_of(study: Study) -> Iterator[Run]:
    """Yields a run for each trial, in order of start."""
    epochs = {str(trial_id): rows for trial_id, rows in study.epochs.groupby("trial_id")}
    further = {o.name: value_of_trials(study, study.trials, o.name) for o in study.objectives[1:]}
    tested = {finalist["trial_id"]: finalist["runs"] for finalist in study.finalists}
    shared, best = study_tags(study), _best(study)
    for index, (_, row) in enumerate(study.trials.iterrows()):
        trial_id = str(row["trial_id"])
        whole = {f"objective/{name}": values[index] for name, values in further.items()}
        whole |= {name: row[name] for name in ("score", *_COSTS)}
        whole |= _test_scores(tested.get(trial_id, []))
        is_best = trial_id == best
        yield Run(
            name=f"trial {trial_id}",
            status=_status(study, row),
            started=_milliseconds(row["started"]),
            ended=None if _is_running(study, row) else _milliseconds(_end(row)),
            params=_params(study, row),
            tags=shared | _trial_tags(row) | ({"best": "true"} if is_best else {}),
            metrics=(*_curves(epochs.get(trial_id), row), *_of_whole_trial(whole, row)),
            artifacts=tuple(_artifacts(study)) if is_best else (),
        )


def _best(study: Study) -> str | None:
    """Returns the trial of the exported model; the recommended one where none was exported."""
    exported = [f for f in study.finalists if f.get("exported_run") is not None]
    return str(exported[0]["trial_id"]) if exported else recommended(study)


def _artifacts(study: Study) -> Iterator[Path]:
    """Yields the page and the model. A link is left out: it may lead out of the study."""
    files = study.files
    for path in (files.report / "index.html", files.model):
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink():
            yield path


def _is_running(study: Study, row: "pd.Series[Any]") -> bool:
    return study.running and row["status"] == "running"


def _status(study: Study, row: "pd.Series[Any]") -> str:
    if _is_running(study, row):
        return "RUNNING"
    return _STATUS.get(row["status"], "KILLED")


def _end(row: "pd.Series[Any]") -> float:
    """Returns when a trial ended, or the latest time known of it."""
    ended = as_number(row["ended"])
    return as_number(row["started"]) if math.isnan(ended) else ended


def _milliseconds(seconds: object) -> int:
    found = as_number(seconds)
    return max(_NO_TIME, round(found * 1000)) if 0 <= found <= _LATEST else _NO_TIME


def _params(study: Study, row: "pd.Series[Any]") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, hp in study.hyperparameters.items():
        if not is_missing(value := row[name]):
            found[_free(_key(name), found)] = str(declared(hp, value))[:_MOST_OF_PARAM]
    return found


def _trial_tags(row: "pd.Series[Any]") -> dict[str, str]:
    names = {"cause": "failure_cause", "message": "failure_message", "traceback": "failure_trace"}
    if row["status"] != "failed":
        names = {"message": "message"}
    found = {names.get(name, name): row[name] for name in _OF_TRIAL}
    found["attempts"] = _whole(row["attempts"])
    return _tags(found)


def _whole(number: float) -> int | None:
    return None if math.isnan(number) else int(number)


def _tags(found: dict[str, Any]) -> dict[str, str]:
    """Returns known values as texts; of a long one its end is kept, where a traceback says why."""
    texts = {k: clean(str(v), 20_000) for k, v in found.items() if not is_missing(v)}
    return {key: text[-_MOST_OF_TAG:] for key, text in texts.items() if text}


def _curves(rows: "pd.DataFrame | None", row: "pd.Series[Any]") -> Iterator[Point]:
    """Yields every epoch; epochs of a trial's further executions have a prefix.

    The end of an epoch is not recorded: it is the trial's start and the epochs' seconds since, at
    most the trial's end.
    """
    if rows is None:
        return
    metrics = [n for n in rows.columns if n not in ("trial_id", "execution", "epoch", "seconds")]
    keys = [_key(name) for name in metrics]
    clock, ended = as_number(row["started"]), as_number(row["ended"])
    for execution, epoch, seconds, *scores in rows[
        ["execution", "epoch", "seconds", *metrics]
    ].itertuples(index=False, name=None):
        prefix = f"execution_{int(execution) + 1}/" if execution else ""
        clock += 0 if math.isnan(seconds) else seconds
        when = _milliseconds(clock if math.isnan(ended) else min(clock, ended))
        for key, value in zip(["epoch_seconds", *keys], [seconds, *scores], strict=True):
            if math.isfinite(value):
                yield Point(prefix + key, float(value), when, _step(epoch))


def _of_whole_trial(values: dict[str, Any], row: "pd.Series[Any]") -> Iterator[Point]:
    step = _step(row["total_epochs"])
    for name, value in values.items():
        if math.isfinite(number := as_number(value)):
            yield Point(_key(name), number, _milliseconds(_end(row)), step)


def _step(epoch: object) -> int:
    found = as_number(epoch)
    return 0 if math.isnan(found) else int(min(max(found, 0), _LAST_STEP))


def _test_scores(runs: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Returns a finalist's test scores: of each seed, and their mean."""
    found: dict[str, float] = {}
    by_metric: dict[str, list[float]] = {}
    for index, run in enumerate(runs):
        for metric, value in run["test"].items():
            found[f"test_seed_{run.get('seed', index)}/{metric}"] = value
            by_metric.setdefault(metric, []).append(value)
    means = {f"test/{metric}": sum(v) / len(v) for metric, v in by_metric.items()}
    return means | found


def _key(name: str) -> str:
    """Returns a name that MLflow takes: no control or special characters, no path to elsewhere."""
    text = re.sub(r"[^\w.\- /]", "_", name)[:_MOST_OF_KEY]
    if posixpath.normpath(text) == text and not text.startswith((".", "/")):
        return text
    return re.sub(r"[./]", "_", text) or "_"


def _free(key: str, taken: dict[str, str]) -> str:
    """Returns a key that is not taken: names that differ in special characters stay apart."""
    number = 2
    found = key
    while found in taken:
        found, number = f"{key}_{number}", number + 1
    return found
