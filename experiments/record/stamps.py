"""Stamps of files: whether one has changed since it was read, without reading it."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.record.layout import StudyFolder

Stamp = list[int] | None  # of a file: inode, time of change in ns, bytes; `None` without one


def stamp_of(path: str | Path) -> Stamp:
    """Returns the stamp of a file; its size is -1 where it is no regular file."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return [0, 0, -1] if os.path.lexists(path) else None  # a link to nowhere can't be read
    return [facts.st_ino, facts.st_mtime_ns, facts.st_size if stat.S_ISREG(facts.st_mode) else -1]


def stamps_beside_trials(folder: Path) -> dict[str, Stamp]:
    """Returns the stamps of what a report is made of, but for the trials' files, by path."""
    study = StudyFolder(folder)
    paths = [study.record, study.oracle, study.model, *_files(study.artifacts)]
    return {str(path): stamp_of(path) for path in (*paths, *_files(study.confirmed))}


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*")) if path.is_file()]


def newest(stamps: Iterable[Stamp]) -> int:
    """Returns the latest time of change in ns; 0 without a file."""
    return max((stamp[1] for stamp in stamps if stamp is not None), default=0)


def is_current(page: Path, folder: Path, trials: Mapping[str, Iterable[Stamp]]) -> bool:
    """Whether the page of a report is as new as all that it is made of.

    Args:
        page: The page.
        folder: The study folder.
        trials: Stamps of the trials' files, as `trial_index.scan` found them.
    """
    made_of = [stamp for stamps in trials.values() for stamp in stamps]
    made_of += stamps_beside_trials(folder).values()
    return newest(made_of) <= newest([stamp_of(page)])
