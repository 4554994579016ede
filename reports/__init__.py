"""Reads what searches found. Never imports Keras or TensorFlow.

`load_study("runs/my-study")` gives pandas frames; `write_report("runs/my-study")` writes the page.
"""

from reports.html import write_report
from reports.load import Study, load_study

__all__ = ["Study", "load_study", "write_report"]
