"""The only way of text to the terminal: control characters are shown, not sent.

Names of folders, classes and hyperparameters, messages and other recorded texts are untrusted.
All printed text passes through `printable`.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

# Control characters, marks that change text direction, lone surrogates.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LAYOUT = "\n\t"  # allowed in texts of several lines


def printable(text: str, *, one_line: bool = False) -> str:
    r"""Returns `text` with control characters shown as `\x1b`, `\u202e`.

    Args:
        text: Any text.
        one_line: Whether line breaks and tabs are shown in this way too.
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
    """Prints `text` safely, in characters that the output can show."""
    stream = sys.stderr if err else sys.stdout
    click.echo(_encodable(printable(str(text)), stream), err=err)


def _encodable(text: str, stream: Any) -> str:
    """Returns `text` with what the stream's encoding lacks shown as `\\u2026`."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(line: str) -> None:
    """Prints a line; if the output is closed, reports that on standard error once."""
    try:
        echo(line)
    except OSError:  # a closed pipe or terminal
        close()
        complain("the output was closed: the search continues without it")


def complain(line: str) -> None:
    """Prints a line on standard error; does nothing if that is closed."""
    try:
        echo(line, err=True)
    except OSError:
        with suppress(OSError, ValueError):
            _let_go(sys.stderr)


def close() -> None:
    """Discards remaining output, so that Python does not fail at its exit."""
    _let_go(sys.stdout)


def _let_go(stream: Any) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Enduring:
    """A stream that takes any character, and discards text once its terminal is closed.

    Args:
        stream: The stream to write to.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes `text`, unless the terminal is closed."""
        with self._going_on():
            self._stream.write(_encodable(text, self._stream))
        return len(text)

    def flush(self) -> None:
        """Flushes buffered text, unless the terminal is closed."""
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
