"""What takes the place of slow parts of a report in tests that look at something else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports import Study

_NOTHING = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'


def unwritten(study: Study | str | Path, *_: object) -> Path:
    """Returns where the report of a study would be: stands in for `write_report`."""
    folder = study.folder if isinstance(study, Study) else Path(study)
    return folder / "report/index.html"


def undrawn(*arguments: object) -> tuple[str, tuple[()]]:
    """Returns an empty figure: stands in for `reports.figures._render.render`."""
    return _NOTHING, ()


def drawn_alone(*names: str) -> Callable[..., tuple[str, tuple[Any, ...]]]:
    """Returns what draws the figures of these names, and leaves others empty, as `undrawn` does."""
    from reports.figures._render import render

    return lambda name, *more: render(name, *more) if name in names else undrawn()
