"""Exports a study to formats of other programs: Optuna, TensorBoard, MLflow, CSV, JSON."""

import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.record.errors import UserError
from experiments.record.fidelity import with_continued
from experiments.record.files import atomic, atomic_folder
from experiments.record.formatting import is_missing
from experiments.record.layout import TRIAL
from experiments.record.passwords import hidden
from experiments.record.reading import as_number, declared, native
from experiments.record.schema import CONTINUED
from experiments.studies.export_json import json_of
from experiments.studies.export_mlflow import export_to_folder, export_to_server
from reports.analysis.study_front import value_of_trials
from reports.page.embedded import csv_of, trials_csv
from reports.study.study import Study


def export_study(study: Study, to: str, out: Path) -> Path:
    """Exports `study`.

    Args:
        study: The study.
        to: `optuna` (an SQLite file), `tensorboard` (a folder of event files), `mlflow` (a folder
            with its database and artifacts), `csv` (a folder of tables) or `json` (a file).
        out: Path to write; it must not exist.

    Returns:
        The path that was written.

    Raises:
        UserError: The format is unknown, `out` exists, or MLflow is needed and can't write.
    """
    if to not in EXPORTS:
        raise UserError(f"unknown format {to!r}: there are {', '.join(EXPORTS)}")
    if out.exists():
        raise UserError(f"{str(out)!r} exists already: choose another --out, or remove it")
    EXPORTS[to](study, out)
    return out


def export_to_address(study: Study, to: str, uri: str) -> str:
    """Exports `study` to a server.

    Args:
        study: The study.
        to: `mlflow`: no other format has servers.
        uri: Address of its tracking server, `http` or `https`.

    Returns:
        The address, without a password.

    Raises:
        UserError: The format is another one, or the server can't be reached or refuses.
    """
    if to != "mlflow" or not uri.startswith(("http://", "https://")):
        takes = " or the http(s) address of a server" if to == "mlflow" else ""
        raise UserError(f"--out {hidden(uri)} is no path: --to {to} takes a path{takes}")
    export_to_server(study, uri)
    return hidden(uri)


def _csv(study: Study, out: Path) -> None:
    with atomic_folder(out) as made:
        (made / "trials.csv").write_text(trials_csv(study), encoding="utf-8")
        (made / "epochs.csv").write_text(csv_of(study.epochs), encoding="utf-8")


def _json(study: Study, out: Path) -> None:
    with atomic(out) as temporary:
        temporary.write_text(json_of(study), encoding="utf-8")


