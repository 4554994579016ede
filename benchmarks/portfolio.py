"""Starting points of a space, on datasets that they were not found on.

Nothing is trained: `surrogate.py` predicts scores from recorded trials. For each recorded dataset
of a space it is said how far the best of the first points is behind the best there is: of those
that the space declares, of those that were the best on each other recorded dataset, and of as many
random draws. Points are never valued by the dataset that they were found on.
"""

import argparse
import os
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from surrogate import RECORDED, Surrogate, surrogate_of

from experiments import SearchConfig
from experiments.methods.guidance import given_points

_COUNTS = (1, 2, 4, 7)
_DRAWS = 2000


def main() -> None:
    """Prints a table for each recorded dataset."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", default="mnist_cnn", help="a space that was recorded")
    space = parser.parse_args().space
    names = [name for name in RECORDED if name.partition("-")[0] == space]
    if not names:
        parser.error(f"{space!r} was not recorded; there are {', '.join(RECORDED)}")
    for name in names:
        surrogate = surrogate_of(name)
        declared = surrogate.hypermodel.starting_points()
        given = given_points({}, SearchConfig(space), surrogate.space, declared)
        rows = {"declared": given.starting}
        rows |= {f"best of {n}": surrogate_of(n).best_recorded() for n in names if n != name}
        print(f"\n{name}: points behind the best, of the first " + ", ".join(map(str, _COUNTS)))
        for what, points in rows.items():
            print(f"{what:32}" + _cells(_behind(surrogate, [surrogate.score(p) for p in points])))
        rng = np.random.default_rng(0)
        drawn = rng.choice(surrogate.drawn_scores, (_DRAWS, max(_COUNTS)))
        behind = [_behind(surrogate, scores) for scores in drawn]
        print(f"{'random draws, median':32}" + _cells(np.median(behind, axis=0)))


def _behind(surrogate: Surrogate, scores: Sequence[float]) -> list[float]:
    """Returns points behind the best after each of `_COUNTS`."""
    return [100 * (surrogate.best_known - max(scores[:count])) for count in _COUNTS]


def _cells(points: Sequence[float]) -> str:
    return "".join(f"{value:>8.2f}" for value in points)


if __name__ == "__main__":
    main()
