"""Finds the files of a folder: what is hidden is left alone, links are followed once."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_IGNORED = ("thumbs.db", "desktop.ini", "__macosx")  # what systems leave
_USED = "links to a folder that is used already"
Identity = tuple[int, int]  # device and inode of a folder


@dataclass(frozen=True)
class Found:
    """What is in a folder.

    Args:
        files: Regular files, sorted.
        problems: What can't be entered or read, and why.
    """

    files: list[Path]
    problems: list[tuple[Path, str]]


def identity(folder: Path) -> Identity:
    """Names a folder by what it is, not by where it is linked from."""
    state = folder.stat()
    return state.st_dev, state.st_ino


def with_parents(folder: Path) -> set[Identity]:
    """Returns a folder and those above it, which no link below it may lead to."""
    resolved = folder.resolve()
    return {identity(path) for path in (resolved, *resolved.parents)}


def subfolders(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Returns the visible sub-folders, sorted, and those that can't be used, with reasons.

    Of two that are the same folder one is used, the one that is no link; one that leads back to
    where it is in is not.
    """
    seen = with_parents(folder)
    usable: list[Path] = []
    problems: list[tuple[Path, str]] = []
    for path in sorted(_visible(folder), key=lambda path: (path.is_symlink(), path)):
        try:
            state = path.stat()
        except OSError as error:
            problems.append((path, _reason(path, error)))
            continue
        if not stat.S_ISDIR(state.st_mode):
            continue
        this = state.st_dev, state.st_ino
        if this in seen:
            problems.append((path, _USED))
            continue
        seen.add(this)
        usable.append(path)
    return sorted(usable), sorted(problems)


def own_files(folder: Path) -> list[Path]:
    """Returns the visible regular files that lie in the folder itself."""
    return [path for path in _visible(folder) if path.is_file()]


def find_files(folder: Path, seen: Iterable[Identity] = ()) -> Found:
    """Finds the regular files of a folder and of all below it.

    Args:
        folder: Where to look.
        seen: Folders that a link must not lead to.
    """
    problems: list[tuple[Path, str]] = []
    files = sorted(iterate_files(folder, problems, seen))
    return Found(files, sorted(problems))


def iterate_files(
    folder: Path, problems: list[tuple[Path, str]], seen: Iterable[Identity] = ()
) -> Iterator[Path]:
    """Yields what `find_files` finds as it goes, and adds to `problems`."""
    entered = set(seen)
    ahead, linked = [folder], list[Path]()
    while ahead or linked:
        if not ahead:  # links last, so that files are found where they are
            linked.sort()
        here = ahead.pop() if ahead else linked.pop(0)
        try:
            this = identity(here)
            if this in entered and here != folder:
                problems.append((here, _USED))
                continue
            entered.add(this)
            names = _visible(here)
        except OSError as error:
            problems.append((here, _reason(here, error)))
            continue
        for path in names:
            try:
                mode = path.stat().st_mode
            except OSError as error:
                problems.append((path, _reason(path, error)))
                continue
            if stat.S_ISREG(mode):
                yield path
            elif stat.S_ISDIR(mode):
                (linked if path.is_symlink() else ahead).append(path)
            else:
                problems.append((path, "no regular file"))


def _visible(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    return sorted(folder / n for n in names if n[0] != "." and n.lower() not in _IGNORED)


def _reason(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return "a link to nothing"
    return (error.strerror or str(error)).lower()
