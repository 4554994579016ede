"""How finalists were ranked by the record: by mean or in a race; which one won, and why."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from experiments.record.formatting import format_number as shown
from experiments.record.formatting import listed, plural, score, words
from experiments.record.reading import as_dict, as_number, clean, dicts, dig
from reports.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

_ENDS = {
    "separated": "the winner was separated from all others",
    "budget": "the budget ended",
    "deadline": "the deadline came",
    "failed": "the others' trainings had failed",
    "front": "each of those left was known to be better than what costs less",
}
_STANDINGS = {  # of the contenders left in a race of several objectives
    "cheapest": "nothing that is left costs less",
    "worth": "better than what costs less",
    "open": "not separated from what costs less",
}


@dataclass(frozen=True)
class Contender:
    """A contender of a race.

    Args:
        trial_id: The trial.
        rounds: `(round, score on validation)` of each training.
        mean: Mean of the scores; NaN without one.
        outcome: `won`; `ahead` (the best when the race ended) or `left` (not separated from it);
            `dropped` or `failed`. With several objectives, `recommended` replaces `ahead`.
        round: The round after which it left the race; NaN if it did not.
        why: Why it left, in words.
    """

    trial_id: str
    rounds: tuple[tuple[int, float], ...]
    mean: float
    outcome: str
    round: float
    why: str


def contenders(study: Study) -> list[Contender]:
    """Returns the contenders of the race, the winner first; none if the finalists did not race."""
    found = [_contender(f) for f in study.finalists if as_dict(f.get("race"))]
    if found and found[0].outcome == "left" and is_of_front(study):
        found[0] = replace(found[0], outcome="recommended")
    elif found and found[0].outcome == "left":
        found[0] = replace(found[0], outcome="ahead", why="the best mean, but not separated")
    elif any(c.outcome == "failed" for c in found) and found[0].outcome == "won":
        found[0] = replace(found[0], why="separated from those whose training did not fail")
    return found


def is_of_front(study: Study) -> bool:
    """Whether the finalists raced as members of a front, each against those that cost no more."""
    races = [as_dict(finalist.get("race")) for finalist in study.finalists]
    return any("standing" in race for race in races)


def _contender(finalist: dict[str, Any]) -> Contender:
    race = as_dict(finalist["race"])
    rounds = tuple(
        (place, as_number(run.get("score"))) for place, run in enumerate(ranking_runs(finalist), 1)
    )
    outcome = race.get("outcome")
    return Contender(
        trial_id=finalist["trial_id"],
        rounds=rounds,
        mean=as_number(race.get("mean")),
        outcome=outcome if outcome in ("won", "left", "dropped", "failed") else "unknown",
        round=as_number(race.get("round")),
        why=_why(race),
    )


def _why(race: dict[str, Any]) -> str:
    if race.get("outcome") == "dropped":
        gap, against = score(as_number(race.get("difference"))), clean(race.get("against"), 40)
        p_value, level = as_number(race.get("p_value")), as_number(race.get("level"))
        return f"{gap} worse than {against} (p {p_value:.2g}, below {level:.2g})"
    if str(race.get("standing")) in _STANDINGS and race.get("outcome") == "left":
        return _STANDINGS[str(race["standing"])]
    return {
        "failed": "its training failed",
        "won": "separated from all others",
        "left": "not separated from the best",
    }.get(str(race.get("outcome")), "")


def ranking_runs(finalist: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the trainings that ranked a finalist; none if nothing was ranked.

    In races from before winners were retrained on fresh seeds, they are among the tested ones.
    """
    if "ranking" not in finalist and as_dict(finalist.get("race")):
        return dicts(finalist["runs"])
    return dicts(finalist.get("ranking"))


def was_chosen(study: Study) -> bool:
    """Whether the finalists' trainings chose the winner, and fresh ones were tested."""
    return any(dicts(finalist.get("ranking")) for finalist in study.finalists)


def winner(study: Study) -> str | None:
    """Returns the finalist that trainings chose: the first by mean, or the winner of a race.

    `None` where they chose nothing (one finalist, or several objectives without a race). Likewise
    if trials were added since, or measured again, so that others would be finalists now.
    """
    return winner_of(study.record, study.finalists, _as_finalists(study))


