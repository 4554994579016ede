"""The live display of a search in a notebook: the terminal's table, in one output of the cell."""

import io
from importlib.util import find_spec
from threading import Event, Thread
from typing import Any

from rich.console import Console, Group
from rich.jupyter import JUPYTER_HTML_FORMAT
from rich.text import Text

from experiments.display.live import LiveDisplay

_SECONDS = 0.5  # between updates
_WIDTH = 110


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    return Console().is_jupyter and find_spec("IPython") is not None


class _Nowhere(io.StringIO):
    """A file that keeps nothing: frames are taken from the console's record."""

    def write(self, text: str) -> int:
        return len(text)


class NotebookDisplay(LiveDisplay):
    """The table of a terminal, with the lines that are printed above it."""

    def __init__(self) -> None:
        console = Console(
            file=_Nowhere(), record=True, width=_WIDTH, force_jupyter=False, force_terminal=True
        )
        super().__init__(console)
        self._live = _Output(self, console)
        self._lines: list[Text] = []

    def _print(self, line: Text) -> None:
        self._lines.append(line)

    def __rich__(self) -> Group:
        return Group(*self._lines, super().__rich__())


class _Output:
    """One output of a cell, which a thread updates.

    Args:
        shown: What it shows.
        console: Renders it; nothing else is printed there.
    """

    def __init__(self, shown: NotebookDisplay, console: Console) -> None:
        self._shown, self._console = shown, console
        self._handle: Any = None
        self._ended = Event()
        self._thread = Thread(target=self._follow, daemon=True)

    def start(self) -> None:
        """Adds the output to the cell."""
        from IPython.display import display

        self._handle = display(self._rendered(), raw=True, display_id=True)
        self._thread.start()

    def stop(self) -> None:
        """Shows the end."""
        self._ended.set()
        self._thread.join()
        self._update()

    def _follow(self) -> None:
        while not self._ended.wait(_SECONDS):
            self._update()

    def _update(self) -> None:
        if self._handle is not None:  # no shell shows it
            self._handle.update(self._rendered(), raw=True)

    def _rendered(self) -> dict[str, str]:
        self._console.print(self._shown)
        text = self._console.export_text(clear=False)
        html = self._console.export_html(code_format=JUPYTER_HTML_FORMAT, inline_styles=True)
        return {"text/plain": text, "text/html": html}
