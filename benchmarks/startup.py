"""Seconds from a command to its first trial's end and to its report, and plain Keras Tuner beside.

The command searches scikit-learn's digits with one trial of one epoch, and confirms nothing: the
space's default network at the digits' own 8x8 pixels. Plain Keras Tuner trains that network in a
script, on as many images, and writes no report. Each is a
new process; they take turns, and medians are printed. The figure is plain Keras Tuner's seconds to
its trial's end over the suite's.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from common import parser, workplace
from environment import AS_GIVEN

PLAIN = """
import keras_tuner
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from search_spaces.mnist_cnn import MnistCnn

digits = load_digits()
images = digits.images[..., None] * (255 / 16)
x, xv, y, yv = train_test_split(
    images, digits.target, train_size={train}, test_size={validation}, random_state=0
)
class Plain(MnistCnn):
    steps_per_execution = 1
default = keras_tuner.HyperParameters()
tuner = keras_tuner.RandomSearch(
    lambda hp: Plain((8, 8, 1), 10).build(default), objective="val_accuracy", max_trials=1, seed=1,
    directory=".", project_name="plain",
)
tuner.search(x, y, validation_data=(xv, yv), epochs=1, verbose=2)
"""


def timed(command: Sequence[str], folder: Path, mark: str) -> tuple[float, float]:
    """Runs a command in `folder`.

    Returns:
        Seconds until it has printed `mark`, and until its end.
    """
    started = time.perf_counter()
    marked = None
    with subprocess.Popen(
        command,
        cwd=folder,
        env=AS_GIVEN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if mark in line and marked is None:
                marked = time.perf_counter() - started
    if process.returncode or marked is None:
        raise SystemExit(f"{' '.join(command)} failed, or printed no {mark!r}")
    return marked, time.perf_counter() - started


def main() -> None:
    """Prints the table."""
    options = parser(__doc__).parse_args()
    root = Path(__file__).resolve().parents[1]
    suite, plain = [], []
    with workplace() as folder:
        search = [
            sys.executable, "-u", "-m", "experiments", "search", "mnist_cnn", "--dataset", "digits",
            "--set", "image_size=8", "--max-trials", "1", "--max-epochs", "1", "--confirm", "0",
            "--cache-dir", str(folder / "cache"),
        ]  # fmt: skip
        timed([*search, "--name", "first"], folder, "trial 0000")  # files are in the page cache
        counts = json.loads((folder / "runs/first/study.json").read_text())["dataset"]["counts"]
        script = PLAIN.format(train=counts["train"], validation=counts["validation"])
        (folder / "plain.py").write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n{script}")
        for index in range(1 if options.quick else 5):
            suite.append(timed([*search, "--name", f"run-{index}"], folder, "trial 0000"))
            plain.append(timed([sys.executable, "-u", "plain.py"], folder, "Trial 1 Complete"))
            subprocess.run(["rm", "-rf", "plain"], cwd=folder, check=True)
    trial, report = (median(seconds) for seconds in zip(*suite, strict=True))
    theirs, _ = (median(seconds) for seconds in zip(*plain, strict=True))
    print(f"seconds to the first trial's end: suite {trial:.1f}, plain Keras Tuner {theirs:.1f}")
    print(f"seconds to the report: suite {report:.1f}; plain Keras Tuner writes none")
    print(f"plain Keras Tuner over the suite: {theirs / trial:.2f}")


if __name__ == "__main__":
    main()
