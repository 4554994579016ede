"""Files that a space's settings name, backbones and weights, by fingerprint.

A file that was overwritten in the course of a study gives other weights under the same names.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.hyperparameters.source import Fingerprints
from experiments.record.alike import SPACE_FILES, changed, source_of
from experiments.record.errors import UserError

FILE_SETTINGS = ("base", "weights")  # settings that may hold paths


def space_files(settings: Mapping[str, Any]) -> Fingerprints:
    """Returns the files that settings name, each with the fingerprint of its content.

    They are called as the settings do, without their folders, which may move. A file that is not
    there is left out.

    Args:
        settings: Of a space, with absolute paths.
    """
    return {
        f"{setting} {name}{path.name}": _fingerprint(path)
        for setting in FILE_SETTINGS
        for part in _parts(settings.get(setting))
        for name, path in _file_in(part)
    }


def _parts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, own in value.items():
            yield from (f"{name}={part}" for part in _parts(own))
    elif isinstance(value, list | tuple):
        yield from (str(each).strip() for each in value)
    else:
        yield from (part.strip() for part in str(value).split(","))


def _file_in(part: str) -> Iterator[tuple[str, Path]]:
    """Yields the file of `PATH` or `NAME=PATH`, and what stands before it."""
    name, equals, path = part.rpartition("=")
    for before, file in (("", part), (f"{name.strip()}{equals}", path.strip())):
        if Path(file).suffix and os.path.isfile(file):
            yield before, Path(file)
            return


def _fingerprint(path: Path) -> str:
    found = path.stat()
    return _hashed(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _hashed(path: Path, _time: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def changed_files(
    study: Mapping[str, Any], settings: Mapping[str, Any], trial: int | None = None
) -> list[str]:
    """Names the files of settings that are not what was recorded.

    Args:
        study: The content of `study.json`.
        settings: Those of now, with absolute paths.
        trial: Number of the trial they were taken for; the last session's if `None`.
    """
    now = space_files(settings)
    return [name for name in changed(source_of(study, trial, SPACE_FILES), now) if name in now]


def check_files(study: Mapping[str, Any], settings: Mapping[str, Any], folder: Path) -> None:
    """Checks that the files that settings name are what the last session recorded.

    Args:
        study: The content of `study.json`.
        settings: Those of now, with absolute paths.
        folder: The study folder.

    Raises:
        UserError: One has changed.
    """
    if names := changed_files(study, settings):
        raise UserError(
            f"files have changed since study {folder.name!r} was begun or resumed "
            f"({', '.join(names)}): restore them, or take them as they are now with "
            "--accept-changed-source; trials before and after have other weights then"
        )
