"""The best network of each base: its score against each of its costs."""

from matplotlib.axes import Axes

from reports.analysis.costs import Costed, costs_of_bases, phone_sentence
from reports.figures import _costs
from reports.study.study import Study

SECTION, ORDER = "trade-offs", 51
TITLE = "Bases against cost"


def info(study: Study) -> Costed | str:
    """Collects the best trial of each base; empty for a study of one."""
    return costs_of_bases(study) or ""


def finding(info: Costed) -> str:
    """Says which base to take on a phone."""
    return phone_sentence(info)


def height(info: Costed) -> float:
    """Inches."""
    return _costs.costs_height(info)


def draw(info: Costed, ax: Axes) -> Axes:
    """Draws a panel a cost."""
    return _costs.draw_costs(info, ax)
