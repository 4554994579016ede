"""One process at a time works on a study: a lock that the system drops when its holder dies."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from experiments.record.errors import UserError
from experiments.record.files import check_own
from experiments.record.formatting import named
from experiments.record.layout import StudyFolder
from experiments.record.reading import read_json

SEARCHED, COMPARED, FREED = "searched", "compared", "freed of weights"


@contextmanager
def locked(folder: Path, doing: str = SEARCHED) -> Iterator[None]:
    """Holds the lock of a study folder.

    Args:
        folder: The study folder.
        doing: What is done to the study meanwhile, as others are told.

    Raises:
        UserError: Another process holds it, or a place in the folder is a link to elsewhere.
    """
    check_own(folder)
    study = StudyFolder(folder)
    lock = FileLock(study.lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(
            f"study {folder.name!r} is being {_doing(holder(folder))} already{_by_whom(folder)}; "
            f"{_what_to_do(folder)}"
        ) from None
    try:
        study.holder.unlink(missing_ok=True)  # it may be a pipe
        study.holder.write_text(json.dumps(_myself() | {"doing": doing}), encoding="utf-8")
        yield
    finally:
        study.holder.unlink(missing_ok=True)
        lock.release()


def _myself() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "created": process.create_time(),
        "started": _started(process.pid),
        "since": time.time(),
    }


def _started(pid: int) -> int | None:
    """Returns when a process was started, in ticks since the machine was: on Linux, else `None`.

    The time of creation that psutil computes there moves with the clock of the wall.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[19])  # its name may hold spaces and brackets


def holder(folder: Path) -> dict[str, Any] | None:
    """Returns the last known holder of a study folder's lock, without touching the lock."""
    try:
        found = read_json(StudyFolder(folder).holder)
    except UserError:
        return None
    return found if isinstance(found, dict) else None


def is_running(folder: Path) -> bool | None:
    """Whether a study is being searched; `None` where another machine would have to be asked."""
    found = holder(folder)
    if found is None or _doing(found) != SEARCHED:
        return False
    if found.get("host") != platform.node():
        return None
    try:
        if found.get("started") is not None:
            return bool(_started(int(found["pid"])) == found["started"])
        return bool(psutil.Process(int(found["pid"])).create_time() == found.get("created"))
    except (psutil.Error, KeyError, TypeError, ValueError, OverflowError):
        return False


def _by_whom(folder: Path) -> str:
    found = holder(folder)
    if found is None:
        return ""
    return f" by process {found.get('pid')} on {found.get('host')}"


def _doing(found: dict[str, Any] | None) -> str:
    """Returns what a holder does; holders of older versions, which did not record it, search."""
    doing = (found or {}).get("doing")
    return doing if doing in (COMPARED, FREED) else SEARCHED


def _what_to_do(folder: Path) -> str:
    if _doing(holder(folder)) == SEARCHED:
        return f"watch it with `experiments status {named(folder)} --watch`"
    return "wait until that has ended"
