"""A study in a notebook."""

from html import escape

from reports import tables
from reports.study import Study
from reports.summary import verdict
from reports.verdict_words import covered
from reports.words import plural, words
from reports.words import score as shown


def study_html(study: Study) -> str:
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
            f"{shown(test.mean)} ({covered(test, answer.test_size)}, {plural(test.count, 'seed')})"
        )
    frame = tables.best_trials(study)
    table = frame.to_html(index=False, escape=True, border=0) if len(frame) else ""
    return f"<div><p>{head}</p><div style='overflow-x:auto'>{table}</div></div>"
