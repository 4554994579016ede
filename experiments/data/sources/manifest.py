"""Remembers what each file of a folder was found to be, so that it is decoded once.

A file is the same as long as path, size, time of its last change and of its last change of state
are. The manifest is an entry of the cache, `folders/<hash of the folder's path>/`.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.data.sources.base import Progress
from experiments.data.sources.pixels import UnusableImageError, decode, of_system, reader
from experiments.record.files import write_json

READING = "reading images"
_SAVE_SECONDS = 30.0  # between saves: an interruption loses no more reading than that


@dataclass(frozen=True)
class Examined:
    """What a file is.

    Args:
        sha256: Hash of its bytes, in hex; empty for what is no usable image.
        problem: Why it can't be used; empty if it can, or is no image at all.
        rescued: Whether format 1 would have decoded it to other pixels.
        passing: Whether the problem is the system's, so that it is not remembered.
    """

    sha256: str = ""
    problem: str = ""
    rescued: bool = False
    passing: bool = False


class Manifest:
    """The files of one folder.

    Args:
        root: The folder.
        cache_dir: The cache folder; nothing is remembered without.
    """

    def __init__(self, root: Path, cache_dir: Path | None) -> None:
        self._root = root
        self._place = None
        if cache_dir is not None:
            name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
            self._place = cache_dir / "folders" / name
        self._known = self._load()  # relative path -> state, content, problem, rescued
        self._current: dict[str, list[Any]] = {}

    def examine(
        self, files: list[Path], progress: Progress | None = None
    ) -> Iterator[tuple[Path, Examined]]:
        """Yields each file with what it is; decodes those that are new or have changed."""
        kept, changed = time.monotonic(), False
        for done, path in enumerate(files, 1):
            name = str(path.relative_to(self._root))
            try:
                state = _state(path)
            except OSError as error:
                yield path, _of(of_system(error))
                continue
            entry = self._known.get(name)
            if entry is not None and entry[0] == state:
                found = Examined(*entry[1:])
            else:
                found, changed = _examine(path), True
            if not found.passing:
                self._current[name] = [state, found.sha256, found.problem, found.rescued]
            yield path, found
            if progress is not None:
                progress(done, len(files), READING)
            if changed and time.monotonic() - kept > _SAVE_SECONDS:
                self._save(self._known | self._current)
                kept = time.monotonic()
        if changed or len(self._current) != len(self._known):
            self._save(self._current)
        elif self._place is not None:
            with suppress(OSError):
                os.utime(self._place / "info.json")

    def _load(self) -> dict[str, list[Any]]:
        if self._place is None:
            return {}
        try:
            found = json.loads((self._place / "files.json").read_text(encoding="utf-8"))
            if found["reader"] != reader():
                return {}
            return {name: entry for name, entry in found["files"].items() if _is_sound(entry)}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def _save(self, files: dict[str, list[Any]]) -> None:
        if self._place is None:
            return
        info = {"what": "list of files", "num_images": len(files), "dataset": str(self._root)}
        with suppress(OSError):  # a cache that can't be written remembers nothing
            write_json(self._place / "files.json", {"reader": reader(), "files": files})
            write_json(self._place / "info.json", info)


def _state(path: Path) -> list[int]:
    state = path.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]


def _is_sound(entry: object) -> bool:
    kinds = (list, str, str, bool)
    return (
        isinstance(entry, list)
        and len(entry) == len(kinds)
        and all(isinstance(part, kind) for part, kind in zip(entry, kinds, strict=True))
    )


def _examine(path: Path) -> Examined:
    try:
        found = decode(path)
        if found is None:
            return Examined()
        with path.open("rb") as file:
            return Examined(hashlib.file_digest(file, "sha256").hexdigest(), "", found.rescued)
    except UnusableImageError as error:
        return _of(error)
    except OSError as error:
        return _of(of_system(error))


def _of(error: UnusableImageError) -> Examined:
    return Examined(problem=str(error), passing=error.passing)
