"""What the files of a folder were found to be, class by class."""

import hashlib
import os
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

from experiments.data.sources.base import Access
from experiments.data.sources.manifest import Examined, Manifest
from experiments.process.output import printable

_LONGEST = 200  # characters of a path that is shown
Problems = list[tuple[Path, str]]


@dataclass
class Scan:
    """What a folder was found to hold.

    Args:
        paths: Role -> class -> its usable images.
        skipped: What can't be used, and why.
        digest: Hash of names and contents, in order.
        rescued: Whether format 1 would have decoded some to other pixels.
        num_unreadable: Images that can't be used.
        notes: What is to be said of it, a line each.
    """

    paths: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    rescued: bool = False
    num_unreadable: int = 0
    notes: list[str] = field(default_factory=list)

    def examine(self, place: dict[Path, tuple[str, str]], root: Path, access: Access) -> Problems:
        """Takes every usable image into its class.

        Args:
            place: File -> its role and class, which `paths` has already.
            root: The folder.
            access: Says where it is remembered what files are.

        Returns:
            What can't be used, and why. What is no image, and isn't called one, is passed over.
        """
        problems = []
        for path, seen in Manifest(root, access.cache_dir).examine(list(place), access.progress):
            if seen.sha256 and access.left_out and shown(path, root) in access.left_out:
                seen = Examined(problem="left out, as when the study was begun")
            if seen.problem:
                problems.append((path, seen.problem))
                self.num_unreadable += 1
            if seen.sha256:
                self._take(path, *place[path], root, seen)
        return problems

    def _take(self, path: Path, role: str, class_name: str, root: Path, seen: Examined) -> None:
        self.paths[role][class_name].append(path)
        self.digest.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
        self.digest.update(bytes.fromhex(seen.sha256))
        self.rescued |= seen.rescued

    def skip(self, problems: Problems, root: Path) -> None:
        """Names what can't be used, sorted."""
        self.skipped += [f"{shown(path, root)} ({reason})" for path, reason in sorted(problems)]


def shown(path: Path, root: Path) -> str:
    """Returns a path within `root` as it is shown: in one line, and not too long."""
    return shortened(path.relative_to(root).as_posix())


def named(skipped: Iterable[str]) -> Set[str]:
    """Returns what may be the paths of lines that `Scan.skip` made: what is before a bracket."""
    return {line[: at.start()] for line in skipped for at in re.finditer(r" \(", line)}


def shortened(text: str) -> str:
    """Returns a name of a file in one line, and not too long."""
    name = printable(text, one_line=True)
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half:]}"


def readable(name: str) -> str:
    """Returns a name that every file and page can hold, for one that is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
