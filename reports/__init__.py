"""Reads what searches found. Never imports Keras or TensorFlow.

`load_study("runs/my-study")` gives pandas frames; `write_report("runs/my-study")` writes the page.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.page.notebook import Study, load_study
    from reports.page.report import write_report

__all__ = ["Study", "load_study", "write_report"]
_PLACES = {"Study": "page.notebook", "load_study": "page.notebook", "write_report": "page.report"}


def __getattr__(name: str) -> Any:
    # Imported when used: figures load matplotlib and SciPy, which a list of studies does not need.
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"reports.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
