"""Advice for projects of plain Keras Tuner, whose searches take none of this suite's options."""

from reports.study import DOUBT, Note, Study
from reports.words import plural


def advised(study: Study, ours: str, plain: str) -> str:
    """Returns the advice for a search of this suite, or that for one of plain Keras Tuner."""
    return plain if study.is_plain else ours


def untested(study: Study) -> list[Note]:
    """Says that the best score of a plain project was not confirmed: nothing there could be."""
    count = len(study.completed)
    if not study.is_plain or count < 2:
        return []
    title = (
        f"nothing was tested: the best score is the luckiest of {plural(count, 'trial')}, on the "
        "data that chose it"
    )
    advice = "train the best trials again with other seeds, and evaluate them on data of their own"
    return [Note(DOUBT, title, advice)]
