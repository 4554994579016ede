"""The study folder: a Keras Tuner project, and beside it what was asked and what happened."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.files import write_json
from experiments.record.layout import LOCK_FILES, TEMPORARY, StudyFolder, expanded, studies_in
from experiments.record.passwords import all_hidden
from experiments.record.reading import as_dict, clean, dicts, dig, read_json
from experiments.record.schema import check_record

_PACKAGES = (
    "keras-tuner-experiments",
    "keras",
    "keras-tuner",
    "tensorflow",
    "tensorflow-datasets",
    "numpy",
    "pandas",
)


def is_unbegun(folder: Path) -> bool:
    """Whether a search was ended before it had written anything into its study folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return all(name in LOCK_FILES or name.startswith(TEMPORARY) for name in names)


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
        "command_line": command_line(),
    }


def command_line() -> list[str]:
    """Returns the command that started this process, as a shell takes it.

    Empty where none did that could be given again: in a notebook, at a prompt, of a script that
    was piped in.
    """
    started = Path(sys.argv[0])
    if hasattr(sys, "ps1") or started.name in ("", "-"):
        return []
    if started.suffix == ".py" or started.name == "-c":
        return ["python", *sys.orig_argv[1:]]
    return [started.name, *sys.argv[1:]]


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
    """Returns the commit of the suite's own source, independent of the current folder."""
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
    write_json(StudyFolder(folder).record, study)


def read_study(folder: Path) -> dict[str, Any]:
    """Reads `study.json`.

    Raises:
        UserError: It is missing or damaged.
    """
    path = StudyFolder(folder).record
    if is_unbegun(folder):
        raise UserError(
            f"study {folder.name!r} was ended before it had begun: it has no trials to resume; "
            f"search again, with --name {folder.name} if you like"
        )
    if not path.is_file():
        raise UserError(
            f"{str(folder)!r} has no study.json: only a study that this suite began can be "
            "resumed; a project of plain Keras Tuner is resumed there (overwrite=False), or "
            "informs a new search: experiments search --from FOLDER"
        )
    record = read_json(path)
    check_record(record, path)
    return dict(record)


def refuse_script(record: Mapping[str, Any], name: str) -> None:
    """Refuses to train networks that only a script can build.

    Raises:
        UserError: The study is one of `experiments.Tuner`.
    """
    if "script" in record:
        script = dig(record, "script", "file") or "a notebook"
        raise UserError(
            f"study {name!r} was searched by experiments.Tuner in {clean(script)}, which has its "
            "model and data: run that again to resume the search; reports and tables need no model"
        )


def check_trainable(record: Mapping[str, Any], name: str) -> None:
    """Checks that a study says how its networks are trained.

    Raises:
        UserError: It is one of `experiments.Tuner`, or of plain Keras Tuner.
    """
    refuse_script(record, name)
    if not as_dict(record.get("config")):
        raise UserError(
            f"study {name!r} does not record how it was run (plain Keras Tuner?): it "
            "can't be trained again"
        )


def find_study(study: str | Path, runs_dir: str | Path = "runs") -> Path:
    """Returns the folder of `study`.

    Raises:
        UserError: There is none.
    """
    runs_dir, path = expanded(runs_dir), expanded(study)
    named = runs_dir / study
    # `.` and `..` are relative to the current folder, yet the folder has a name.
    for folder in (path.resolve(),) if path.name in ("", "..") else (named, path):
        if os.path.isdir(folder):
            return folder
    there = ", ".join(studies_in(runs_dir))
    known = f"there are {there}" if there else "there is none yet"
    raise UserError(f"no study {str(study)!r} in {str(runs_dir)!r}: {known}")


def picks(record: Mapping[str, Any]) -> list[str]:
    """Returns what `auto` said when it picked the method, once a pick; empty if it did not."""
    return [str(s["picked"]) for s in dicts(record.get("sessions")) if s.get("picked")]
