"""Trade-offs of a score and a cost: what nothing else beats, and where more cost stops paying."""

import numpy as np
import numpy.typing as npt


def front(
    costs: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], direction: str = "max"
) -> npt.NDArray[np.int64]:
    """Returns the positions that no other beats in both, cheapest first.

    Args:
        costs: `(n,)`, less is better.
        scores: `(n,)`.
        direction: Whether more (`"max"`) or less (`"min"`) score is better.
    """
    gains = scores if direction == "max" else -scores
    order = np.lexsort((-gains, costs))
    best, kept = -np.inf, []
    for position in order:
        if gains[position] > best:
            best = gains[position]
            kept.append(position)
    return np.array(kept, dtype=np.int64)


def knee(
    costs: npt.NDArray[np.float64], scores: npt.NDArray[np.float64], direction: str = "max"
) -> int | None:
    """Returns the position on a front that is farthest above the line between its ends.

    Both axes are scaled to 0..1, cost in log scale where it is positive. Source: Das 1999, "On
    characterizing the knee of the Pareto curve"; Satopää et al. 2011, "Finding a kneedle in a
    haystack".

    Args:
        costs: `(n,)`, rising.
        scores: `(n,)`, improving.
        direction: As in `front`.

    Returns:
        A position, or `None` where fewer than three points leave no bend.
    """
    if len(costs) < 3:
        return None
    x = np.log(costs) if (costs > 0).all() else costs
    y = scores if direction == "max" else -scores
    if x[-1] == x[0] or y[-1] == y[0]:
        return None
    height = (y - y[0]) / (y[-1] - y[0]) - (x - x[0]) / (x[-1] - x[0])
    position = int(np.argmax(height))
    return position if height[position] > 0 else None
