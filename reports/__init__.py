"""Reads what searches found. Never imports Keras or TensorFlow.

`load_study("runs/my-study")` gives pandas frames; `write_report("runs/my-study")` writes the page.
"""

from reports.load import load_study
from reports.page import write_report
from reports.study import Study

__all__ = ["Study", "load_study", "write_report"]
