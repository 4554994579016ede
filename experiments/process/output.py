"""The one way of texts to the terminal: what would steer it is shown, not sent.

Names of folders, classes and hyperparameters, messages and whatever else a study records are
written by others. All that is printed passes `printable`.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

# Controls, marks that change the direction of the text around them, halves of characters.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LAYOUT = "\n\t"  # of texts of several lines


def printable(text: str, *, one_line: bool = False) -> str:
    r"""Returns `text` with what would steer a terminal shown as `\x1b`, `\u202e`.

    Args:
        text: Any text.
        one_line: Whether line breaks and tabs are shown so as well.
    """

    def escaped(match: re.Match[str]) -> str:
        found = match[0]
        if found in _LAYOUT and not one_line:
            return found
        if "\udc80" <= found <= "\udcff":  # a byte of a file name that is not UTF-8
            return f"\\x{ord(found) - 0xDC00:02x}"
        return found.encode("unicode_escape").decode("ascii")

    return _STEERING.sub(escaped, text)


def echo(text: object = "", *, err: bool = False) -> None:
    """Prints `text`, whatever it has in it, in the characters that the output can show."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    shown = printable(str(text)).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown, err=err)


def say(line: str) -> None:
    """Prints a line; once nobody reads any more, says so on standard error and prints nothing."""
    try:
        echo(line)
    except OSError:  # a closed pipe, a terminal that is gone
        close()
        complain("the output was closed: the search goes on without it")


def complain(line: str) -> None:
    """Prints a line on standard error; nothing where that is closed as well."""
    try:
        echo(line, err=True)
    except OSError:
        with suppress(OSError, ValueError):
            _let_go(sys.stderr)


def close() -> None:
    """Lets what is still printed go nowhere, so that Python does not fail at its exit."""
    _let_go(sys.stdout)


def _let_go(stream: Any) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Enduring:
    """A stream whose text goes nowhere from when its terminal is gone.

    Args:
        stream: What is written to.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes `text`, if anybody reads it."""
        with self._going_on():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Writes what was held back, if anybody reads it."""
        with self._going_on():
            self._stream.flush()

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            _let_go(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
