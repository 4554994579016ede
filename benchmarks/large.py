"""What `list`, `show`, `status` and `resume` of 5,000 trials cost, and `list` of 500 studies.

One real trial of `mnist_cnn` on digits is trained; the other trials are files such as a search
leaves, of drawn values and made-up scores. CPU seconds are a process's own, its imports included;
memory is its largest resident set; `show`, `status` and `list` are run twice. `resume` first finds
nothing left to do, then gets ten more trials of one epoch, trained in its own process. Its report
is not written. The same commands on a study of one trial say what imports and trainings cost
anyway. Plain Keras Tuner has no such commands.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from quick import Quick

_EXPERIMENTS = (sys.executable, "-m", "experiments")
_RESUME = """
import sys, reports
reports.write_report = lambda study: study.folder / "report/index.html"
from experiments.cli.main import main
main(["resume", "large", "--quiet", "--runs-dir", *sys.argv[1:]])
"""


@dataclass(frozen=True)
class Cost:
    """What a command cost.

    Args:
        cpu: CPU seconds.
        wall: Seconds that went by.
        memory: Megabytes of its largest resident set.
    """

    cpu: float
    wall: float
    memory: float

    def __str__(self) -> str:
        return f"{self.cpu:.2f} CPU s, {self.wall:.2f} s, {self.memory:.0f} MB"


def cost(*command: str) -> Cost:
    """Runs a command and returns its cost."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read()
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(command[:4])} failed: {said}")
    wall = time.monotonic() - started
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1e3)


def make_small(runs: Path, cache: Path) -> Path:
    """Runs a search of one trial and returns its folder."""
    subprocess.run(
        [
            *_EXPERIMENTS, "search", "mnist_cnn", "--dataset", "digits", "--max-trials", "1",
            "--max-epochs", "10", "--confirm", "0", "--quiet", "--name", "small",
            "--method", "random", "--runs-dir", runs, "--cache-dir", cache,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return runs / "small"


def multiply(small: Path, folder: Path, num_trials: int, seed: int = 0) -> None:
    """Writes a study of `num_trials` trials after the pattern of the one trial of `small`."""
    shutil.copytree(small, folder, ignore=shutil.ignore_patterns("trial_*", "report", ".*"))
    first = small / "trial_0000"
    state, result = (json.loads((first / n).read_text()) for n in ("trial.json", "result.json"))
    rng = np.random.default_rng(seed)
    for index in range(num_trials):
        _write_trial(folder / f"trial_{index:04d}", index, state, result, rng)
    path = folder / "study.json"
    study = json.loads(path.read_text())
    study["name"] = folder.name
    study["config"] |= {"max_trials": num_trials, "name": folder.name}
    path.write_text(json.dumps(study, indent=1))


def _write_trial(
    folder: Path, index: int, state: dict[str, Any], result: dict[str, Any], rng: Any
) -> None:
    folder.mkdir()
    trial_id, score, times = f"{index:04d}", float(rng.uniform(0.5, 0.98)), 10.0 * index
    values = {
        hp["config"]["name"]: _drawn(hp["config"], rng) for hp in state["hyperparameters"]["space"]
    }
    own = {"trial_id": trial_id, "score": score}
    trial = state | own | {"hyperparameters": state["hyperparameters"] | {"values": values}}
    ended = {"started": result["started"] + times, "ended": result["ended"] + times}
    (folder / "trial.json").write_text(json.dumps(trial, indent=1))
    (folder / "result.json").write_text(
        json.dumps(result | own | ended | {"hyperparameters": values}, indent=1)
    )


def _drawn(hp: dict[str, Any], rng: Any) -> Any:
    if "values" in hp:
        return hp["values"][rng.integers(len(hp["values"]))]
    if "min_value" not in hp:
        return bool(rng.integers(2))
    value = rng.uniform(hp["min_value"], hp["max_value"])
    return round(value) if isinstance(hp["min_value"], int) else float(value)


def main() -> None:
    """Makes the studies and prints what each command costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action=Quick, help="500 trials and 50 studies")
    quick = parser.parse_args().quick
    num_trials, num_studies = (500, 50) if quick else (5000, 500)
    with TemporaryDirectory(dir="/var/tmp") as name:
        single, large, many = (Path(name) / n for n in ("single", "large", "many"))
        small = make_small(single, Path(name) / "cache")
        multiply(small, single / "large", 1)
        multiply(small, large / "large", num_trials)
        for index in range(num_studies):
            multiply(small, many / f"study-{index:03d}", 3, index)
        _print_costs(single, large, many, num_trials, num_studies)


def _print_costs(single: Path, large: Path, many: Path, num_trials: int, num_studies: int) -> None:
    time.sleep(3)  # files younger than two seconds are not indexed
    for words in (("list",), ("show", "large"), ("status", "large")):
        _print_twice(f"{words[0]:6} of {num_trials:,} trials", *words, "--runs-dir", str(large))
        (large / "large" / ".index.json").unlink(missing_ok=True)
    _print_twice(f"list   of {num_studies} studies", "list", "--runs-dir", str(many))
    _print_resumes(large, num_trials)
    _print_resumes(single, 1)


def _print_twice(what: str, *words: str) -> None:
    for when in ("at first", "again"):
        print(f"{what}, {when}: {cost(*_EXPERIMENTS, *words)}")


def _print_resumes(runs: Path, num_trials: int) -> None:
    count = f"{num_trials:,} trials" if num_trials > 1 else "1 trial"
    command = (sys.executable, "-c", _RESUME, str(runs))
    print(f"resume of {count}, all done: {cost(*command)}")
    more = ("--max-trials", str(num_trials + 10), "--max-epochs", "1", "--workers", "0")
    print(f"resume of {count}, 10 more:  {cost(*command, *more)}")


if __name__ == "__main__":
    main()
