"""Small real searches in processes of their own, that are struck at a moment of choice.

A process is forked from one that has imported TensorFlow and not run an operation of it, so it
loads nothing again. Before the command line runs in it, one function of the suite is wrapped: at
its n-th call, or some time after, the process sends itself a signal.
"""

import json
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import util
from pathlib import Path
from typing import Any

_NUM_IMAGES, _SIDE = 40, 24  # of each class; pixels
# Search spaces, and what makes their networks small.
SPACES = {
    "mnist_cnn": (
        "--set", "image_size=16", "--fix", "conv_blocks=1", "--fix", "dense_layers=0",
        "--seeds", "2",
    ),
    "frozen_convolution": ("--seeds", "1"),
    "transfer_head": (
        "--seeds", "1", "--set", "weights=none", "--set", "alpha=0.35", "--set", "image_size=32",
        "--fix", "unfreeze=false", "--fix", "flip=true",
    ),
}  # fmt: skip
_SMALL = (
    "--max-trials", "2", "--max-epochs", "2", "--method", "random", "--confirm", "1",
    "--workers", "0",
)  # fmt: skip


def load() -> None:
    """Imports what searches use; runs no operation of TensorFlow, so that forks are safe."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name in (
        "tensorflow", "keras_tuner", "experiments.cli.main", "experiments.search.run",
        "experiments.finalists.artifacts", "experiments.finalists.confirm",
        "experiments.training.forecast", "reports.page.report",
    ):  # fmt: skip
        import_module(name)
    # Rows are noted after each batch of eight images, so that there is something to go on from.
    computing = import_module("experiments.training.feature_computing")
    computing.BATCH, computing._SYNC_SECONDS = 8, 0.0


def write_images(folder: Path, rng: random.Random) -> None:
    """Writes two classes of noise, one brighter than the other."""
    from PIL import Image

    for name, lift in (("dark", 0), ("light", 60)):
        (folder / name).mkdir(parents=True)
        for number in range(_NUM_IMAGES):
            pixels = bytes(lift + rng.randrange(190) for _ in range(_SIDE * _SIDE))
            Image.frombytes("L", (_SIDE, _SIDE), pixels).save(folder / name / f"{number}.png")


def add_spaces() -> None:
    """Adds the search spaces of the folder beside this file, whose networks are quick."""
    import search_spaces

    search_spaces.__path__ = [*search_spaces.__path__, str(Path(__file__).parent / "spaces")]


def start(arguments: Sequence[str], log: Path, *before: Callable[[], None]) -> int:
    """Runs the command line in a process of its own, and a session, after calling `before`."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        code = 70
        try:
            for call in before:
                call()
            import_module("experiments.cli.main").main(list(arguments))
        except SystemExit as error:
            code = int(error.code or 0)
        except BaseException:
            traceback.print_exc()
        util._exit_function()  # type: ignore[attr-defined]  # as Python's own end does
        os._exit(code)
    return pid


def ended(pid: int) -> int:
    """Waits for a process; returns its exit code, or minus the signal that killed it."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    deadline = time.monotonic() + 15
    while orphans := _of_session(pid):
        if time.monotonic() > deadline:
            raise SystemExit(f"processes {orphans} outlive the search that started them")
        time.sleep(0.02)
    return code


def _of_session(leader: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and os.getsid(int(name)) == leader:
                found.append(int(name))
        except ProcessLookupError:
            continue
    return found


def without_report() -> None:
    """Writes no report in this process, where none is looked at: it takes seconds."""
    import reports

    setattr(reports, "write_report", lambda study: study.folder / "report" / "index.html")  # noqa: B010


@dataclass(frozen=True)
class Place:
    """A search with its study and its cache, in a folder.

    Args:
        folder: Holds `runs`, `cache` and the output of the processes.
        space: The search space.
        images: The image folder.
        reported: Whether reports are written.
    """

    folder: Path
    space: str
    images: Path
    reported: bool = False

    @property
    def cache(self) -> Path:
        """The cache folder."""
        return self.folder / "cache"

    @property
    def study(self) -> Path:
        """The study folder."""
        return self.folder / "runs" / "study"

    @property
    def log(self) -> Path:
        """The output of its processes."""
        return self.folder / "log.txt"

    def copied_to(self, folder: Path, **changes: Any) -> "Place":
        """Returns a copy, which continues by itself."""
        shutil.copytree(self.folder, folder)
        return Place(folder, self.space, self.images, **changes)

    def arguments(self, *more: str) -> list[str]:
        """Returns the command that starts the search, or resumes it once it has begun."""
        shared = ["--runs-dir", str(self.study.parent), "--cache-dir", str(self.cache)]
        if (self.study / "study.json").is_file():
            return ["resume", self.study.name, *shared, *more]
        named = ["--name", self.study.name, "--dataset", f"folder:{self.images}"]
        return ["search", self.space, *named, *shared, *_SMALL, *SPACES[self.space], *more]

    def begin(self, *before: Callable[[], None], more: Sequence[str] = ()) -> int:
        """Starts or resumes the search; returns the process."""
        self.folder.mkdir(parents=True, exist_ok=True)
        quiet = () if self.reported else (without_report,)
        return start(self.arguments(*more), self.log, *quiet, *before)

    def run(self, *before: Callable[[], None], more: Sequence[str] = ()) -> int:
        """Runs the search until it or its process ends; returns the exit code."""
        return ended(self.begin(*before, more=more))

    def said(self) -> str:
        """Returns the last lines of its processes."""
        return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-12:])

    def table(self) -> list[Any]:
        """Returns of each trial its status, values, score and the metrics of every epoch."""
        rows = []
        for path in sorted(self.study.glob("trial_*/trial.json")):
            trial = json.loads(path.read_text(encoding="utf-8"))
            result = json.loads(path.with_name("result.json").read_text(encoding="utf-8"))
            values = trial["hyperparameters"]["values"]
            histories = [e["history"] for e in result["executions"]]
            rows.append([path.parent.name, trial["status"], values, trial["score"], histories])
        return rows

    def finalists(self) -> list[Any]:
        """Returns of each finalist its trainings with their tests, without their seconds."""
        path = self.study / "artifacts" / "finalists.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        for record in found:
            for run in (*record["runs"], *record.get("ranking", ())):
                run["seconds"] = run["epoch_seconds"] = None
        return list(found)
