"""A folder of images whose classes a CSV file of labels names."""

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from experiments.data.sources.base import Access
from experiments.data.sources.pixels import image_suffixes, is_meant_as_image
from experiments.data.sources.scan import Scan, shortened
from experiments.data.sources.walk import find_files
from experiments.record.errors import UserError
from experiments.record.formatting import plural

_FILE, _LABEL = "file", "label"
_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_MOST_NAMED = 5  # columns, in a message


@dataclass
class _Files:
    """The files of a folder by the names that a table may call them.

    Args:
        exact: Path within the folder, with `/` -> the file.
        others: Name without its folder or its ending -> the images that have it.
        folders: The first folders of their paths, each alone in a tuple.
    """

    exact: dict[str, Path] = field(default_factory=dict)
    others: dict[str, set[Path]] = field(default_factory=lambda: defaultdict(set))
    folders: set[tuple[str, ...]] = field(default_factory=set)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.called(name))

    def called(self, name: str) -> set[Path]:
        """Returns the files that a name may mean; one in a folder that is there means no other."""
        plain = str(PurePosixPath(name.replace("\\", "/")))
        exact = self.exact.get(name) or self.exact.get(plain)
        if exact:
            return {exact}
        if PurePosixPath(plain).parts[:1] in self.folders:
            return self.others.get(plain, set())
        return self.others.get(plain) or self.others.get(_last(plain), set())


def _last(name: str) -> str:
    return PurePosixPath(name).name


def scan_labelled(name: str, root: Path, labels: Path, access: Access) -> Scan:
    """Examines the images that a CSV file of labels names.

    A file is named by its path within the folder, or by its own name, with or without its ending,
    if that is unique. A header `file,label` says which columns hold names and labels; else there
    are just these two.

    Args:
        name: The dataset's name, for messages.
        root: The folder.
        labels: The CSV file.
        access: Says where it is remembered what files are.

    Raises:
        UserError: The CSV file can't be read, contradicts itself, or names no usable image.
    """
    scan = Scan()
    found = find_files(root)
    files = _indexed(found.files, root)
    table, columns = _read(name, labels, files)
    place, missing = _places(name, labels, table, files)
    unlabelled = [p for p in found.files if p not in place and is_meant_as_image(p)]
    scan.paths["train"] = {label: [] for label in in_order({c for _, c in place.values()})}
    problems = scan.examine(place, root, access)
    usable = {path for paths in scan.paths["train"].values() for path in paths}
    unreadable = {path for path, _ in problems}
    problems += [(p, "it is no image") for p in place if p not in usable | unreadable]
    num_unreadable = len(problems)
    scan.skip([*problems, *found.problems], root)
    scan.skipped += [f"{shortened(cell)} ({reason})" for cell, reason in missing.items()]
    scan.skip([(path, f"no label in {labels.name}") for path in unlabelled], root)
    for label, paths in scan.paths["train"].items():
        for path in paths:
            scan.digest.update(f"{label}\0".encode("utf-8", "surrogateescape"))
            scan.digest.update(os.fsencode(path.relative_to(root).as_posix()) + b"\0")
    counts = (
        f"{plural(len(missing), 'file')} of {labels.name} not found" if missing else "",
        f"{plural(len(unlabelled), 'image')} without a label" if unlabelled else "",
        f"{plural(num_unreadable, 'file')} unreadable" if num_unreadable else "",
    )
    said = ", ".join(filter(None, counts))
    scan.notes = [f"labels from {labels.name}, {columns}", *([said] if said else [])]
    if not usable:
        causes = f": {', '.join(scan.skipped[:3])}" if scan.skipped else ""
        raise UserError(
            f"dataset {name!r}: no readable image of {str(root)!r} has a label in "
            f"{str(labels)!r} ({columns}; {said or 'no row'}){causes}"
        )
    return scan


