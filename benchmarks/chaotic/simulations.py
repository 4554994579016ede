"""All disturbances of searches in which a formula stands for training."""

import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from chaotic import disturb
from chaotic.disturb import Disturbance
from chaotic.formula import install
from chaotic.process import BrokenSearchError
from chaotic.searches import CASES, Search

_MOST_A_SEARCH = 8  # disturbances
_BYTES = "3m"  # of the file system that is filled

# What is done to which searches, and how often of ten rounds.
_PLAN: tuple[tuple[Disturbance, str, float], ...] = (
    (disturb.killed, "random", 1.6),
    (disturb.killed, "grid", 1.6),
    (disturb.killed, "bayesian", 1.6),
    (disturb.killed, "hyperband", 1.6),
    (disturb.killed, "hyperband, 2 workers", 1.6),
    (disturb.killed, "tpe with asha", 1.6),
    (disturb.killed, "race", 1.6),
    (disturb.killed, "objectives", 1.6),
    (disturb.interrupted, "random", 0.8),
    (disturb.interrupted, "tpe with asha", 0.8),
    (disturb.interrupted, "hyperband, 2 workers", 0.8),
    (disturb.interrupted, "race", 0.8),
    (disturb.interrupted, "in one process", 0.8),
    (disturb.interrupted_while_restoring, "bayesian", 0.8),
    (disturb.interrupted_while_restoring, "hyperband", 0.8),
    (disturb.interrupted_while_restoring, "tpe with asha", 0.8),
    (disturb.interrupted_while_restoring, "race", 0.8),
    (disturb.with_jumping_clock, "in one process", 0.8),
    (disturb.with_jumping_clock, "hyperband", 0.8),
    (disturb.with_full_disk, "tpe with asha", 0.8),
    (disturb.with_full_disk, "objectives", 0.8),
    (disturb.with_closed_terminal, "random", 0.8),
    (disturb.with_closed_terminal, "race", 0.6),
)


def disturbances(rounds: int, rng: random.Random) -> Counter[str]:
    """Disturbs searches some 24 times a round.

    Returns:
        What was done, and how often.

    Raises:
        SystemExit: A search did not reach the result of an undisturbed one.
    """
    install()
    all_done: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        for number, (way, case, share) in enumerate(_PLAN):
            began, folder = time.monotonic(), Path(name) / str(number)
            done = _disturbed(way, case, max(1, round(share * rounds)), folder, rng)
            seconds = time.monotonic() - began
            print(f"{case:21} {seconds:4.0f} s  {_words(done)}", flush=True)
            all_done += done
    return all_done


def _words(done: Counter[str]) -> str:
    return ", ".join(f"{what} {count}" for what, count in sorted(done.items()))


def _disturbed(
    way: Disturbance, case: str, wanted: int, folder: Path, rng: random.Random
) -> Counter[str]:
    """Disturbs as many searches as it takes."""
    done: Counter[str] = Counter()
    while (left := wanted - sum(done.values())) > 0:
        seed, place = rng.randrange(1000), Path(tempfile.mkdtemp(dir=_made(folder)))
        calm, search = (
            Search(CASES[case], _made(place / name / "runs"), place / name, folder.parent, seed)
            for name in ("calm", "disturbed")
        )
        room = _small_disk(search.runs) if way is disturb.with_full_disk else nullcontext()
        try:
            calm.run_calmly()
            with room:
                done += disturb.survive(search, way, min(left, _MOST_A_SEARCH), rng)
                search.check(calm)
        except BrokenSearchError as error:
            facts = f"{case}, {way.__name__}, seed {seed}, {dict(done)}"
            raise SystemExit(f"{facts}: {error}") from None
    return done


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    """Mounts a small file system; needs root.

    Raises:
        SystemExit: It can't be mounted.
    """
    command = ["mount", "-t", "tmpfs", "-o", f"size={_BYTES}", "none", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise SystemExit("a small file system can't be mounted: run it as root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
