"""A study for use in Python: it writes its report, and is shown as a table in notebooks."""

from html import escape
from pathlib import Path

from experiments.record.formatting import plural, words
from experiments.record.formatting import score as shown
from reports.analysis.task import noun_of
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import covered
from reports.page import tables
from reports.page.report import write_report
from reports.study import load, study


class Study(study.Study):
    """One study, as its folder records it; see `reports.study.study.Study` for its frames."""

    def report(self) -> Path:
        """Writes the study's report and returns the path of its page.

        Raises:
            UserError: The study folder can't be written.
        """
        return write_report(self)

    def _repr_html_(self) -> str:
        return study_html(self)


def load_study(study: str | Path, runs_dir: str | Path = "runs") -> Study:
    """Loads a study by the path of its folder, or by its name in `runs_dir`.

    Raises:
        UserError: There is no such study, or its record can't be read.
    """
    return load.load_as(Study, study, runs_dir)


def study_html(study: study.Study) -> str:
    """Returns the verdict in a line and the best trials as a table."""
    answer = verdict(study)
    head = f"<b>{escape(study.name)}</b>: {plural(answer.num_completed, 'completed trial')}"
    if answer.trial_id is not None:
        head += (
            f", best {escape(words(study.objective))} {shown(answer.score)} "
            f"(trial {escape(answer.trial_id)})"
        )
    for trial, test in answer.tests[:1]:
        head += (
            f"; test {escape(words(answer.test_metric))} of trial {escape(trial)} "
            f"{shown(test.mean)} ({covered(test, answer.test_size, noun_of(study))}, "
            f"{plural(test.count, 'seed')})"
        )
    frame = tables.best_trials(study)
    table = frame.to_html(index=False, escape=True, border=0) if len(frame) else ""
    return f"<div><p>{head}</p><div style='overflow-x:auto'>{table}</div></div>"
