"""The same study in this process, in one worker, in two, and resumed: are its numbers the same?

Each search runs in a process of its own. With the threads of a trial given (`--threads`), it has
to be the same to the last bit, of `mnist_cnn` and of `transfer_head`; without, workers share the
cores, and what that changes is shown. Exit code 1 if a given number of threads is not enough.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.process.numerics import INTRA

SPACES = {
    "mnist_cnn": ("--set", "image_size=28", "--sample", "400"),
    "transfer_head": (
        "--set", "image_size=64", "--set", "alpha=0.35", "--set", "weights=none", "--sample", "150",
    ),
}  # fmt: skip


def call(arguments: list[str], threads: int | None) -> None:
    """Runs the command line in a process of its own."""
    environment = os.environ | ({} if threads is None else {INTRA: str(threads)})
    command = [sys.executable, "-m", "experiments", *arguments, "--quiet"]
    subprocess.run(command, env=environment, check=True)


def search(
    space: str, name: str, workers: int, trials: int, threads: int | None, runs: Path
) -> None:
    """Runs a search; one called `resumed` in two halves."""
    at_first = max(1, trials // 2) if name == "resumed" else trials
    shared = ["--runs-dir", str(runs), "--workers", str(workers)]
    begin = ["search", space, "--dataset", "digits", "--max-trials", str(at_first), "--name", name]
    begin += ["--method", "random", "--max-epochs", "4", "--confirm", "0"]
    begin += ["--cache-dir", str(runs / f"cache-{name}"), *SPACES[space]]
    call([*begin, *shared], threads)
    if at_first < trials:
        call(["resume", name, "--max-trials", str(trials), *shared], threads)


def numbers(runs: Path, name: str) -> list[Any]:
    """Returns every loss of every epoch, by trial."""
    paths = sorted((runs / name).glob("trial_*/result.json"))
    records = [json.loads(path.read_text()) for path in paths]
    return [[e["history"]["val_loss"] for e in r["executions"]] for r in records]


def largest(one: list[Any], other: list[Any]) -> float:
    """Returns the largest difference of any loss."""
    flat = [[v for trial in x for run in trial for v in run] for x in (one, other)]
    return max((abs(a - b) for a, b in zip(*flat, strict=True)), default=float("nan"))


def main() -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--space", choices=list(SPACES), help="one space; both if not given")
    parser.add_argument("--threads", type=int, help="of a trial; a share of the cores if not given")
    chosen = parser.parse_args()
    worst = 0.0
    for space in [chosen.space] if chosen.space else SPACES:
        with TemporaryDirectory() as folder:
            runs = Path(folder)
            ways = {"inline": 0, "one": 1, "two": 2, "resumed": 2}
            for name, workers in ways.items():
                search(space, name, workers, chosen.trials, chosen.threads, runs)
            found = {name: numbers(runs, name) for name in ways}
        for name in ("one", "two", "resumed"):
            difference = largest(found["inline"], found[name])
            worst = max(worst, difference)
            print(f"{space:14} inline and {name:8} largest difference of a loss {difference:.2g}")
    return int(chosen.threads is not None and worst > 0)


if __name__ == "__main__":
    sys.exit(main())
