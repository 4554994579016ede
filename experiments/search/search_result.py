"""The result of a search."""

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from experiments.finalists import choose
from experiments.finalists.record import Confirmed
from experiments.record.objective import objectives_of

if TYPE_CHECKING:
    from experiments.methods.oracles.base import DurableOracle
    from experiments.record.ended_trials import EndedTrials


_begun: list[Thread] = []  # imports of what draws the report


def begin_report() -> None:
    """Begins to import what draws the report, in a thread: it takes more than a second."""
    thread = Thread(target=_import_report, daemon=True)
    thread.start()
    _begun.append(thread)


def _import_report() -> None:
    with suppress(Exception):  # who writes the report meets it again, and says so
        import_module("reports.page.report")


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    Args:
        folder: The study folder.
        best_trial: Id of the best trial, of several objectives of the recommended one (the front's
            knee, if it bends), of several finalists of the one that won; `None` if none was
            completed.
        best_score: Its score on the validation split.
        test_scores: Test accuracies of the winner's trainings, one a seed; test losses where it
            has no accuracy.
        num_failed: Trials that failed.
        report: The report's page.
        objective: Name of the metric that the score is of.
        ended_by: `deadline` or `failures`, if that ended the search.
        front: Ids of the trials that no other beats in all of several objectives, the best by the
            first one first; empty for one objective.
        front_lines: The front in words; empty for one objective.
        tested: The winner's test score in words, with its interval; empty if none was tested.
    """

    folder: Path
    best_trial: str | None
    best_score: float | None
    test_scores: tuple[float, ...]
    num_failed: int
    report: Path
    objective: str
    ended_by: str | None = None
    front: tuple[str, ...] = ()
    front_lines: tuple[str, ...] = ()
    tested: str = ""


def result_of(
    folder: Path,
    oracle: "DurableOracle | EndedTrials",
    confirmed: Confirmed,
    ended_by: str | None = None,
    report: Path | None = None,
) -> SearchResult:
    """Returns the result of the search; writes the report if none is given.

    Args:
        folder: The study folder.
        oracle: Holds the trials; `EndedTrials` is as good.
        confirmed: The result of confirming.
        ended_by: What ended the search, if not the method.
        report: The page, if it is up to date.
    """
    while _begun:  # of an import that fails in another thread, half a module would be left
        _begun.pop().join()
    from reports import load_study, write_report
    from reports.analysis.verdict_words import winner_on_test_words

    study = load_study(folder) if report is None or confirmed.scores else None
    if study is not None and report is None:
        report = write_report(study)
    assert report is not None
    best = choose.finalists(oracle, 1)
    if confirmed.winner is not None:  # of a race, it may not be the best of the search
        best = [oracle.trials[confirmed.winner]]
    return SearchResult(
        folder=folder,
        best_trial=best[0].trial_id if best else None,
        best_score=best[0].score if best else None,
        test_scores=confirmed.scores,
        num_failed=sum(t.status == "FAILED" for t in oracle.trials.values()),
        report=report,
        objective=objectives_of(oracle)[0].name,
        ended_by=ended_by,
        front=choose.members(oracle),
        front_lines=choose.described_front(oracle),
        tested=winner_on_test_words(study) if study is not None and confirmed.scores else "",
    )
