"""`experiments list`: one line a study, read quickly; frames only where they decide."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from experiments.record.bookkeeping import own_values
from experiments.record.errors import UserError
from experiments.record.formatting import score, without_folder
from experiments.record.reading import as_dict, as_number, clean, dig
from experiments.record.trial_index import Scan, Trial, read_compact, scan, status_of
from reports.analysis.race import winner_of
from reports.study.fidelity import handicaps, score_of
from reports.study.load import check_space, damage_refused, load_study, read_finalists, read_record
from reports.study.metrics import reported_on_test

_HEADINGS = ("study", "size", "what", "method", "trials", "objective", "best", "test", "started")
_WIDEST = 120


@dataclass(frozen=True)
class Summary:
    """The results in a study's line.

    Args:
        objectives: Names of its objectives.
        num_trials: All trials.
        num_completed: Trials with a score.
        num_failed: Trials that failed.
        trial: The recommended trial; empty without one.
        best: Its score; NaN without one.
        test: Test score of the first finalist; NaN without one.
        started: Seconds since 1970; NaN where unknown.
    """

    objectives: tuple[str, ...]
    num_trials: int
    num_completed: int
    num_failed: int
    trial: str
    best: float
    test: float
    started: float


@dataclass(frozen=True)
class Listed:
    """A folder among the studies.

    Args:
        folder: The folder.
        found: What it holds.
        record: Its `study.json`; empty without one that can be read.
        summary: Its results; `None` where it can't be read.
        problem: Why it can't be read; else empty.
    """

    folder: Path
    found: Scan
    record: dict[str, Any]
    summary: Summary | None
    problem: str = ""

    @property
    def started(self) -> float:
        """When it was started, in seconds since 1970; 0 where unknown.

        Plain Keras Tuner writes a time without its zone: this machine's is taken.
        """
        started = math.nan if self.summary is None else self.summary.started
        if self.record:
            return 0.0 if math.isnan(started) else started
        try:
            return datetime.fromtimestamp(started, UTC).replace(tzinfo=None).timestamp()
        except (ValueError, OverflowError, OSError):
            return 0.0

    @property
    def started_when(self) -> str:
        """When it was started, as `when` has it; of plain Keras Tuner, as that wrote it."""
        if self.summary is None:
            return ""
        return when(self.summary.started, None if self.record else UTC)


def listed_studies(runs_dir: str | Path, whole: bool = False) -> list[Listed]:
    """Reads every study of a folder, newest first; one that can't be read says why.

    Args:
        runs_dir: The folder of studies.
        whole: Whether to add up the bytes of each study.

    Raises:
        UserError: There is no such folder.
    """
    root = Path(runs_dir)
    if not root.is_dir():
        raise UserError(f"there is no runs folder {str(root)!r}: name one with --runs-dir")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return sorted((_listed(folder, whole) for folder in folders), key=lambda row: -row.started)


def _listed(folder: Path, whole: bool) -> Listed:
    found, record = scan(folder, whole), {}
    try:
        record = read_record(folder)
        with damage_refused(folder):
            summary = quick_summary(folder, record, found)
        return Listed(folder, found, record, summary or full_summary(folder))
    except (UserError, OSError) as error:
        return Listed(folder, found, record, None, str(error))


def studies_table(runs_dir: str | Path) -> str:
    """One line a study of `runs_dir`, newest first; one that can't be read says why."""
    studies = listed_studies(runs_dir, whole=True)
    if not studies:
        root = str(Path(runs_dir))
        return f"no study in {root!r} yet: `experiments search mnist_cnn --dataset digits`"
    return "\n".join(_aligned([_HEADINGS, *map(_cells, studies)]))


def _cells(listed: Listed) -> Sequence[str]:
    summary = listed.summary
    if summary is None:
        return listed.folder.name, "", f"can't be read: {listed.problem}"
    config = as_dict(listed.record.get("config"))
    space, dataset = config.get("space"), config.get("dataset")
    failed = f" + {summary.num_failed} failed" if summary.num_failed else ""
    return (
        listed.folder.name,
        f"{listed.found.num_bytes / 1e6:.1f} MB",
        f"{without_folder(space)} on {dataset}" if space else "plain Keras Tuner",
        str(config.get("method") or ""),
        f"{summary.num_completed}{failed}",
        ", ".join(summary.objectives),
        score(summary.best),
        score(summary.test),
        listed.started_when,
    )