def winner_of(
    record: dict[str, Any], finalists: Sequence[dict[str, Any]], ranked: Iterable[tuple[Any, str]]
) -> str | None:
    """Returns the `winner` of a study by its record and its finalists.

    Args:
        record: The content of `study.json`.
        finalists: They, as recorded.
        ranked: Rank and id of one trial a network; finalists are those of the first ranks. Which of
            equal ones were chosen depends on more than the record has.
    """
    sessions = dicts(record.get("sessions"))
    if sessions and "ended" not in sessions[-1]:
        return None
    first = next(iter(finalists), {})
    if not first or not ranking_runs(first):
        return None
    asked = as_number(dig(record, "config", "confirm"))
    count = int(min(len(finalists), asked)) if asked >= 1 else len(finalists)
    names = {str(finalist["trial_id"]) for finalist in finalists}
    due = sorted((rank, trial_id not in names) for rank, trial_id in ranked)[:count]
    return None if any(is_other for _, is_other in due) else str(first["trial_id"])


def _as_finalists(study: Study) -> Iterator[tuple[Any, str]]:
    """Yields rank and id of one trial a network, as finalists are chosen."""
    from reports.analysis.study_front import study_front  # `list` reads folders without pandas

    front, sign = study_front(study), -1 if study.direction == "max" else 1
    trials = study.ranked if front is None else front.trials.iloc[front.front.ranked()]
    distinct = trials.drop_duplicates([*study.hyperparameters] or ["trial_id"])
    found = zip(distinct["trial_id"], distinct["score"], strict=True)
    for place, (name, value) in enumerate(found):
        yield (study.handicaps.get(name, 0), sign * value) if front is None else place, str(name)


def replacement(study: Study, trial_id: str) -> str:
    """Returns the contender that a race put in a trial's place; the trial itself if none."""
    races = {str(f["trial_id"]): as_dict(f.get("race")) for f in study.finalists}
    dropped_by = {
        name: str(race.get("against"))
        for name, race in races.items()
        if race.get("outcome") == "dropped"
    }
    while trial_id in dropped_by:
        trial_id = dropped_by.pop(trial_id)  # a damaged record may lead around in circles
    return trial_id


def race_sentence(study: Study) -> str:
    """Says how the race went; empty if there was none."""
    found = contenders(study)
    if not found:
        return ""
    race = as_dict(study.finalists[0].get("race"))
    end = _ENDS.get(str(race.get("ended_by")), "the race ended")
    if found[0].outcome == "won":
        end = _separated(found)
    beside = [c.trial_id for c in found[1:] if c.outcome == "left"]
    open_end = f"; not separated from trial {', '.join(beside)}" if beside else ""
    kept_back = as_number(race.get("kept_back")) if "kept_back" in race else 0.0
    spent, budget = (
        shown(as_number(race.get("spent"))),
        shown(as_number(race.get("budget")) - kept_back),
    )
    fresh = len(study.finalists[0]["runs"]) if was_chosen(study) else 0
    tested = f" Its test is of {plural(fresh, 'further training')} on fresh seeds." if fresh else ""
    if not was_chosen(study) and found[0].rounds:  # recorded before winners were retrained
        tested = " Its test is of the trainings that made it win, which flatter it."
    came_to = f"trial {found[0].trial_id} has the best mean{open_end}"
    if is_of_front(study):
        left = plural(sum(c.outcome not in ("dropped", "failed") for c in found), "finalist")
        came_to = f"of {left} left trial {found[0].trial_id} is recommended"
    return (
        f"{plural(len(found), 'finalist')} raced on validation: after {spent} of {budget} "
        f"trainings {end}, and {came_to}.{tested}"
    )


def _separated(found: Sequence[Contender]) -> str:
    """Says from whom the winner was separated: from nobody whose training failed."""
    failed = [c.trial_id for c in found if c.outcome == "failed"]
    if not failed:
        return _ENDS["separated"]
    behind = listed([c.trial_id for c in found if c.outcome == "dropped"], 8)
    return (
        f"the winner was separated from trial {behind} (the training of trial "
        f"{listed(failed, 8)} failed)"
    )


def race_table(study: Study) -> "pd.DataFrame":
    """Each contender with its trainings and why it left the race."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "trial": contender.trial_id,
                "trainings": len(contender.rounds),
                f"mean {words(study.objective)}": score(contender.mean),
                "outcome": contender.outcome,
                "after round": shown(contender.round),
                "why": contender.why,
            }
            for contender in contenders(study)
        ]
    )
