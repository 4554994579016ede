"""Time to propose a trial after many: every method, Keras Tuner's Bayesian beside it."""

import argparse
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from contenders import KERAS_TUNER, NOTE, OURS, make_oracle, seconds_to_propose
from quick import Quick
from surrogate import full_space

_NUM_TIMED = 9
_SLOW = ("Keras Tuner Bayesian", "gp")  # seconds a proposal: fewer trials in the quick case


def main() -> None:
    """Times proposals and prints them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="a smaller case, within a minute")
    arguments = parser.parse_args()
    space, medians = full_space("mnist_cnn-digits"), {}
    if NOTE:
        print(NOTE)
    print("milliseconds to propose a trial of mnist_cnn, median (range)")
    for method in (*KERAS_TUNER, *OURS):
        slow = method in _SLOW
        before = 60 if arguments.quick and slow else 1000
        timed = 2 if arguments.quick and slow else _NUM_TIMED
        with tempfile.TemporaryDirectory() as folder:
            oracle = make_oracle(method, space, 0, folder, 10**6)
            # What a trial is worth does not change how long it takes.
            rng = np.random.default_rng(0)
            oracle.save = lambda: None  # writing is not proposing
            seconds = seconds_to_propose(oracle, lambda _, r=rng: float(r.uniform()), before, timed)
        medians[method] = float(np.median(seconds))
        low, middle, high = (1000 * f(seconds) for f in (min, np.median, max))
        print(
            f"{method:22} after {before:5} trials {middle:9.1f} ({low:.1f}..{high:.1f})", flush=True
        )
    print(f"Keras Tuner's Bayesian{', after fewer trials,' if arguments.quick else ''} over tpe")
    print(f"ratio: {medians['Keras Tuner Bayesian'] / medians['tpe']:.1f}")


if __name__ == "__main__":
    main()
