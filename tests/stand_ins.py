"""What takes the place of slow parts of a report in tests that look at something else."""

from pathlib import Path

from reports import Study

_NOTHING = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'


def unwritten(study: Study | str | Path, *_: object) -> Path:
    """Returns where the report of a study would be: stands in for `write_report`."""
    folder = study.folder if isinstance(study, Study) else Path(study)
    return folder / "report/index.html"


def undrawn(*arguments: object) -> tuple[str, tuple[()]]:
    """Returns an empty figure: stands in for `reports.figures._render.render`."""
    return _NOTHING, ()
