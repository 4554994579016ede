"""Seconds from a command to its first trial's end and to its report, and plain Keras Tuner beside.

The command searches scikit-learn's digits with one trial of one epoch, and confirms nothing. Plain
Keras Tuner trains the same trial in a script, on the same arrays, and writes no report. Each is a
new process; they take turns, and medians are printed. The figure is plain Keras Tuner's seconds to
its trial's end over the suite's.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from common import parser, workplace

PLAIN = """
import keras_tuner
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from search_spaces.mnist_cnn import MnistCnn

digits = load_digits()
images = digits.images[..., None] * (255 / 16)
x, xv, y, yv = train_test_split(images, digits.target, test_size=0.2, random_state=0)
tuner = keras_tuner.RandomSearch(
    MnistCnn((8, 8, 1), 10), objective="val_accuracy", max_trials=1, seed=0,
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
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
        (folder / "plain.py").write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n{PLAIN}")
        search = [
            sys.executable, "-u", "-m", "experiments", "search", "mnist_cnn", "--dataset", "digits",
            "--max-trials", "1", "--max-epochs", "1", "--confirm", "0", "--method", "random",
            "--cache-dir", str(folder / "cache"),
        ]  # fmt: skip
        timed([*search, "--name", "first"], folder, "trial 0000")  # files are in the page cache
        for index in range(1 if options.quick else 5):
            suite.append(timed([*search, "--name", f"run-{index}"], folder, "trial 0000"))
            script = [sys.executable, "-u", "plain.py"]
            plain.append(timed([*script], folder, "Trial 1 Complete"))
            subprocess.run(["rm", "-rf", "plain"], cwd=folder, check=True)
    trial, report = (median(seconds) for seconds in zip(*suite, strict=True))
    theirs, _ = (median(seconds) for seconds in zip(*plain, strict=True))
    print(f"seconds to the first trial's end: suite {trial:.1f}, plain Keras Tuner {theirs:.1f}")
    print(f"seconds to the report: suite {report:.1f}; plain Keras Tuner writes none")
    print(f"plain Keras Tuner over the suite: {theirs / trial:.2f}")


if __name__ == "__main__":
    main()
