"""The front over several objectives: what nothing else beats, and its knee."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.record.objective import Objective

_Array = npt.NDArray[np.float64]
_SPREAD = 1e-12  # of values that are all the same
_FAR = 5.0  # times what the point before loses
_BLOCK = 256  # rows that are compared with all others at once


@dataclass(frozen=True)
class Front:
    """The points that no other point beats, and where it pays to stop.

    Args:
        members: `(k,)`, positions of the front's points, the best by the first objective first.
        losses: `(k, num_objectives)`, what each loses: 0 is the front's best, 1 its worst;
            above 1 in the first objective for those that are far worse, see `find_front`.
        distance: `(k,)`, distance of each to the ideal point; see `find_front`.
        knee: Position of the knee; `None` where the front does not bend.
    """

    members: npt.NDArray[np.int64]
    losses: _Array
    distance: _Array
    knee: int | None

    def ranked(self) -> list[int]:
        """Returns positions: the knee, the best by the first objective, then the nearest first."""
        if not len(self.members):
            return []
        by_distance = self.members[np.argsort(self.distance, kind="stable")]
        first = [int(self.members[0])]
        first = first if self.knee is None else [self.knee, *first]
        return list(dict.fromkeys([*first, *map(int, by_distance)]))


def find_front(values: _Array, directions: Sequence[str], is_log: Sequence[bool]) -> Front:
    """Finds the front of points by several objectives, and its knee.

    Each objective is scaled over the front to 0 (best) .. 1 (worst). A point's distance to the
    ideal one is its loss in the first objective plus the mean of its losses in the others, a
    weighted Manhattan distance. The knee has the least, if that is below 1, which is what giving
    away all of one side costs. For two objectives it is the point farthest from the line between
    the front's ends. Sources: Das 1999, "On characterizing the knee of the Pareto curve"; Chiu, Yen
    and Juan 2016, "Minimum Manhattan distance approach to multiple criteria decision making in
    multiobjective optimization problems".

    A network that is cheap and useless, such as one that guesses, is beaten by none and on the
    front. What is far worse by the first objective therefore neither sets the scale nor is the
    knee: from the first point on, the best three kept, that loses more than five times what
    the point before it does. So the knee stays where it is whatever useless networks were tried.

    Args:
        values: `(n, num_objectives)`; points with a missing value are left out.
        directions: `"max"` or `"min"` for each objective.
        is_log: For each objective, whether ratios count rather than differences.

    Returns:
        The front; of equal points the first alone.
    """
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    signs = _signs(directions)
    losses = values[known] * signs
    kept = non_dominated(losses)
    kept = kept[np.lexsort(losses[kept].T[::-1])]  # by the first objective, ties by the next
    useful = _num_useful(losses[kept, 0])
    scaled = _scaled(values[known][kept], signs, is_log, useful)
    distance = scaled[:, 0] + (scaled[:, 1:].mean(axis=1) if len(signs) > 1 else 0.0)
    members = known[kept].astype(np.int64)
    return Front(members, scaled, distance, _knee(members, distance[:useful]))


def _signs(directions: Sequence[str]) -> _Array:
    return np.array([-1.0 if d == "max" else 1.0 for d in directions])


def non_dominated(losses: _Array) -> npt.NDArray[np.int64]:
    """Returns the positions of `(n, num_objectives)` losses that no other position beats.

    One beats another if it is nowhere worse and somewhere better, or equal and earlier.
    """
    count = len(losses)
    beaten = np.zeros(count, dtype=bool)
    order = np.arange(count)
    for start in range(0, count, _BLOCK):
        block = losses[start : start + _BLOCK, None]
        nowhere_worse = (losses[None] <= block).all(axis=2)
        better = (losses[None] < block).any(axis=2)
        earlier = order[None] < order[start : start + _BLOCK, None]
        beaten[start : start + _BLOCK] = (nowhere_worse & (better | earlier)).any(axis=1)
    return np.flatnonzero(~beaten)


def _num_useful(losses: _Array) -> int:
    """Returns how many points of a front, best first, are not far worse than those before."""
    given = losses - losses[:1]
    for place in range(3, len(given)):
        if given[place] > _FAR * given[place - 1] > 0:
            return place
    return len(given)


def _scaled(values: _Array, signs: _Array, is_log: Sequence[bool], useful: int) -> _Array:
    scaled = np.zeros_like(values)
    for column, (sign, logarithmic) in enumerate(zip(signs, is_log, strict=True)):
        of_column = values[:, column]
        if logarithmic and len(of_column) and (of_column > 0).all():
            of_column = np.log(of_column)
        loss = of_column * sign
        spread = float(np.ptp(loss[:useful])) if len(loss) else 0.0
        if spread > _SPREAD:
            scaled[:, column] = np.maximum((loss - loss[:useful].min()) / spread, 0)
    return scaled


def _knee(members: npt.NDArray[np.int64], distance: _Array) -> int | None:
    """Returns the nearest of three or more; of equally near ones the best by the first."""
    if len(distance) < 3:
        return None
    nearest = int(np.argmin(distance))
    return int(members[nearest]) if distance[nearest] < 1 - 1e-9 else None


def arrivals(values: _Array, directions: Sequence[str]) -> list[int]:
    """Returns the positions that joined the front of those before them, in order."""
    losses, joined = values * _signs(directions), []
    front = losses[:0]
    for position, loss in enumerate(losses):
        if not np.isfinite(loss).all() or (front <= loss).all(axis=1).any():
            continue
        joined.append(position)
        front = np.vstack([front[~(loss <= front).all(axis=1)], loss])
    return joined


def front_of(values: Sequence[Sequence[float | None]], objectives: Sequence[Objective]) -> Front:
    """Returns the front of trials by their objectives; costs are compared by ratio.

    Args:
        values: One sequence a trial, in the order of `objectives`.
        objectives: The first ranks trials.
    """
    points = np.array(values, dtype=float).reshape(len(values), len(objectives))
    return find_front(points, [o.direction for o in objectives], [o.is_cost for o in objectives])
