"""Searches that are disturbed, and have to reach the result of an undisturbed one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from simulated import table

from chaotic.formula import LOG, SECONDS, expected_score
from chaotic.process import BrokenSearchError, Process

_NAME = "study"
_FINAL = ("trial_id", "runs", "ranking", "race", "exported_run", "failed", "max_epochs")
_OF_A_RUN = ("seed", "score", "best_epoch", "history", "test", "test_size", "round")


@dataclass(frozen=True)
class Case:
    """A kind of search.

    Args:
        name: What it is called.
        options: Of the command line.
        workers: Worker processes while it is disturbed; the undisturbed one has none.
    """

    name: str
    options: str
    workers: int = 1


_FEW = "--max-trials 8 --max-epochs 6 --confirm 2 --seeds 2"
CASES = {
    case.name: case
    for case in (
        Case("random", f"--method random {_FEW}"),
        Case("grid", f"--method grid {_FEW}"),
        Case("bayesian", f"--method bayesian {_FEW}"),
        Case("hyperband", f"--method hyperband {_FEW} --max-trials 14 --max-epochs 9"),
        Case("hyperband, 2 workers", "--method hyperband --max-trials 99 --max-epochs 9", 2),
        Case(
            "tpe with asha",
            f"--method tpe --pruner asha {_FEW} --max-trials 14 --max-epochs 9",
        ),
        Case("race", "--method tpe --max-trials 5 --max-epochs 4 --confirm 3 --seeds 5 --race"),
        Case("objectives", f"--method tpe --objective val_accuracy --objective params {_FEW}"),
        Case("in one process", f"--method tpe --pruner asha {_FEW}", 0),
    )
}


@dataclass
class Search:
    """One search, from its beginning to its end.

    Args:
        case: The kind.
        runs: Folder of studies; the study's is made in it.
        beside: Folder of what is not the study's: logs.
        cache: Folder of prepared data.
        seed: Seed of the search.
        seconds: Seconds of an epoch.
    """

    case: Case
    runs: Path
    beside: Path
    cache: Path
    seed: int
    seconds: float = 0.03
    num_starts: int = field(default=0, init=False)
    is_done: bool = field(default=False, init=False)

    @property
    def folder(self) -> Path:
        """The study folder."""
        return self.runs / _NAME

    @property
    def log(self) -> Path:
        """The file that has a line for every epoch that was trained."""
        return self.beside / "epochs.log"

    @property
    def num_epochs(self) -> int:
        """How many epochs were trained so far."""
        return self.log.read_bytes().count(b"\n") if self.log.exists() else 0

    @property
    def has_begun(self) -> bool:
        """Whether there is a study to resume."""
        return (self.folder / "study.json").is_file()

    def start(
        self,
        prepare: Callable[[], None] | None = None,
        streams: tuple[int, int] | None = None,
        workers: int | None = None,
    ) -> Process:
        """Starts or resumes the search."""
        self.num_starts += 1
        if self.has_begun:
            arguments = ["resume", _NAME]
        else:
            shutil.rmtree(self.folder, ignore_errors=True)  # killed before it had recorded anything
            arguments = ["search", "mnist_cnn", "--name", _NAME, *self._options(workers)]
        environment = {SECONDS: str(self.seconds), LOG: str(self.log), "COLUMNS": "100"}
        output = self.beside / "output.txt"
        return Process(
            [*arguments, "--runs-dir", str(self.runs)], environment, output, prepare, streams
        )

    def _options(self, workers: int | None) -> list[str]:
        chosen = self.case.workers if workers is None else workers
        dataset = f"--dataset digits --sample 100 --patience 0 --seed {self.seed}"
        cache = ["--cache-dir", str(self.cache)]
        return [*self.case.options.split(), *dataset.split(), *cache, "--workers", str(chosen)]

    def end(self, process: Process, *codes: int) -> int:
        """Waits until a process of the search has ended, and checks what it leaves.

        Args:
            process: The process.
            codes: Exit codes that are right, beside 0 for a search that is done.

        Raises:
            BrokenSearchError: Something is not as it has to be.
        """
        code, printed = process.wait(), process.printed()
        # Python's own of a process that was being started when its parent was killed.
        starting = any(name in printed for name in ("in spawn_main", "in _serve_one"))
        says_wrong = "Traceback" in printed and not starting
        if says_wrong or code not in (0, *codes):
            expected = f"one of {(0, *codes)} is right"
            raise BrokenSearchError(f"exit code {code}, {expected}; printed: {printed}")
        for path in self.folder.rglob("*.json"):
            if not path.name.startswith("."):
                json.loads(path.read_text(encoding="utf-8"))
        self.is_done = code == 0
        if self.has_begun:
            self._check_status()
        return code

    def _check_status(self) -> None:
        from experiments.studies.status import status_text

        said = status_text(self.folder).splitlines()[0]
        if not said.endswith("ended") if self.is_done else ("process" in said):
            raise BrokenSearchError(f"status says: {said}")

    def run_calmly(self) -> None:
        """Runs it to its end, undisturbed, as fast as it goes.

        Raises:
            BrokenSearchError: It does not end as it should.
        """
        self.seconds = 0.0
        self.end(self.start(workers=0))

    def check(self, calm: "Search") -> None:
        """Compares with an undisturbed search.

        Raises:
            BrokenSearchError: It has another result, or leaves something behind.
        """
        whats = ("table", "finalists", "files") if self.case.workers < 2 else ("outline",)
        for what in whats:
            mine, others = (getattr(s, f"_{what}")() for s in (self, calm))
            if mine != others:
                raise BrokenSearchError(f"{what} differ:\n{_difference(mine, others)}")
        lines, least = self.num_epochs, calm.num_epochs
        most = least + 2 * self.num_starts * max(1, self.case.workers)  # one a driver, one a worker
        if not least <= lines <= most:
            raise BrokenSearchError(
                f"{lines} epochs were trained; {least} to {most} can have been needed"
            )
        self._check_left_over()

    def _table(self) -> list[tuple[Any, ...]]:
        return table(self.folder)

    def _outline(self) -> list[Any]:
        """Returns what no timing of workers decides: how many trials of each rung, and files.

        Raises:
            BrokenSearchError: A trial's score does not follow from its values and its seed, two
                continue the same trial, or the finalist is not the best.
        """
        trials = self._table()
        origins = [dict(values).get("tuner/trial_id") for _, _, values, _, _ in trials]
        promoted = [origin for origin in origins if origin]
        if len(set(promoted)) < len(promoted):
            raise BrokenSearchError(f"trials were promoted twice: {promoted}")
        for trial_id, _, values, reached, _ in trials:
            if reached != expected_score(dict(values), self.seed, int(trial_id)):
                raise BrokenSearchError(f"trial {trial_id} has a score of {reached}")
        best = max(trials, key=lambda trial: trial[3])[0]
        if self._finalists()[0]["trial_id"] != best:
            raise BrokenSearchError(f"trial {best} is the best, and not the finalist")
        rungs = [(dict(v)["tuner/bracket"], dict(v)["tuner/round"], n) for _, _, v, _, n in trials]
        return [*sorted(rungs), *sorted(Path(name).name for name in self._files())]

    def _finalists(self) -> list[Any]:
        artifacts = self.folder / "artifacts"
        records = json.loads((artifacts / "finalists.json").read_text(encoding="utf-8"))
        uses = json.loads((artifacts / "test_uses.json").read_text(encoding="utf-8"))
        with np.load(artifacts / "finalists.npz") as said:
            predicted = {name: said[name].tolist() for name in sorted(said.files)}
        model = (self.folder / "best_model.keras").read_text(encoding="utf-8")
        tested = [use["trainings"] for use in uses]
        return [*(_plain(record) for record in records), predicted, model, tested]

    def _files(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))

    def _check_left_over(self) -> None:
        from experiments.record.lock import locked
        from reports.study.load import load_study

        with locked(self.folder):
            pass
        study = load_study(self.folder)
        if study.problems:
            raise BrokenSearchError(f"the report has problems: {study.problems}")
        others = [path.name for path in self.runs.iterdir() if path != self.folder]
        if others:
            raise BrokenSearchError(f"left beside the study: {others}")
        for path in self.folder.glob("trial_*/result.json"):
            result = json.loads(path.read_text(encoding="utf-8"))
            if not 0 <= result["seconds"] < 60:
                raise BrokenSearchError(f"{path} has taken {result['seconds']} seconds")


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of a finalist without what the clock says."""
    plain = {name: record[name] for name in _FINAL if name in record}
    for name in {"runs", "ranking"} & set(plain):
        plain[name] = [{n: run[n] for n in _OF_A_RUN if n in run} for run in plain[name]]
    return plain


def _difference(mine: list[Any], others: list[Any]) -> str:
    lines = [f"- {one}" for one in others if one not in mine]
    return "\n".join([*lines, *(f"+ {one}" for one in mine if one not in others)])[:4000]