def _optuna(study: Study, out: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions: list[Any] = [
        "maximize" if o.direction == "max" else "minimize" for o in study.objectives
    ]
    # Made elsewhere, as MLflow's is: some paths mean something else in an address.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        database = Path(scratch) / "optuna.db"
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
        target = optuna.create_study(study_name=study.name, storage=storage, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metric names are experimental in Optuna
            target.set_metric_names([o.name for o in study.objectives])
        target.add_trials(_optuna_trials(study))
        storage.remove_session()
        storage.engine.dispose()
        with atomic(out) as temporary:
            shutil.copyfile(database, temporary)


def _optuna_trials(study: Study) -> list[Any]:
    from optuna.trial import TrialState, create_trial

    states = {
        "completed": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL,
        "running": TrialState.RUNNING,
    }  # fmt: skip
    distributions = _distributions(study)
    stated = zip(study.trials["trial_id"], study.trials["origin"], strict=True)
    origins = {str(by): str(origin) for by, origin in stated if not is_missing(origin)}
    continued = {origin: by for by, origin in origins.items()}
    # Optuna's multi-objective trials report no epochs.
    curves = _curves(study, origins) if len(study.objectives) == 1 else {}
    columns = [value_of_trials(study, study.trials, o.name) for o in study.objectives]
    trials = []
    for (_, row), *values in zip(study.trials.iterrows(), *columns, strict=True):
        state = states.get(row["status"], TrialState.FAIL)
        if state == TrialState.COMPLETE and not np.isfinite(values).all():
            state = TrialState.FAIL
        if state == TrialState.COMPLETE and str(row["trial_id"]) in study.handicaps:
            state = TrialState.PRUNED  # it had fewer epochs than others
        used, by = _used(study, row, distributions), continued.get(str(row["trial_id"]))
        trials.append(
            create_trial(
                state=state,
                values=[float(v) for v in values] if state == TrialState.COMPLETE else None,
                params=used,
                distributions={name: distributions[name] for name in used},
                intermediate_values=curves.get(str(row["trial_id"]), {}),
                user_attrs=_attributes(row) | ({CONTINUED: by} if by else {}),
            )
        )
    return trials


def _used(study: Study, row: "pd.Series[Any]", names: Iterable[str]) -> dict[str, Any]:
    known = {name: row[name] for name in names if not is_missing(row[name])}
    return {name: declared(study.hyperparameters[name], value) for name, value in known.items()}


def _attributes(row: "pd.Series[Any]") -> dict[str, Any]:
    kept = ("trial_id", "cause", "message", "seconds", "epochs", "trainable_parameters")
    return {name: native(row[name]) for name in kept if not is_missing(row[name])}


def _curves(study: Study, origins: Mapping[str, str]) -> dict[str, dict[int, float]]:
    """Returns the objective by epoch, from 0 as Optuna counts: with that of continued trials."""
    if study.objective not in study.epochs:
        return {}
    first = study.epochs[(study.epochs["execution"] == 0) & study.epochs[study.objective].notna()]
    curves: dict[str, dict[int, float]] = {}
    for trial, epoch, value in zip(
        first["trial_id"], first["epoch"], first[study.objective], strict=True
    ):
        curves.setdefault(str(trial), {})[int(epoch) - 1] = float(value)
    return {trial: with_continued(trial, curves, origins) for trial in curves}


def _distributions(study: Study) -> dict[str, Any]:
    from optuna import distributions as d

    found: dict[str, Any] = {}
    for name, hp in study.hyperparameters.items():
        values = study.trials[name].dropna()
        if values.empty:
            continue
        kind = hp.get("kind")
        if kind in ("Int", "Float"):
            low, high = _ends(hp, values)
            # A damaged record may hold values that have no logarithm.
            is_log = hp.get("sampling") == "log" and low > 0
            if kind == "Int":
                found[name] = d.IntDistribution(round(low), round(high), log=is_log)
            else:
                found[name] = d.FloatDistribution(low, high, log=is_log)
        else:
            found[name] = d.CategoricalDistribution(_choices(hp, values))
    return found


def _ends(hp: dict[str, Any], values: "pd.Series[Any]") -> tuple[float, float]:
    """Returns the exact ends of a range, widened where trials lie outside."""
    stated = [as_number(hp.get(name)) for name in ("min_value", "max_value")]
    known = [*map(float, values), *(end for end in stated if math.isfinite(end))]
    return min(known), max(known)


def _choices(hp: dict[str, Any], values: "pd.Series[Any]") -> list[Any]:
    declared = [False, True] if hp.get("kind") == "Boolean" else list(hp.get("values", []))
    return list(dict.fromkeys([*declared, *map(native, values)]))


def _tensorboard(study: Study, out: Path) -> None:
    from tensorboard.plugins.hparams import api

    with atomic_folder(out) as made:
        _write_events(made, [api_config(study, api)], 0.0)
        for _, row in study.trials.iterrows():
            _write_trial_events(study, row, made / f"{TRIAL}{_file_name(row['trial_id'])}")


def api_config(study: Study, api: Any) -> Any:
    """Returns the summary that gives TensorBoard's HParams the names and metrics."""
    from tensorboard.plugins.hparams import summary_v2

    hparams = [api.HParam(name) for name in study.hyperparameters]
    metrics = [api.Metric(tag) for tag in _score_tags(study)]
    return summary_v2.hparams_config_pb(hparams=hparams, metrics=metrics)


def _score_tags(study: Study) -> dict[str, str]:
    """Returns objective by tag: of the tag of a curve, TensorBoard shows the last epoch."""
    first, *others = (o.name for o in study.objectives)
    tags = {"score": first} | {name: name for name in others}
    return {f"score/{t}" if t in study.epochs else t: name for t, name in tags.items()}


def _file_name(trial_id: object) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in str(trial_id))[:60]


def _write_trial_events(study: Study, row: "pd.Series[Any]", folder: Path) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import summary_v2

    values = {
        name: value if isinstance(value, bool | int | float) else str(value)
        for name, value in _used(study, row, study.hyperparameters).items()
    }
    start = as_number(row["started"])
    start = 0.0 if math.isnan(start) else start
    events: list[Any] = [
        summary_v2.hparams_pb(values, trial_id=str(row["trial_id"]), start_time_secs=start)
    ]
    steps = [0]
    rows = study.epochs[
        (study.epochs["trial_id"] == row["trial_id"]) & (study.epochs["execution"] == 0)
    ]
    metrics = [n for n in rows.columns if n not in ("trial_id", "execution", "epoch", "seconds")]
    for epoch, *scores in rows[["epoch", *metrics]].itertuples(index=False, name=None):
        known = [(n, s) for n, s in zip(metrics, scores, strict=True) if not math.isnan(s)]
        events.append(Summary(value=[Summary.Value(tag=n, simple_value=s) for n, s in known]))
        steps.append(int(epoch))
    for tag, objective in _score_tags(study).items():
        (value,) = value_of_trials(study, row.to_frame().T, objective)
        if not math.isnan(value):
            events.append(Summary(value=[Summary.Value(tag=tag, simple_value=value)]))
            steps.append(0)
    _write_events(folder, events, start, steps)


def _write_events(
    folder: Path, summaries: list[Any], when: float, steps: Sequence[int] | None = None
) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder.mkdir(parents=True, exist_ok=True)
    writer = EventFileWriter(str(folder))
    for summary, step in zip(summaries, steps or [0] * len(summaries), strict=True):
        writer.add_event(Event(wall_time=when, step=step, summary=summary))
    writer.close()


EXPORTS: dict[str, Callable[[Study, Path], None]] = {
    "optuna": _optuna, "tensorboard": _tensorboard, "mlflow": export_to_folder,
    "csv": _csv, "json": _json,
}  # fmt: skip
