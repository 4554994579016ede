"""Keeps a page current while searches run; the open page loads itself anew."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from experiments.record.layout import StudyFolder
from experiments.record.lock import is_running
from experiments.record.stamps import stamps_beside_trials
from experiments.record.study import find_study
from experiments.record.trial_index import scan
from reports.page.overview import PAGE, Overview, read_overview, write_overview
from reports.page.writing import write_text

_PAUSE = 4.0  # at least so many times what the last writing took: searches need the machine
_RELOAD = re.compile(r' data-reload="[^"]*"')


class Followed(Protocol):
    """A page that can be kept current."""

    path: Path

    def look(self) -> tuple[object, bool]:
        """Returns what changes as the page would, and whether more is to come."""

    def write(self, reload: float | None) -> Path:
        """Writes the page; `reload` is the number of seconds after which it loads itself anew."""


class FollowedStudy:
    """The report of a study.

    Args:
        study: The study's name, or its folder.
        runs_dir: Folder that holds studies.

    Raises:
        UserError: There is no such study.
    """

    def __init__(self, study: str, runs_dir: str) -> None:
        self.folder = find_study(study, runs_dir)
        self.path = StudyFolder(self.folder).page

    def look(self) -> tuple[object, bool]:
        """Returns the stamps of the record's files, and whether the search runs."""
        runs = is_running(self.folder) is not False  # before the files: its last are seen then
        return (scan(self.folder).stamps, stamps_beside_trials(self.folder)), runs

    def write(self, reload: float | None) -> Path:
        """Writes the report."""
        from reports.page.report import write_report

        return write_report(self.folder, reload=reload)


class FollowedRuns:
    """The page of all studies.

    Args:
        runs_dir: Folder that holds studies.
    """

    def __init__(self, runs_dir: str) -> None:
        self._runs_dir = runs_dir
        self.path = Path(runs_dir) / PAGE
        self._seen: Overview | None = None

    def look(self) -> tuple[object, bool]:
        """Returns what the page shows, and whether a search runs."""
        self._seen = read_overview(self._runs_dir)
        return self._seen, self._seen.is_running

    def write(self, reload: float | None) -> Path:
        """Writes the page of what was seen last."""
        return write_overview(self._runs_dir, self._seen, reload=reload)


def follow(page: Followed, seconds: float, written: Callable[[Path], None]) -> bool:
    """Writes a page, and again whenever its record has changed, until its search has ended.

    The last page does not load itself anew, however this ends.

    Args:
        page: The page.
        seconds: How long to wait between looks at the record; longer where writing takes long.
        written: Called after the first writing.

    Returns:
        Whether a search was running at first.

    Raises:
        UserError: The record can't be read, or the page can't be written.
    """
    seen, goes_on = page.look()
    was_running = goes_on
    try:
        took = _written(page, seconds if goes_on else None)
        written(page.path)
        while goes_on:
            time.sleep(max(seconds, _PAUSE * took))
            before, (seen, goes_on) = seen, page.look()
            if seen != before or not goes_on:
                took = _written(page, seconds if goes_on else None)
    except BaseException:
        _stand_still(page.path)
        raise
    return was_running


def _written(page: Followed, reload: float | None) -> float:
    """Writes a page; returns the seconds that it took."""
    began = time.monotonic()
    page.write(reload)
    return time.monotonic() - began


def _stand_still(path: Path) -> None:
    """Makes a page that was written load itself no more; without one, does nothing."""
    with suppress(OSError, ValueError):
        text = path.read_text(encoding="utf-8")
        if (still := _RELOAD.sub("", text[:200]) + text[200:]) != text:
            write_text(path, still)
