"""What a study is at: its search runs, has ended, or was interrupted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.record.lock import holder, is_running
from experiments.record.reading import as_dict, clean, dicts
from experiments.record.status_file import read_status

RUNNING, ENDED, INTERRUPTED = "running", "ended", "interrupted"
NOT_RECORDED = "not recorded"  # plain Keras Tuner says nothing of it


@dataclass(frozen=True)
class State:
    """What a study is at.

    Args:
        name: `RUNNING`, `ENDED`, `INTERRUPTED` or `NOT_RECORDED`.
        detail: The phase of one that runs, or what ended one early; may be empty.
        elsewhere: The machine on which it runs, where that is not this one: whether it still does
            can't be seen from here.
    """

    name: str
    detail: str = ""
    elsewhere: str = ""


def state_of(folder: Path, record: dict[str, Any]) -> State:
    """Returns what a study is at, without touching its lock.

    Args:
        folder: The study folder.
        record: Its `study.json`; empty for a project of plain Keras Tuner.
    """
    running = is_running(folder)
    if running is not False:
        host = "" if running else clean((holder(folder) or {}).get("host"), 40)
        return State(RUNNING, clean(read_status(folder).get("phase", "starting"), 40), host)
    if not record:
        return State(NOT_RECORDED)
    last = as_dict((dicts(record.get("sessions")) or [record])[-1])
    if "ended" not in last:
        return State(INTERRUPTED)
    early = last.get("ended_by")
    return State(ENDED, clean(early, 40) if early else "")
