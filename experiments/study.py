"""The study folder: a Keras Tuner project, and beside it what was asked and what happened."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.data import PreparedData
from experiments.errors import UserError
from experiments.files import write_json
from reports.reading import read_json

_PACKAGES = (
    "keras-tuner-experiments",
    "keras",
    "keras-tuner",
    "tensorflow",
    "tensorflow-datasets",
    "numpy",
    "pandas",
)


def check_new(config: SearchConfig) -> None:
    """Checks that a new study can be made.

    Raises:
        UserError: A study of its name exists, or the runs folder can't be written.
    """
    runs = Path(config.runs_dir)
    if config.name and (runs / config.name).exists():
        raise UserError(
            f"study {config.name!r} exists already in {str(runs)!r}: choose another --name, or "
            "remove it"
        )
    nearest = next(p for p in (runs, *runs.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"--runs-dir {str(runs)!r} can't be written: {str(nearest)!r} refuses")


def describe_study(
    config: SearchConfig,
    data: PreparedData,
    space: list[dict[str, Any]],
    architecture: tuple[str, ...],
) -> dict[str, Any]:
    """Returns the content of `study.json`."""
    objective, *others = [{"name": o.name, "direction": o.direction} for o in config.objectives]
    return {
        "format": 1,
        "name": config.name,
        "config": config.as_dict(),
        "objective": objective,
        **({"objectives": [objective, *others]} if others else {}),
        "space": space,
        "architecture": list(architecture),
        "dataset": data.record(),
        "environment": environment(),
    }


def environment() -> dict[str, Any]:
    """Describes where this runs: versions, git state, hardware, command line."""
    import psutil

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "packages": versions,
        "git": _git(),
        "command_line": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _git() -> dict[str, Any] | None:
    def ask(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def write_study(folder: Path, study: dict[str, Any]) -> None:
    """Writes `study.json`."""
    write_json(folder / "study.json", study)


def read_study(folder: Path) -> dict[str, Any]:
    """Reads `study.json`.

    Raises:
        UserError: It is missing or damaged.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise UserError(
            f"{str(folder)!r} has no study.json: only a study that this suite began can be "
            "resumed; a project of plain Keras Tuner goes on in Keras Tuner (overwrite=False), or "
            "informs a new search: experiments search --from FOLDER"
        )
    record = read_json(path)
    keys = ("config", "objective", "space", "dataset")
    if not isinstance(record, dict) or any(key not in record for key in keys):
        raise UserError(f"{str(path)!r} is no study record: expected {', '.join(keys)}")
    return record
