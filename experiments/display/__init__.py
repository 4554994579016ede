"""Shows the progress of a search: live in a terminal or a notebook, as plain lines elsewhere."""

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
    if "IPython" in sys.modules:
        from experiments.display.notebook import NotebookDisplay, is_notebook

        if is_notebook():
            return NotebookDisplay()
    return PlainDisplay()
