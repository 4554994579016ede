"""A trial that unfreezes the end of its base: the suite against plain Keras Tuner.

Both train the head for half of the epochs, then the layers from the cut on. The ratio is that of a
trial whose features are kept, as they are for every trial but the first; what computing them takes
is printed beside it.
"""

from dataclasses import replace

import numpy as np
from common import (
    parser,
    prepared,
    proposals_of,
    run_plain,
    run_suite,
    search_config,
    workplace,
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--cut", default="block_13_expand")
    arguments.add_argument("--alpha", type=float, default=0.35)
    arguments.add_argument("--epochs", type=int, default=4)
    arguments.add_argument("--images", type=int, default=2500)
    given = arguments.parse_args()
    if given.quick:
        given.epochs, given.images = 2, 300
    with workplace() as folder:
        config = search_config(
            folder,
            given.data_dir,
            space="transfer_head",
            dataset="cats_vs_dogs",
            sample=given.images,
            settings={"alpha": given.alpha, "weights": "none"},
            fix={"unfreeze": True, "unfreeze_from": given.cut, "flip": False, "batch_size": 32},
            max_trials=1,
            max_epochs=given.epochs,
            name="first",
        )
        data = prepared(config)
        _, first = run_suite(config)
        study, suite = run_suite(replace(config, name="second"))
        plain = float(np.sum(run_plain(config, data, proposals_of(study), folder / "plain")))
    print(
        f"one trial of {given.epochs} epochs, {given.images:,} images at 224, MobileNetV2 "
        f"{given.alpha:g}, unfrozen from {given.cut} in the second half"
    )
    print(f"plain Keras Tuner: {plain:.1f} s")
    print(f"suite: {suite:.1f} s; {first:.1f} s where it computes its features first")
    print(f"ratio: {plain / suite:.1f}")


if __name__ == "__main__":
    main()
