"""Kills of a running search at random moments, driver or worker, each followed by a resume.

For random, grid, Hyperband and Bayesian search: the final table has to be that of an undisturbed
search, no trial may be lost or run twice, and no file may be damaged. Trials are simulated, the
processes, files and kills are real; a new search is begun where one is finished before its
kills are. Plain Keras Tuner can't do the work: see the tests of the oracles.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import psutil
from simulated import Simulation

_METHODS = ("random", "grid", "hyperband", "bayesian")


def start(simulation: Simulation) -> int:
    """Starts a search in a process of its own; forked, so that it loads nothing again."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            simulation.run()
        except BaseException as error:  # shown; the parent sees the exit code
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    return pid


def kill(pid: int, rng: random.Random) -> str:
    """Kills the driver or one of its workers."""
    workers = psutil.Process(pid).children()
    victims = [(pid, "driver"), *((w.pid, "worker") for w in workers)]
    victim, kind = victims[0] if rng.random() < 0.5 or not workers else rng.choice(victims[1:])
    os.kill(victim, signal.SIGKILL)
    return kind


def check_files(folder: Path) -> None:
    """Raises if a file of the record can't be read."""
    for path in folder.rglob("*.json"):
        if not path.name.startswith("."):
            json.loads(path.read_text(encoding="utf-8"))


def survive(simulation: Simulation, kills: int, rng: random.Random) -> Counter[str]:
    """Kills and resumes a search until it is finished; returns how often what was killed."""
    done: Counter[str] = Counter()
    while True:
        pid = start(simulation)
        moment = time.monotonic() + rng.uniform(0.05, 1.5)
        ended = 0
        while not ended and time.monotonic() < moment:
            ended, code = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.005)
        if not ended and sum(done.values()) < kills:
            done[kill(pid, rng)] += 1
        if not ended:
            _, code = os.waitpid(pid, 0)
        check_files(simulation.folder)
        if code == 0:
            return done
        if os.WIFEXITED(code):
            raise SystemExit(f"{simulation.method}: the search ended with an error")


def check(simulation: Simulation, calm: Simulation, num_kills: int) -> None:
    """Compares a search that was killed with an undisturbed one."""
    if simulation.table() != calm.table():
        raise SystemExit(f"{simulation.method}: the table differs: {simulation.folder}")
    lines = (simulation.folder / "epochs.log").read_text(encoding="utf-8").splitlines()
    epochs = sum(row[-1] for row in simulation.table())
    if not epochs <= len(lines) <= epochs + num_kills:
        raise SystemExit(
            f"{simulation.method}: {len(lines)} epochs were run where {epochs} are recorded and "
            f"{num_kills} kills can have cost one each"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 kills of each method, not 50")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    rounds, rng = 4 if options.quick else 50, random.Random(options.seed)
    survived = 0
    for method in _METHODS:
        done: Counter[str] = Counter()
        number = 0
        with TemporaryDirectory(dir="/var/tmp") as name:
            while sum(done.values()) < rounds:
                made = Simulation(
                    Path(name) / f"{number}", method, 14, 9, 0.03, workers=1, seed=number
                )
                calm = replace(made, folder=Path(name) / f"{number}-calm", seconds=0.0, workers=0)
                for simulation in (made, calm):
                    simulation.folder.mkdir()
                calm.run()
                killed = survive(made, min(10, rounds - sum(done.values())), rng)
                check(made, calm, sum(killed.values()))
                done += killed
                number += 1
        print(f"{method:10} {dict(done)} kills in {number} searches: all tables as undisturbed")
        survived += sum(done.values())
    print(f"kills survived: {survived} of {survived}")


if __name__ == "__main__":
    main()
