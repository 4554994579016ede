"""The front of a score and a cost; see `front.py`, which has the rule."""

import numpy as np
import numpy.typing as npt

from experiments.record.front import find_front


def front(
    costs: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], direction: str = "max"
) -> npt.NDArray[np.int64]:
    """Returns the positions that no other beats in both, cheapest first.

    Args:
        costs: `(n,)`, less is better.
        scores: `(n,)`.
        direction: Whether more (`"max"`) or less (`"min"`) score is better.
    """
    values = np.column_stack([scores, costs])
    return find_front(values, [direction, "min"], [False, True]).members[::-1]
