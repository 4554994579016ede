"""Studies and trials as text for the terminal."""

import pandas as pd

from experiments.record.formatting import plural, score, text, words
from experiments.record.notes import PROBLEM
from experiments.record.objective import shown_value
from experiments.record.reading import clean
from reports.analysis.facts import widenings
from reports.analysis.race import contenders, race_sentence, race_table
from reports.analysis.study_front import study_front, value_of_trials
from reports.analysis.task import noun_of
from reports.analysis.verdict import verdict
from reports.analysis.verdict_words import covered
from reports.page import tables
from reports.study.study import Study


def study_text(study: Study) -> str:
    """The verdict and the best trials."""
    answer = verdict(study)
    stopped = f", {answer.num_pruned} stopped early" if answer.num_pruned else ""
    head = [f"{study.name}: {answer.num_completed} completed, {answer.num_failed} failed{stopped}"]
    if answer.trial_id is not None:
        head += _front(study)
        label = "best trial" if len(study.objectives) < 2 else "recommended trial"
        head.append(f"{label} {answer.trial_id}: {study.objective} {score(answer.score)}")
    for trial, test in answer.tests:
        seeds, covers = plural(test.count, "seed"), covered(test, answer.test_size, noun_of(study))
        named = f"{words(answer.test_metric)} {score(test.mean)}"
        head.append(f"trial {trial} on test: {named} ({seeds}; {covers})")
    if contenders(study):
        head += [race_sentence(study), "", _plain(race_table(study)), ""]
    head += [f"problem: {note.title}" for note in study.notes if note.level == PROBLEM]
    head += [f"widened: {clean(line)}" for line in widenings(study.record)]
    frame = tables.best_trials(study)
    return "\n".join(head) + ("\n\n" + _plain(frame) if len(frame) else "")


def _front(study: Study) -> list[str]:
    found = study_front(study)
    if found is None:
        return []
    count, total = len(found.front.members), len(found.trials)
    lines = [f"front: {count} of {plural(total, 'trial')}: {', '.join(found.ids)}"]
    if found.front.knee is not None:
        knee = found.trials.iloc[found.front.knee]["trial_id"]
        lines.append(f"knee: trial {knee}, {found.described(found.front.knee)}")
    return lines


def trial_text(study: Study, trial_id: str) -> str:
    """One trial: hyperparameters, epochs, and on failure its cause.

    Raises:
        UserError: The study has no such trial.
    """
    row = study.trial(trial_id)
    lines = [f"trial {row['trial_id']} of {study.name}: {row['status']}"]
    if pd.notna(row["score"]):
        took = f", {row['seconds']:.1f} s" if pd.notna(row["seconds"]) else ""
        lines.append(f"{words(study.objective)} {score(row['score'])}{took}")
        lines += [
            f"{words(o.name)} {shown_value(float(value), o)}"
            for o in study.objectives[1:]
            for value in value_of_trials(study, row.to_frame().T, o.name)
        ]
    shown = [n for n in study.hyperparameters if text(row[n])]
    lines += ["", *(f"  {name:26} {text(row[name])}" for name in shown)]
    epochs = study.epochs_of(row["trial_id"])
    if len(epochs):
        lines += ["", _epochs(epochs).to_string(index=False)]
    for failure in tables.failures(study):
        if failure["trial"] == row["trial_id"]:
            lines += ["", f"cause: {failure['cause']}", *filter(None, [failure["traceback"]])]
    return "\n".join(lines)


def _epochs(epochs: pd.DataFrame) -> pd.DataFrame:
    """Epochs as text, each metric as a score."""
    told = epochs.drop(columns="trial_id")
    whole = ("execution", "epoch")
    return pd.DataFrame({n: told[n].map(str if n in whole else score) for n in told.columns})


def _plain(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False, justify="left", max_colwidth=120)
