"""The cache folder: prepared datasets, kept features, lists of files; how to empty it."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from experiments.errors import UserError

_KINDS = ("datasets", "features", "folders")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_IN_USE_SECONDS = 600  # a half-made entry touched this lately may be somebody's work


def cache_folder(cache_dir: str | None) -> Path:
    """Returns the cache folder: the one named, or the user's own."""
    return Path(cache_dir or platformdirs.user_cache_path("keras-tuner-experiments"))


@dataclass(frozen=True)
class Cached:
    """One entry of the cache.

    Args:
        path: Its folder.
        kind: `datasets`, `features`, or `folders` (what the files of an image folder are).
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
    found = [_entry(kind, path) for kind in _KINDS for path in _folders(folder / kind)]
    return sorted(found, key=lambda entry: -entry.used)


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir())


def _entry(kind: str, path: Path) -> Cached:
    files = [file for file in path.rglob("*") if file.is_file()]
    info = path / "info.json"
    whole = info.is_file() and not path.name.startswith(".") and path.suffix != ".partial"
    what = "unfinished"
    if whole:
        what = _what(info)
    newest = max((file.stat().st_mtime for file in files), default=path.stat().st_mtime)
    return Cached(
        path=path,
        kind=kind,
        what=what,
        num_bytes=sum(file.stat().st_size for file in files),
        used=info.stat().st_mtime if whole else newest,
        whole=whole,
    )


def _what(info: Path) -> str:
    try:
        facts = json.loads(info.read_text(encoding="utf-8"))
        if "what" in facts:
            return f"{facts['what']}: {facts['num_images']:,} images of {facts['dataset']}"
        shape = "x".join(str(side) for side in facts["shape"])
        name = facts.get("name", facts["dataset"])
        return f"{name}: {facts['num_images']:,} images of {shape}"
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


def prune(folder: Path, older_than: float | None, max_bytes: int | None) -> list[Cached]:
    """Removes entries from the one unused longest on.

    Args:
        folder: The cache folder.
        older_than: Removes what was not used for so many seconds; all unused if `None` and
            `max_bytes` is `None`.
        max_bytes: Removes until no more than this is left.

    Returns:
        What was removed.
    """
    now, removed = time.time(), []
    left = entries(folder)
    total = sum(entry.num_bytes for entry in left)
    for entry in reversed(left):
        age = now - entry.used
        if not entry.whole and age < _IN_USE_SECONDS:
            continue
        everything = older_than is None and max_bytes is None
        too_old = older_than is not None and age > older_than
        too_much = max_bytes is not None and total > max_bytes
        if everything or too_old or too_much:
            # Renamed first, so that nobody opens an entry that is half gone.
            shutil.rmtree(entry.path.rename(entry.path.with_name(f".gone-{entry.path.name}")))
            (entry.path.parent / f"{entry.path.name}.lock").unlink(missing_ok=True)
            total -= entry.num_bytes
            removed.append(entry)
    return removed


def parse_size(text: str) -> int:
    """Parses `500M` or `20GB`.

    Raises:
        UserError: It is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip().upper())
    if not match:
        raise UserError(f"--max-size {text!r}: expected a size such as 500MB or 20GB")
    return int(float(match[1]) * _UNITS[match[2]])


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
        f"{_size(entry.num_bytes):>10}  {_age(now - entry.used):>8}  {entry.kind:8}  {entry.what}"
        for entry in found
    ]
    total = f"{_size(sum(e.num_bytes for e in found))} in {len(found)} entries of {str(folder)!r}"
    return "\n".join(
        [f"{'size':>10}  {'unused':>8}  kind      what", *rows, total] if rows else [total]
    )


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            break
        num_bytes /= 1000
    return f"{num_bytes:.0f} B" if unit == "B" else f"{num_bytes:.1f} {unit}"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
