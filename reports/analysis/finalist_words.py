"""Notes on the finalists' trainings, in words."""

from reports.analysis.race import is_of_front, was_chosen
from reports.analysis.test_looks import opened_words
from reports.study.study import Study

_CHOSEN = (
    "The best trials of the search were trained again from scratch, and ranked by these trainings "
    "on validation. Such trainings are no test: they flatter the winner and belittle the "
    "others. The winner was trained once more with fresh seeds, and its test score comes from "
    "those alone."
)
_BEST = "The best trials by validation score, trained again from scratch with fresh seeds."
_FRONT = (
    "Trials of the front, the knee first, trained again from scratch with fresh seeds. They are "
    "different compromises: none was chosen by these trainings."
)
_RACED_FRONT = (
    "Trials of the front were trained again from scratch, in a race on validation: one leaves it "
    "when another that costs no more is clearly better. Such trainings are no test: they flatter "
    "who is left. The recommended one, the knee unless it was dropped, was trained once more with "
    "fresh seeds, and its test score comes from those alone."
)
_LUCK = (
    "A best validation score is the luckiest of many and overstates; the test score of trainings "
    "that took part in no choice does not."
)


def finalists_note(study: Study) -> str:
    """Says how finalists were trained and chosen, and how often the test split was opened."""
    several = len(study.objectives) > 1
    how = _CHOSEN if was_chosen(study) else _FRONT if several else _BEST
    how = _RACED_FRONT if is_of_front(study) else how
    opened = opened_words(study)
    test = f"The test split ranks nothing; so far it was {opened}." if opened else ""
    return " ".join(part for part in (how, test, _LUCK) if part)
