"""Shows what a search is doing: live in a terminal, as plain lines elsewhere."""

import sys

from experiments.display.base import Display
from experiments.display.plain import PlainDisplay


def make_display(quiet: bool) -> Display:
    """Returns what suits the output: nothing, a live table, or plain lines."""
    if quiet:
        return Display()
    if sys.stdout.isatty():
        from experiments.display.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()
