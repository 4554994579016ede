"""Reads title and verdict back from a page that was written, of this version or an earlier one."""

import html
import re
from dataclasses import dataclass
from pathlib import Path

from experiments.record.reading import clean

_MOST_BYTES = 200_000  # style, title and verdict are in them
_MOST_TEXT = 1500


@dataclass(frozen=True)
class Written:
    """What a page says first.

    Args:
        title: Its title; empty where it has none.
        verdict: The sentence of its verdict, likewise.
    """

    title: str
    verdict: str


def read_page(path: Path) -> Written:
    """Reads a page's title and verdict; they are empty where it can't be read, or is another."""
    try:
        if not path.is_file():
            return Written("", "")
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return Written("", "")
    verdict = text.partition('<section id="verdict"')[2]
    return Written(
        _between(text, "<title>", "</title>"), _between(verdict, '<p class="finding">', "</p>")
    )


def _between(text: str, begin: str, end: str) -> str:
    inside, found, _ = text.partition(begin)[2].partition(end)
    plain = re.sub(r"</?code>", "`", inside)  # as the sentence was before the page was made
    return clean(" ".join(html.unescape(plain).split()), _MOST_TEXT) if found else ""
