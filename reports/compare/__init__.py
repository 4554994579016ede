"""Compares arms: studies, or the values of one hyperparameter within a study."""

from reports.compare.arms import (
    Arm,
    arms_by,
    arms_of_default,
    arms_of_searches,
    arms_of_studies,
)
from reports.compare.decide import Comparison, compare
from reports.compare.page import write_comparison

__all__ = [
    "Arm",
    "Comparison",
    "arms_by",
    "arms_of_default",
    "arms_of_searches",
    "arms_of_studies",
    "compare",
    "write_comparison",
]
