"""The study folder of `experiments.Tuner`: whether it can be used, and what it says."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.config import SearchConfig
from experiments.methods.warm_start import place_of
from experiments.record.errors import UserError
from experiments.record.formatting import listed
from experiments.record.layout import StudyFolder
from experiments.record.lock import locked
from experiments.record.passwords import all_hidden
from experiments.record.study import is_unbegun, read_study
from experiments.search.new_study import not_made
from experiments.search.resume import with_lacking


def made(folder: Path) -> Path:
    """Makes the folder of a study, unless it is there, and returns it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise not_made(folder, error) from None
    return folder


def remove(folder: Path) -> None:
    """Removes a study; the folder that a link leads to is emptied, and stays."""
    if not folder.is_symlink():
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def check_folder(folder: Path, overwrite: bool, sources: Sequence[str] = ()) -> None:
    """Checks that a folder is a study of `Tuner`, or may become one.

    Args:
        folder: The folder.
        overwrite: Whether it is to be removed first.
        sources: What informs the search; it may not be in what is removed.

    Raises:
        UserError: It is something else, or in use, or a source is in it.
    """
    study = StudyFolder(folder)
    try:
        if not folder.exists() or is_unbegun(folder):
            return
    except (OSError, ValueError) as error:  # its name is too long, or none
        raise not_made(folder, error) from None
    if not study.record.is_file() and not study.oracle.is_file():
        if study.lock.is_file() and not overwrite:  # a search was refused that had written files
            return
        raise UserError(
            f"{str(folder)!r} exists and is no search: choose another project_name or directory"
        )
    if overwrite:
        for source in sources:
            place = place_of(source)
            if place is not None and place.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"warm_start {source}: overwrite=True removes {str(folder)!r}, and the source "
                    "with it: choose another project_name"
                )
        with locked(folder):  # which refuses one that is in use: it would be removed
            pass
    elif not study.record.is_file():
        raise UserError(
            f"{str(folder)!r} is a project of plain Keras Tuner: choose another project_name and "
            f"let its trials inform this search with warm_start={str(folder)!r}, or remove it with "
            "overwrite=True"
        )


def record_of(folder: Path) -> dict[str, Any] | None:
    """Returns the content of `study.json`; `None` where there is none.

    Raises:
        UserError: It is a study of the command line, or is damaged.
    """
    if not os.path.isfile(StudyFolder(folder).record):
        return None
    study = read_study(folder)
    if "script" not in study:
        raise UserError(
            f"{str(folder)!r} is a study of `experiments search`: resume it with `experiments "
            f"resume`, or choose another project_name"
        )
    return study


def as_before(config: SearchConfig, study: Mapping[str, Any], seed_given: bool) -> SearchConfig:
    """Returns the search with the method and the seed that its study has, and with its points.

    Raises:
        UserError: Another objective, method, pruner, seed or earlier study is asked for.
    """
    then = study["config"]
    tries, try_default = config.tries, config.try_default
    if study.get("sessions"):  # else no point was taken
        tries = tuple(with_lacking(then.get("tries", ()), tries))
        try_default = then.get("try_default", True)
    recorded = then["objective"]
    texts = [recorded] if isinstance(recorded, str) else list(recorded)
    asked = [str(objective) for objective in config.objectives]
    if texts != asked:
        raise _other(study, "objective", ", ".join(texts), ", ".join(asked))
    if config.method not in ("auto", then["method"]):
        raise _other(study, "method", then["method"], config.method)
    if config.pruner not in (None, then["pruner"]):
        raise _other(study, "pruner", then["pruner"], config.pruner)
    sources = all_hidden(list(config.sources))
    before = all_hidden(list(then["sources"]))  # earlier versions did not hide every password
    if sources and sources != before:
        earlier = listed(before) or "none"
        raise _other(study, "warm_start", earlier, listed(sources))
    if seed_given and config.seed != then["seed"]:
        raise _other(study, "seed", then["seed"], config.seed)
    return replace(
        config, method=then["method"], pruner=then["pruner"], seed=then["seed"],
        sources=tuple(then["sources"]), tries=tries, try_default=try_default,
    )  # fmt: skip


def _other(study: Mapping[str, Any], what: str, then: object, now: object) -> UserError:
    return UserError(
        f"study {study['name']!r} has {what} {then}, and {now} is asked for: choose another "
        "project_name, or remove the study with overwrite=True"
    )
