"""A new study: whether it can be made, and what its record holds."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.hyperparameters.source import Fingerprints
from experiments.record.errors import UserError
from experiments.record.files import nearest_there
from experiments.record.layout import StudyFolder
from experiments.record.schema import FORMAT
from experiments.record.study import environment, is_unbegun, read_study


def check_new(config: SearchConfig) -> None:
    """Checks that a new study can be made.

    Raises:
        UserError: A study of its name exists, or the runs folder can't be written.
    """
    runs = Path(config.runs_dir)
    if config.name and os.path.exists(runs / config.name) and not is_unbegun(runs / config.name):
        raise already_there(runs / config.name)
    nearest = nearest_there(runs)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"--runs-dir {str(runs)!r} can't be written: {str(nearest)!r} refuses")


def remove_unbegun(folder: Path) -> None:
    """Removes what was written of a study before a session was begun, and its folder if empty."""
    study = StudyFolder(folder)
    with suppress(UserError):  # the record is damaged
        if study.begun() or (study.record.is_file() and "sessions" in read_study(folder)):
            return
        for path in (study.record, study.oracle, study.tuner, study.status, study.index):
            path.unlink(missing_ok=True)
        study.source.unlink(missing_ok=True)
        with suppress(OSError):  # a callback of a script has written there
            study.artifacts.rmdir()
        if is_unbegun(folder):
            shutil.rmtree(folder, ignore_errors=True)


def not_made(folder: Path, error: OSError | ValueError) -> UserError:
    """Returns the message for a study folder that can't be made."""
    why = getattr(error, "strerror", None) or error
    return UserError(
        f"study folder {str(folder)!r} can't be made ({why}): choose another --runs-dir"
    )


def already_there(folder: Path) -> UserError:
    """Returns the message for a study name that is taken."""
    return UserError(
        f"study {folder.name!r} exists already in {str(folder.parent)!r}: choose another --name, "
        "or remove it"
    )


def describe_study(
    config: SearchConfig,
    data: dict[str, Any],
    space: list[dict[str, Any]],
    architecture: tuple[str, ...],
    source: Fingerprints,
) -> dict[str, Any]:
    """Returns the content of `study.json`.

    Args:
        config: The search.
        data: The record of the dataset.
        space: Its hyperparameters as plain data.
        architecture: Names of those that are choices of architecture.
        source: Fingerprints of its code.
    """
    objective, *others = [{"name": o.name, "direction": o.direction} for o in config.objectives]
    return {
        "format": FORMAT,
        "name": config.name,
        "config": config.as_dict(),
        "objective": objective,
        **({"objectives": [objective, *others]} if others else {}),
        "space": space,
        "space_source": source,
        "architecture": list(architecture),
        "dataset": data,
        "environment": environment(),
    }
