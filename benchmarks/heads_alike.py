"""How many trainings heads trained side by side in one graph could save.

Frozen trials of `transfer_head` are drawn at random, as many as may wait at a time. Those that
could share a graph with a leading axis of trials have the same layers, features and batch size. All
but one of each such group are saved at best.
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from surrogate import surrogate_of

_LAYERS = ("dense_layers", "dense_units_0", "dense_units_1")
_GROUPED_BY = (*_LAYERS, "batch_size", "flip", "head_pooling")
_TURNS = 500


def main() -> None:
    """Prints the share of trainings that are saved, by the number that wait."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    rng = np.random.default_rng(parser.parse_args().seed)
    space = surrogate_of("transfer_head-cats_vs_dogs")
    print("frozen trials that wait: share of trainings saved at best")
    for waiting in (2, 4, 8, 16, 32):
        shares = []
        for _ in range(_TURNS):
            shapes: list[tuple[Any, ...]] = []
            while len(shapes) < waiting:
                values = space.random(rng)
                if not values["unfreeze"]:
                    shapes.append(shape(values))
            shares.append(1 - len(set(shapes)) / waiting)
        print(f"{waiting}: {np.mean(shares):.1%}")


def shape(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns what trials of one graph have in common."""
    return (*map(values.get, _GROUPED_BY), values["dropout"] > 0)


if __name__ == "__main__":
    main()
