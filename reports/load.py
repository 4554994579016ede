"""Loads a study folder into pandas frames; whatever a file lacks is missing in the frame."""

import json
import math
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.errors import UserError

# part of study.json -> what of it every reader relies on
_NEEDED = {
    "config": {"space", "dataset"},
    "objective": {"name", "direction"},
    "dataset": {"class_names", "counts", "shape", "fingerprint"},
    "environment": {"command_line"},
}
_BOOKKEEPING = "tuner/"  # Hyperband keeps its rounds among the hyperparameters


@dataclass(frozen=True)
class Study:
    """One study, as its folder records it.

    Args:
        folder: The study folder.
        name: Its name.
        record: `study.json`; empty for a project of plain Keras Tuner.
        objective: Name of the metric that ranks trials.
        direction: `"max"` or `"min"`.
        trials: One row a trial: `trial_id`, `number` (from 1, in order of start), `status`
            (`completed`, `failed`, `running`), `score`, `scores` (one an execution), `cause`,
            `message`, `traceback`, `started` and `ended` (seconds since 1970), `seconds`, `epochs`,
            `trainable_parameters`, `frozen_parameters`, and one column a hyperparameter, missing
            where it was inactive.
        epochs: One row an epoch of an execution: `trial_id`, `execution`, `epoch` (from 1),
            `seconds` and one column a metric.
        hyperparameters: name -> its description: `kind`, range, `sampling`, `conditions`.
        finalists: Trials trained again: `trial_id` and `runs`, each with its `seed`, `score`,
            `history` and `test` metrics.
    """

    folder: Path
    name: str
    record: dict[str, Any]
    objective: str
    direction: str
    trials: pd.DataFrame
    epochs: pd.DataFrame
    hyperparameters: dict[str, dict[str, Any]]
    finalists: list[dict[str, Any]] = field(default_factory=list)

    @property
    def completed(self) -> pd.DataFrame:
        """Trials with a score, best first; of equal ones the earlier is first."""
        done = self.trials[(self.trials["status"] == "completed") & self.trials["score"].notna()]
        return done.sort_values("score", ascending=self.direction == "min", kind="stable")

    @property
    def failed(self) -> pd.DataFrame:
        """Trials that failed, in order of start."""
        return self.trials[self.trials["status"] == "failed"]

    @property
    def searched(self) -> list[str]:
        """Hyperparameters that took more than one value."""
        varied = []
        for name in self.hyperparameters:
            if name in self.trials and self.trials[name].dropna().astype(str).nunique() > 1:
                varied.append(name)
        return varied

    @property
    def class_names(self) -> list[str]:
        """Names of the classes; empty where unknown."""
        return list(self.record.get("dataset", {}).get("class_names", []))

    @cached_property
    def model(self) -> dict[str, Any] | None:
        """Layers and parameters of the exported model, if recorded."""
        path = self.folder / "artifacts" / "model.json"
        return read_json(path) if path.is_file() else None

    def arrays(self, name: str) -> dict[str, Any] | None:
        """Arrays of the artifact `name`, if recorded."""
        path = self.folder / "artifacts" / f"{name}.npz"
        if not path.is_file():
            return None
        try:
            with np.load(path) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{str(path)!r} is damaged ({type(error).__name__}): restore it from a copy, or "
                "remove it, and the report will miss it"
            ) from None


def load_study(study: str | Path, runs_dir: str | Path = "runs") -> Study:
    """Loads a study by the path of its folder, or by its name in `runs_dir`.

    Raises:
        UserError: There is no such study, or a file of it can't be read.
    """
    folder = find_study(study, runs_dir)
    record = _record(folder / "study.json") if (folder / "study.json").exists() else {}
    paths = sorted(folder.glob("trial_*/trial.json"))
    if not record and not paths:
        raise UserError(f"{str(folder)!r} is no study: it has neither study.json nor trials")
    states = [(path, read_json(path)) for path in paths]
    try:
        return _assemble(folder, record, states)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"study {folder.name!r} can't be read: its record is damaged "
            f"({type(error).__name__}: {error})"
        ) from None


def _record(path: Path) -> dict[str, Any]:
    record = read_json(path)
    for name, needed in _NEEDED.items():
        part = record.get(name) if isinstance(record, dict) else None
        if not isinstance(part, dict) or not needed <= set(part):
            raise UserError(
                f"{str(path)!r} is no study record: {name!r} is missing or damaged; restore it "
                "from a copy, or remove the study"
            )
    return dict(record)


def _finalists(path: Path) -> list[dict[str, Any]]:
    finalists = read_json(path) if path.is_file() else []
    if not isinstance(finalists, list) or any(
        not isinstance(f, dict) or not {"trial_id", "runs"} <= set(f) for f in finalists
    ):
        raise UserError(f"{str(path)!r} is damaged: restore it from a copy, or remove it")
    return finalists


