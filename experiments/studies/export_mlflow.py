"""Exports a study as an MLflow experiment: to a folder, or to a tracking server."""

import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.record.errors import UserError
from experiments.record.files import atomic_folder
from experiments.record.passwords import hidden
from experiments.studies.mlflow_runs import Run, runs_of, study_tags
from reports.study.study import Study

if TYPE_CHECKING:
    from mlflow import MlflowClient

# `mlflow server` looks for these two in the folder in which it is started.
_DATABASE, _ARTIFACTS = "mlflow.db", "mlartifacts"
_SCHEME = "mlflow-artifacts:/"  # what the server keeps: the folder can be moved
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 take minutes
}
_Keep = Callable[[str, Path], None]  # keeps a file with the run of an id


def export_to_folder(study: Study, out: Path) -> None:
    """Writes a folder with MLflow's database and its artifacts.

    The database is made elsewhere: SQLite needs a file system with locks, and a path that is no
    part of an address.

    Args:
        study: The study.
        out: Folder to write; it appears when it is whole.

    Raises:
        UserError: MLflow is not installed, or could not write.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        database = Path(scratch) / _DATABASE
        with _client(f"sqlite:///{database}", str(out)) as client, atomic_folder(out) as made:
            experiment = client.create_experiment(
                study.name, artifact_location=f"{_SCHEME}{uuid.uuid4().hex}", tags=study_tags(study)
            )
            _write_runs(client, study, experiment, _copier(client, made / _ARTIFACTS))
            shutil.copyfile(database, made / _DATABASE)


def _copier(client: "MlflowClient", artifacts: Path) -> _Keep:
    def copy(run_id: str, path: Path) -> None:
        uri = client.get_run(run_id).info.artifact_uri
        folder = artifacts / uri.removeprefix(_SCHEME)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)

    return copy


def export_to_server(study: Study, uri: str) -> None:
    """Adds an experiment to a tracking server.

    It has a name of its own until it is whole, and is deleted where that can't be reached.

    Args:
        study: The study.
        uri: Address of the server.

    Raises:
        UserError: MLflow is not installed, the server can't be reached or refuses, or it has an
            experiment of the study's name.
    """
    with _client(uri, hidden(uri)) as client:
        _check_free(client, study.name, hidden(uri))
        unfinished = f"{study.name} (unfinished export {uuid.uuid4().hex[:8]})"
        experiment = client.create_experiment(unfinished, tags=study_tags(study))
        try:
            _write_runs(client, study, experiment, client.log_artifact)
            client.rename_experiment(experiment, study.name)
        except BaseException:
            with suppress(Exception):  # what happened first is what to report
                client.delete_experiment(experiment)
            raise


def _check_free(client: "MlflowClient", name: str, server: str) -> None:
    existing = client.get_experiment_by_name(name)
    if existing is not None:
        deleted = existing.lifecycle_stage == "deleted"
        mend = "remove it for good (`mlflow gc`)" if deleted else "rename or remove it"
        raise UserError(
            f"{server} has {'a deleted' if deleted else 'an'} experiment {name!r} already: {mend} "
            "first, or choose another --out"
        )


@contextmanager
def _client(uri: str, shown: str) -> "Iterator[MlflowClient]":
    """Yields a client of MLflow, whose errors become lines.

    Raises:
        UserError: MLflow is not installed, or failed.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise UserError(
            "--to mlflow needs MLflow: pip install 'keras-tuner-experiments[mlflow]'"
        ) from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield MlflowClient(uri, uri)
    except MlflowException as error:
        why = " ".join(hidden(str(error)).split())[:300]
        raise UserError(f"MLflow could not export to {shown!r}: {why}") from None


def _write_runs(client: "MlflowClient", study: Study, experiment: str, keep: _Keep) -> None:
    for run in runs_of(study):
        run_id = client.create_run(
            experiment, start_time=run.started, tags=run.tags, run_name=run.name
        ).info.run_id
        client.log_batch(run_id, **_entities(run))
        for path in run.artifacts:
            keep(run_id, path)
        if run.ended is not None:
            client.set_terminated(run_id, run.status, run.ended)


def _entities(run: Run) -> dict[str, Any]:
    from mlflow.entities import Metric, Param

    return {
        "metrics": [Metric(p.key, p.value, p.milliseconds, p.step) for p in run.metrics],
        "params": [Param(key, value) for key, value in run.params.items()],
    }
