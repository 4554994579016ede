"""Disturbs running searches, resumes them, and compares them with undisturbed ones.

First, searches in which a formula stands for training (`chaotic/formula.py`); command line,
processes, files, locks, signals, disks and terminals are real. They are disturbed by SIGKILL of
driver or worker; signals in mid-search, and while a resume reads its first files; a clock that
jumps within the driver; a full file system; a terminal or a pipe that is closed. Each search is
resumed until it is done. Then its trials, finalists, their test predictions, the exported model and
the set of its files have to equal an undisturbed search's. Exit codes have to be the documented
ones. No process, lock or temporary file may be left, and `status` has to say that the search ended.
No epoch may be trained more often than disturbances explain. Second, real trainings whose data and
features are being prepared (`chaotic/caches.py`): kills, interrupts, and neighbours of their cache.

Not compared: seconds. With two workers, which trial gets which number depends on their timing, by
nature; so there it is each trial's score that has to follow from its values and seed, the rungs
that have to be full, and the best trial that has to be the finalist. A worker that is just being
started when its driver is killed may print Python's own traceback. The clock is `time.time` of the
driver, patched. The disk is a file system of 3 MB in memory, which takes root to be mounted; else
the run ends with a line. Plain Keras Tuner can't do the work: see the tests of the oracles.
"""

import argparse
import os
import random
import tempfile
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from chaotic import caches, simulations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the disturbances")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    rounds, rng = 1 if options.quick else 10, random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        # First those that really train: afterwards a formula stands in this process' place.
        done: Counter[str] = caches.disturbances(6 if options.quick else 60, rng)
        done += simulations.disturbances(rounds, rng)
        # A killed process can't remove what TensorFlow's AutoGraph removes at its exit.
        left = [n for n in os.listdir(folder) if not n.startswith("__autograph_generated")]
    print(f"disturbances survived: {sum(done.values())} of {sum(done.values())}")
    for what, count in sorted(done.items()):
        print(f"  {count:4} {what}")
    if left:
        raise SystemExit(f"temporary files are left: {left}")


if __name__ == "__main__":
    main()