def find_study(study: str | Path, runs_dir: str | Path = "runs") -> Path:
    """Returns the folder of `study`.

    Raises:
        UserError: There is none.
    """
    named = Path(runs_dir) / study
    for folder in (named, Path(study)):
        if folder.is_dir():
            return folder
    there = sorted(p.parent.name for p in Path(runs_dir).glob("*/oracle.json"))
    known = f"there are {', '.join(there)}" if there else "there is none yet"
    raise UserError(f"no study {str(study)!r} in {str(runs_dir)!r}: {known}")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: It is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(
            f"{str(path)!r} can't be read: {error}; restore it from a copy, or remove the study"
        ) from None


def _assemble(folder: Path, record: dict[str, Any], states: list[tuple[Path, Any]]) -> Study:
    space = record.get("space") or _plain_space(states)
    hyperparameters = {hp["name"]: hp for hp in space if not hp["name"].startswith(_BOOKKEEPING)}
    objective, direction = _objective(record, states)
    rows, epochs = [], []
    for path, state in states:
        result_path = path.with_name("result.json")
        result = read_json(result_path) if result_path.is_file() else {}
        rows.append(_trial_row(state, result, hyperparameters))
        epochs += _epoch_rows(state["trial_id"], result)
    trials = pd.DataFrame(rows, columns=_columns(rows, hyperparameters))
    trials = trials.sort_values(["started", "trial_id"], kind="stable").reset_index(drop=True)
    trials.insert(1, "number", range(1, len(trials) + 1))
    return Study(
        folder=folder,
        name=record.get("name", folder.name),
        record=record,
        objective=objective,
        direction=direction,
        trials=trials,
        epochs=pd.DataFrame(epochs, columns=None if epochs else ["trial_id", "execution", "epoch"]),
        hyperparameters=hyperparameters,
        finalists=_finalists(folder / "artifacts" / "finalists.json"),
    )


def _plain_space(states: list[tuple[Path, Any]]) -> list[dict[str, Any]]:
    space: dict[str, dict[str, Any]] = {}
    for _, state in states:
        for hp in state["hyperparameters"]["space"]:
            config = hp["config"]
            conditions = [c["config"] for c in config.get("conditions", [])]
            space[config["name"]] = config | {"kind": hp["class_name"], "conditions": conditions}
    return list(space.values())


def _objective(record: dict[str, Any], states: list[tuple[Path, Any]]) -> tuple[str, str]:
    if "objective" in record:
        return record["objective"]["name"], record["objective"]["direction"]
    for _, state in states:  # plain Keras Tuner records the score, not what it is the score of
        metrics = (state.get("metrics") or {}).get("metrics", {})
        for name, metric in sorted(metrics.items(), key=lambda m: not m[0].startswith("val_")):
            values = [np.mean(o["value"]) for o in metric["observations"]]
            best = (min if metric["direction"] == "min" else max)(values, default=math.nan)
            if state.get("score") is not None and math.isclose(best, state["score"]):
                return name, metric["direction"]
    return "score", "max"


_FIELDS = (
    "trial_id",
    "status",
    "score",
    "scores",
    "cause",
    "message",
    "traceback",
    "started",
    "ended",
    "seconds",
    "epochs",
    "trainable_parameters",
    "frozen_parameters",
)


def _columns(rows: list[dict[str, Any]], hyperparameters: dict[str, Any]) -> list[str]:
    return [*_FIELDS, *(name for name in hyperparameters if name not in _FIELDS)]


def _trial_row(
    state: dict[str, Any], result: dict[str, Any], hyperparameters: dict[str, Any]
) -> dict[str, Any]:
    values = state["hyperparameters"]["values"]
    status = {"COMPLETED": "completed", "FAILED": "failed", "INVALID": "failed"}
    started, ended = result.get("started"), result.get("ended")
    executions = result.get("executions", [])
    return {
        "trial_id": state["trial_id"],
        "status": result.get("status") or status.get(state["status"], "running"),
        "score": _number(result.get("score", state.get("score"))),
        "scores": tuple(_number(e["score"]) for e in executions),
        "cause": result.get("cause"),
        "message": result.get("message") or state.get("message"),
        "traceback": result.get("traceback"),
        "started": _number(started),
        "ended": _number(ended),
        "seconds": _number(ended) - _number(started),
        "epochs": sum(len(e["epoch_seconds"]) for e in executions) if result else math.nan,
        "trainable_parameters": _number(result.get("trainable_parameters")),
        "frozen_parameters": _number(result.get("frozen_parameters")),
    } | {
        name: values.get(name)
        for name, hp in hyperparameters.items()
        if _active(hp, values) and name not in _FIELDS
    }


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _active(hp: dict[str, Any], values: dict[str, Any]) -> bool:
    return all(values.get(c["name"]) in c["values"] for c in hp.get("conditions", []))


def _epoch_rows(trial_id: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for index, execution in enumerate(result.get("executions", [])):
        for epoch, seconds in enumerate(execution["epoch_seconds"]):
            row = {"trial_id": trial_id, "execution": index}
            row["epoch"] = result.get("initial_epoch", 0) + epoch + 1
            row["seconds"] = seconds
            rows.append(row | {name: _number(v[epoch]) for name, v in execution["history"].items()})
    return rows
