"""Shows the progress of a search: live in a terminal, as plain lines elsewhere."""

import sys

from experiments.display.base import Display
from experiments.display.plain import PlainDisplay


def make_display(quiet: bool) -> Display:
    """Returns the display that suits the output: none, a live table, or plain lines."""
    if quiet:
        return Display()
    if sys.stdout.isatty():
        from experiments.display.live import LiveDisplay

        return LiveDisplay()
    return PlainDisplay()