def quick_summary(folder: Path, record: dict[str, Any], found: Scan) -> Summary | None:
    """Sums a study up without frames; `None` where that does not give the recommended trial.

    This is so for several objectives, and for studies that the suite did not record.
    """
    name, direction = dig(record, "objective", "name"), dig(record, "objective", "direction")
    if not isinstance(name, str) or direction not in ("max", "min") or record.get("objectives"):
        return None
    if not check_space(record.get("space") or []):
        return None
    problems: list[str] = []
    finalists = read_finalists(folder, problems)
    trials = read_compact(folder, problems, found)
    scores = {i: s for i, s in map(_score, sorted(trials, key=_order)) if not math.isnan(s)}
    last, sign = handicaps(trials, record), -1 if direction == "max" else 1
    ranks = {i: (last.get(i, 0), sign * value) for i, value in scores.items()}
    ranked = sorted(ranks, key=lambda i: ranks[i])  # the first of equals is first, as in frames
    distinct = ((ranks[i], i) for i in _one_a_network(ranked, trials))
    chosen = winner_of(record, finalists, distinct)
    if chosen not in scores:
        chosen = next(iter(ranked), "")
    starts = [as_number(result.get("started")) for _, _, result in trials]
    return Summary(
        objectives=(clean(name),),
        num_trials=len(trials),
        num_completed=len(scores),
        num_failed=sum(status_of(trial) == "failed" for trial in trials),
        trial=chosen,
        best=scores.get(chosen, math.nan),
        test=_test(clean(name), finalists),
        started=as_number(record.get("started", min(starts, default=None))),
    )


def _one_a_network(ranked: Sequence[str], trials: Iterable[Trial]) -> Iterator[str]:
    """Yields the first trial of each network: a promoted one has the values of its origin."""
    values = {t[0]: own_values(as_dict(dig(t[1], "hyperparameters", "values"))) for t in trials}
    known = set()
    for trial_id in ranked:
        network = repr(sorted(values[trial_id].items()))
        if network not in known:
            known.add(network)
            yield trial_id


def _order(trial: Trial) -> tuple[float, str]:
    """Returns what sorts trials by their start, as frames do."""
    started = as_number(trial[2].get("started"))
    return math.inf if math.isnan(started) else started, trial[0]


def _score(trial: Trial) -> tuple[str, float]:
    return trial[0], score_of(trial) if status_of(trial) == "completed" else math.nan


def _test(objective: str, finalists: list[dict[str, Any]]) -> float:
    """Returns the mean test score of the first finalist that has one; NaN without one."""
    metric = reported_on_test(objective, finalists)
    scores = [[as_number(run["test"].get(metric)) for run in f["runs"]] for f in finalists]
    means = [sum(of_one) / len(of_one) for of_one in scores if of_one]
    return next((mean for mean in means if math.isfinite(mean)), math.nan)


def full_summary(folder: Path) -> Summary:
    """Sums a study up without its verdict's intervals, which would load SciPy."""
    from reports.analysis.recommended import recommended

    study = load_study(folder)
    chosen = recommended(study)
    scores = study.completed["score"][study.completed["trial_id"] == chosen]
    return Summary(
        objectives=tuple(o.name for o in study.objectives),
        num_trials=len(study.trials),
        num_completed=len(study.completed),
        num_failed=len(study.failed),
        trial=chosen or "",
        best=float(max(scores, default=math.nan)),
        test=_test(study.objective, study.finalists),
        started=as_number(study.record.get("started", study.trials["started"].min())),
    )


def when(seconds: float, zone: tzinfo | None = None) -> str:
    """Returns a time as date, hours and minutes, of this machine's zone if none is given.

    Empty where it is unknown.
    """
    try:
        return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # missing, or no date at all
        return ""


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields rows of text in columns; missing cells are empty."""
    whole = [[_short(cell) for cell in (*row, *[""] * len(_HEADINGS))] for row in rows]
    widths = [max(map(len, column)) for column in zip(*whole, strict=False)][: len(_HEADINGS)]
    for cells in whole:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        yield " ".join(padded).rstrip()


def _short(cell: str) -> str:
    one_line = " ".join(cell.split())
    return one_line if len(one_line) <= _WIDEST else f"{one_line[: _WIDEST - 3]}..."
