"""Which trial a study recommends."""

from reports.analysis.race import winner
from reports.analysis.study_front import study_front
from reports.study.study import Study


def recommended(study: Study) -> str | None:
    """Returns the trial that a study recommends; `None` where none was completed.

    With several objectives, it is the front's knee. With finalists that were trained again, it is
    the leading one; else the best of the search, of those
    with most epochs.
    """
    if study.completed.empty:
        return None
    if (chosen := winner(study)) in set(study.completed["trial_id"]):
        return chosen
    front = study_front(study)
    trials = study.ranked if front is None else front.trials
    place = 0 if front is None else front.recommended or 0
    return str(trials.iloc[place]["trial_id"])
