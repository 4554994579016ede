"""The cache folder: prepared datasets, kept features, lists of files; how to empty it."""

import json
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from experiments.data.cache_use import GONE, INFO, OWN_NAME, PARTIAL, claimed, lock_of
from experiments.record.errors import UserError
from experiments.record.formatting import are, byte_size, plural
from experiments.record.layout import expanded
from experiments.record.reading import dig

KINDS = ("datasets", "features", "folders", "arrays")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_IN_USE_SECONDS = 600  # what was touched this lately may be in use, where nobody can tell


def cache_folder(cache_dir: str | None) -> Path:
    """Returns the cache folder: the one named, or the user's own.

    Raises:
        UserError: None is named, and the user has no home.
    """
    if cache_dir == "":
        raise UserError("--cache-dir is empty: name a folder, or leave the option away")
    if cache_dir is not None:
        return expanded(cache_dir)
    try:
        return platformdirs.user_cache_path("keras-tuner-experiments")
    except (RuntimeError, KeyError):
        raise UserError(
            "there is no home folder for the cache (HOME is not set, and the system does not know "
            f"user {os.getuid()}): name a folder with --cache-dir, or set HOME"
        ) from None


@dataclass(frozen=True)
class Cached:
    """One entry of the cache.

    Args:
        path: Its folder.
        kind: `datasets`, `features`, `folders` (what the files of an image folder are), or `arrays`
            (which were given as `data=`).
        what: What it holds.
        num_bytes: Its size.
        used: When it was last used, in seconds since 1970.
        whole: Whether it is finished.
    """

    path: Path
    kind: str
    what: str
    num_bytes: int
    used: float
    whole: bool = True


def entries(folder: Path) -> list[Cached]:
    """Returns every entry, the one used last first."""
    found = [_entry(kind, path) for kind in KINDS for path in _folders(folder / kind)]
    there = [entry for entry in found if entry.path.is_dir()]  # others have been renamed meanwhile
    return sorted(there, key=lambda entry: -entry.used)


def _folders(folder: Path) -> Iterator[Path]:
    """Yields the folders of a name that the cache gives; others are somebody else's."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if OWN_NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _entry(kind: str, path: Path) -> Cached:
    states = _states(path)
    info = path / INFO
    whole = info in states and not path.name.startswith(".") and path.suffix != PARTIAL
    what = _what(info) if whole else "unfinished"
    newest = max((state.st_mtime for state in states.values()), default=0.0)
    return Cached(
        path=path,
        kind=kind,
        what=what,
        num_bytes=sum(state.st_size for state in states.values()),
        used=states[info].st_mtime if info in states else newest,
        whole=whole,
    )


def _states(folder: Path) -> dict[Path, os.stat_result]:
    """Returns the files of a folder; one that vanishes meanwhile is none."""
    found = {}
    for parent, _, names in os.walk(folder):  # which passes over folders that vanish, too
        for path in (Path(parent, name) for name in names):
            with suppress(OSError):
                state = path.stat()
                if stat.S_ISREG(state.st_mode):
                    found[path] = state
    return found


def _what(info: Path) -> str:
    try:
        facts = json.loads(info.read_text(encoding="utf-8"))
        if "what" in facts:
            return f"{facts['what']}: {facts['num_images']:,} images of {facts['dataset']}"
        shape = "x".join(str(side) for side in facts["shape"])
        name = facts.get("name", facts["dataset"])
        noun = str(dig(facts, "health", "counted") or "image")
        return f"{name}: {plural(facts['num_images'], noun)} of {shape}"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


@dataclass
class Pruned:
    """The result of pruning the cache.

    Args:
        removed: What is gone.
        in_use: What was to go, and is being used.
        refused: What was to go, and can't be removed by this user.
    """

    removed: list[Cached] = field(default_factory=list)
    in_use: list[Cached] = field(default_factory=list)
    refused: list[Cached] = field(default_factory=list)

    def __str__(self) -> str:
        kept = [
            f"; kept {len(found)} that {why}"
            for found, why in (
                (self.in_use, f"{are(len(self.in_use))} in use"),
                (self.refused, "can't be removed"),
            )
            if found
        ]
        return f"removed {_entries(len(self.removed))}{''.join(kept)}"


def prune(folder: Path, older_than: float | None, max_bytes: int | None) -> Pruned:
    """Removes entries from the one unused longest on; what a process uses stays.

    Args:
        folder: The cache folder.
        older_than: Removes what was not used for so many seconds; all unused if `None` and
            `max_bytes` is `None`.
        max_bytes: Removes until no more than this is left.

    Returns:
        What was removed, and what was to be and is still there.
    """
    now, pruned = time.time(), Pruned()
    left = entries(folder)
    total = sum(entry.num_bytes for entry in left)
    for entry in reversed(left):
        age = now - entry.used
        everything = older_than is None and max_bytes is None
        too_old = older_than is not None and age > older_than
        too_much = max_bytes is not None and total > max_bytes
        if everything or too_old or too_much:
            into = _remove(entry, age, pruned)
            into.append(entry)
            total -= entry.num_bytes if into is pruned.removed else 0
    return pruned


def _remove(entry: Cached, age: float, pruned: Pruned) -> list[Cached]:
    """Removes an entry, if nobody uses or makes it; returns the list that it belongs to."""
    with claimed(entry.path) as is_free:
        lately = is_free is None and age < _IN_USE_SECONDS
        if is_free is False or lately:
            return pruned.in_use
        try:
            # Renamed first, so that nobody opens an entry that is half gone.
            gone = entry.path.rename(entry.path.with_name(f"{GONE}{entry.path.name}"))
            shutil.rmtree(gone)
        except FileNotFoundError:  # it was finished, or another process was faster
            return []
        except OSError:
            return pruned.refused
    _remove_lock(lock_of(entry.path))
    return pruned.removed


def _remove_lock(path: Path) -> None:
    """Removes a lock's file, unless somebody has the lock."""
    lock = FileLock(path)
    if not path.exists():  # which acquiring would make
        return
    with suppress(Timeout, OSError), lock.acquire(blocking=False):
        path.unlink(missing_ok=True)


def parse_size(text: str) -> int:
    """Parses `500M` or `20GB`.

    Raises:
        UserError: It is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    size = float(match[1]) * _UNITS[match[2]] if match else math.inf
    if not math.isfinite(size):
        raise UserError(f"--max-size {text!r}: expected a size such as 500MB or 20GB")
    return int(size)


def parse_age(text: str) -> float:
    """Parses `12h` or `30d` into seconds.

    Raises:
        UserError: It is no age.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhdw])", text.strip().lower())
    if not match:
        raise UserError(f"--older-than {text!r}: expected an age such as 90m, 12h, 30d or 8w")
    return float(match[1]) * _SECONDS[match[2]]


def describe(folder: Path, found: list[Cached]) -> str:
    """Lists entries with size and age, and their sum."""
    now = time.time()
    rows = [
        f"{byte_size(e.num_bytes):>10}  {_age(now - e.used):>8}  {e.kind:8}  {e.what}"
        for e in found
    ]
    total = (
        f"{byte_size(sum(e.num_bytes for e in found))} in {_entries(len(found))} of {str(folder)!r}"
    )
    return "\n".join(
        [f"{'size':>10}  {'unused':>8}  kind      what", *rows, total] if rows else [total]
    )


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"