def in_order(labels: Iterable[str]) -> list[str]:
    """Sorts labels: by number if all are whole numbers, else by text."""
    given = list(labels)
    if all(label.isascii() and label.isdecimal() for label in given):
        return sorted(given, key=lambda label: (int(label), label))
    return sorted(given)


def _indexed(found: Iterable[Path], root: Path) -> _Files:
    files = _Files()
    for path in found:
        within = path.relative_to(root)
        files.exact[within.as_posix()] = path
        files.folders.add(within.parts[:-1][:1])
        if is_meant_as_image(path):
            for other in (path.name, path.stem, within.with_suffix("").as_posix()):
                files.others[other].add(path)
    return files


def _read(name: str, path: Path, files: Container[str]) -> tuple[list[tuple[str, str]], str]:
    """Returns names of files with labels, and which columns they are from, in words."""
    try:
        rows = _rows(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(
            f"dataset {name!r}: file of labels {str(path)!r} is no UTF-8 text: save it as UTF-8 "
            "(in Excel: 'CSV UTF-8')"
        ) from None
    except (OSError, csv.Error, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"dataset {name!r}: file of labels {str(path)!r} can't be read ({reason}); a relative "
            "path is looked for in the folder of images, then in the current one"
        ) from None
    if not rows:
        raise UserError(f"dataset {name!r}: file of labels {str(path)!r} is empty")
    head = [cell.strip() for cell in rows[0]]
    lower = [cell.lower() for cell in head]
    is_named = _FILE in lower and _LABEL in lower
    columns = (lower.index(_FILE), lower.index(_LABEL)) if is_named else (0, 1)
    if not is_named and any(cell.strip() for row in rows for cell in row[2:]):
        raise UserError(
            f"dataset {name!r}: {str(path)!r} has {max(map(len, rows))} columns "
            f"({', '.join(map(repr, head[:_MOST_NAMED]))}), and it is not said which are meant: "
            f"expected a first row that names one '{_FILE}' and one '{_LABEL}', or only two columns"
        )
    short = next((number for number, row in enumerate(rows, 1) if len(row) <= max(columns)), None)
    if short is not None:
        raise UserError(
            f"dataset {name!r}: row {short} of {str(path)!r} has "
            f"{plural(len(rows[short - 1]), 'column')}: expected a file name and a label, "
            "separated by a comma"
        )
    heads = " and ".join(repr(head[column]) for column in columns)
    is_headed = is_named or not _names_image(head[0], files)
    if is_headed:
        rows = rows[1:]
    said = f"columns {heads}" if is_named else f"columns 1 and 2 ({heads})"
    pairs = [(row[columns[0]].strip(), row[columns[1]].strip()) for row in rows]
    return pairs, said if is_headed else "columns 1 and 2 (no header)"


def _rows(text: str) -> list[list[str]]:
    """Returns the rows that are not empty; Excel may say in a line of its own what separates."""
    told = _SEPARATOR.match(text)
    text = text[told.end() :] if told else text
    delimiter = told[1] if told else max(_DELIMITERS, key=text.partition("\n")[0].count)
    read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row in read if any(map(str.strip, row))]


def _names_image(cell: str, files: Container[str]) -> bool:
    return cell in files or PurePosixPath(cell).suffix.lower() in image_suffixes()


def _places(
    name: str, labels: Path, table: Iterable[tuple[str, str]], files: _Files
) -> tuple[dict[Path, tuple[str, str]], dict[str, str]]:
    """Returns role and class of each file that has one, and names that mean none, with reasons."""
    place: dict[Path, tuple[str, str]] = {}
    missing: dict[str, str] = {}
    for cell, label in table:
        meant = files.called(cell)
        if len(meant) != 1:
            missing[cell] = "several files of that name" if meant else "no such file"
            continue
        (path,) = meant
        if not label:
            continue
        before = place.setdefault(path, ("train", label))[1]
        if before != label:
            raise UserError(
                f"dataset {name!r}: {str(labels)!r} gives {cell!r} two labels, {before!r} and "
                f"{label!r}: expected one"
            )
    return dict(sorted(place.items())), missing
