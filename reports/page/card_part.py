"""A part of the model card, and its Markdown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_ROWS = 20  # of a table: more are left out, which is said
Table = tuple[tuple[str, ...], ...]  # headings, then rows


@dataclass(frozen=True)
class Part:
    """A part of the card.

    Args:
        title: Its heading.
        lines: Sentences; text between backticks is code.
        table: Headings and rows; empty without a table.
        code: Python; empty without any.
        command: Lines for a shell; empty without any.
    """

    title: str
    lines: tuple[str, ...] = ()
    table: Table = ()
    code: str = ""
    command: str = ""


def few_rows(rows: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    """Returns the first rows, and one that says how many are left out."""
    if len(rows) <= MOST_ROWS:
        return rows
    beyond = len(rows) - MOST_ROWS
    return [*rows[:MOST_ROWS], (f"{beyond:,} more", *([""] * (len(rows[0]) - 1)))]


def _markdown_of(table: Table) -> str:
    rows = [[_escaped(cell) for cell in row] for row in table]
    rows.insert(1, ["---"] * len(table[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_CODE = re.compile(r"(`[^`]+`)")
# Underscores within a word are none.
_MARKUP = re.compile(r"([\\<*\[|~&]|(?<![^\W_])_|_(?![^\W_]))")


def _escaped(line: str) -> str:
    """Returns a line in which only what stands between backticks is markup."""
    parts = _CODE.split(" ".join(line.split()))
    return "".join(part if _CODE.fullmatch(part) else _MARKUP.sub(r"\\\1", part) for part in parts)


def markdown(title: str, parts: Sequence[Part]) -> str:
    """Returns parts as Markdown, in which names are no markup."""
    found = [f"# {_escaped(title)}"]
    for part in parts:
        found.append(f"## {_escaped(part.title)}")
        if part.lines:
            found.append("\n".join(f"- {_escaped(line)}" for line in part.lines))
        found += [f"```\n{block}\n```" for block in (part.code, part.command) if block]
        if part.table:
            found.append(_markdown_of(part.table))
    return "\n\n".join(found) + "\n"
