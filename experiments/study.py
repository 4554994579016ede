"""The study folder: a Keras Tuner project, and beside it what was asked and what happened."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.data import PreparedData
from experiments.errors import UserError
from experiments.files import write_json
from experiments.lock import LOCK_FILES
from experiments.space_source import space_source
from experiments.study_check import check_record
from reports.formats import FORMAT, check_format
from reports.passwords import all_hidden
from reports.reading import dicts, read_json

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
    if config.name and (runs / config.name).exists() and not is_unbegun(runs / config.name):
        raise already_there(runs / config.name)
    nearest = next(p for p in (runs, *runs.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"--runs-dir {str(runs)!r} can't be written: {str(nearest)!r} refuses")


def already_there(folder: Path) -> UserError:
    """Returns what is said of the name of a study that is taken."""
    return UserError(
        f"study {folder.name!r} exists already in {str(folder.parent)!r}: choose another --name, "
        "or remove it"
    )


def is_unbegun(folder: Path) -> bool:
    """Whether a search was ended before it had written anything into its study folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return all(name in LOCK_FILES or name.startswith(".tmp-") for name in names)


def describe_study(
    config: SearchConfig,
    data: PreparedData,
    space: list[dict[str, Any]],
    architecture: tuple[str, ...],
) -> dict[str, Any]:
    """Returns the content of `study.json`."""
    objective, *others = [{"name": o.name, "direction": o.direction} for o in config.objectives]
    return {
        "format": FORMAT,
        "name": config.name,
        "config": config.as_dict(),
        "objective": objective,
        **({"objectives": [objective, *others]} if others else {}),
        "space": space,
        "space_source": space_source(config.space),
        "architecture": list(architecture),
        "dataset": data.record(),
        "environment": environment(),
    }


def environment() -> dict[str, Any]:
    """Describes where this runs: versions, git state, hardware, command line."""
    import psutil

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "packages": versions(_PACKAGES),
        "git": _git(),
        "command_line": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Returns the version of each package, or `not installed`."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git() -> dict[str, Any] | None:
    """Returns the commit of the suite's own source, wherever one stands."""
    source = Path(__file__).resolve()
    variables = {n: v for n, v in os.environ.items() if not n.startswith("GIT_")}

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(source.parent), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10, env=variables
        ).stdout.strip()

    try:
        # Fails where the suite is installed in a folder within somebody else's repository.
        ask("ls-files", "--error-unmatch", source.name)
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def write_study(folder: Path, study: dict[str, Any]) -> None:
    """Writes `study.json`, without the passwords of databases that earlier trials came from."""
    for holder, name in (
        (study["config"], "sources"),
        (study.get("environment"), "command_line"),
        *((session, "command_line") for session in dicts(study.get("sessions"))),
    ):
        if isinstance(holder, dict) and name in holder:
            holder[name] = all_hidden(holder[name])
    write_json(folder / "study.json", study)


def read_study(folder: Path) -> dict[str, Any]:
    """Reads `study.json`.

    Raises:
        UserError: It is missing or damaged.
    """
    path = folder / "study.json"
    if is_unbegun(folder):
        raise UserError(
            f"study {folder.name!r} was ended before it had begun: there is nothing to go on with; "
            f"search again, with --name {folder.name} if you like"
        )
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
    check_format(record, folder)
    check_record(record, path)
    return record
