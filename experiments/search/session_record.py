"""The record of a session in `study.json`: start, facts, end."""

import time
from pathlib import Path
from typing import Any

from experiments.data.prepare import MissingDataError
from experiments.process.numerics import INTRA
from experiments.record.errors import UserError
from experiments.record.files import is_disk_full
from experiments.record.study import command_line, write_study

_ENDS = ("search_ended", "ended")  # when the study's trials, and all of it, had ended


class SessionRecord:
    """The last of a study's `sessions`.

    Args:
        folder: The study folder.
        study: The content of `study.json`; the session is added to it.
    """

    def __init__(self, folder: Path, study: dict[str, Any]) -> None:
        self._folder, self._study = folder, study
        self._ended_before: dict[str, float] = {}
        self.is_begun = False

    def begin(self, **facts: object) -> None:
        """Adds the session; until it has ended, the study has not."""
        session = {"started": time.time(), "command_line": command_line()} | facts
        self._ended_before = {n: self._study.pop(n) for n in _ENDS if n in self._study}
        self._study.setdefault("sessions", []).append(session)
        self.is_begun = True
        write_study(self._folder, self._study)

    def note(self, **facts: object) -> None:
        """Adds facts to the session."""
        self._study["sessions"][-1] |= facts
        if "search_ended" in facts:
            self._study["search_ended"] = facts["search_ended"]
        write_study(self._folder, self._study)

    def end(self, *, was_idle: bool, **facts: object) -> None:
        """Records the end.

        Args:
            was_idle: Whether no work was left: the study then keeps its earlier end.
            **facts: Further facts to record.
        """
        if was_idle and "ended" in self._ended_before:
            self._study |= self._ended_before
        else:
            self._study["ended"] = time.time()
        self.note(ended=time.time(), **facts)


def other_threads(sessions: list[dict[str, Any]]) -> list[str]:
    """Warns if a session's trials have other threads than the last session's, and how to fix it."""
    *before, now = [session.get("threads") for session in sessions]
    if not before or None in (before[-1], now) or before[-1] == now:
        return []
    return [
        f"trials had {before[-1]} threads until now and have {now} from now on: scores of the same "
        f"seeds may differ; {INTRA}={before[-1]} keeps them"
    ]


def told(error: OSError, folder: Path, how: str) -> UserError | None:
    """Returns what a user is told of an error that ended a session; `None` if it is unknown.

    Args:
        error: The error.
        folder: The study folder.
        how: How the search is resumed.
    """
    if isinstance(error, MissingDataError):
        return UserError(
            f"{error.strerror or error}; nothing that had ended is lost: once the dataset is "
            f"there again, {how}"
        )
    if is_disk_full(error):
        return UserError(
            f"no space is left for study {folder.name!r} in {str(folder.parent)!r}; "
            f"nothing that had ended is lost: free some, then {how}"
        )
    return None
