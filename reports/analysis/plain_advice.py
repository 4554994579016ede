"""Verdict and advice for searches of scripts, which take no options of the command line."""

from experiments.record.formatting import plural, words
from experiments.record.notes import DOUBT, Note
from reports.study.study import Study


def advised(study: Study, ours: str, plain: str) -> str:
    """Returns the advice for a search of the command line, or the advice for one of a script."""
    return ours if study.takes_options else plain


def untested(study: Study) -> list[Note]:
    """Notes that a script's best score is not confirmed: it has no finalists."""
    count = len(study.completed)
    if study.takes_options or count < 2:
        return []
    title = (
        f"nothing was tested: the best score is the luckiest of {plural(count, 'trial')}, on the "
        "data that chose it"
    )
    advice = "train the best trials again with other seeds, and evaluate them on data of their own"
    return [Note(DOUBT, title, advice)]


def either_way(study: Study) -> str:
    """Names the best trial for both directions, where the recorded direction is unusual."""
    best, worst = study.completed.iloc[0], study.completed.iloc[-1]
    less, more = ("less", "more") if study.direction == "min" else ("more", "less")
    return (
        f"By the record of Keras Tuner {less} {words(study.objective)} is better: then the best of "
        f"{plural(len(study.completed), 'completed trial')} is trial {best['trial_id']}, "
        f"{best['score']:.4g}. If {more} is better, which is usual, it is trial "
        f"{worst['trial_id']}, {worst['score']:.4g}. Neither was confirmed on test."
    )
