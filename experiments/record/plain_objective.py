"""Infers the objective of a plain Keras Tuner project: it records scores, but no objective."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.record.formatting import listed, plural
from experiments.record.notes import DOUBT, GOOD, PROBLEM, Note
from experiments.record.objective import Objective
from experiments.record.plain_metrics import best_of, matches, parts_of
from experiments.record.reading import as_number
from experiments.record.trial_index import Trial

_UNKNOWN = ("score", "max")
MULTI = "multi_objective"
_OWN = (MULTI, "default_objective")  # names that Keras Tuner itself gives
# Metrics of which more is better, by the names that Keras and users give them.
_MORE = re.compile(
    r"(^|_)(acc|accuracy|auc|precision|recall|f1|(f1_|f_?beta_|r2_)score|r2|r_square|io_?u|dice"
    r"|dice_coef|cosine_similarity|(pearson|concordance)_correlation)$"
    r"|^(precision|recall|sensitivity|specificity)_at_"
)
_LESS = re.compile(r"(^|_)(loss|error|mse|mae|rmse|mape|msle|crossentropy)$")
_NUMBERED = re.compile(r"_\d+$")


@dataclass(frozen=True)
class Ranking:
    """The objective of a project, and the score of each trial by it.

    Args:
        name: The metric that equals the scores of most trials; `score` where none does.
        direction: `"max"` or `"min"`, as the record of that metric says.
        scores: trial id -> score by that metric.
        same: Other metrics that equal every one of those scores too, as `name:direction`.
        is_known: Whether there is such a metric.
        notes: Decisions made, and evidence against them.
    """

    name: str
    direction: str
    scores: dict[str, float]
    same: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    is_known: bool = True

    def is_of(self, objective: str) -> bool:
        """Whether the scores are those of an objective, `name:direction`."""
        return self.is_known and objective in (f"{self.name}:{self.direction}", *self.same)


def ranking(trials: Iterable[Trial]) -> Ranking:
    """Finds the objective of a project from its scored trials.

    A trial's score is its best value of the objective: the best observation, each the mean over
    executions (`MetricHistory.get_best_value` of Keras Tuner). The metric for which that holds in
    most trials is the objective. Trials that were ranked by another one are ranked by their own
    record of it, or not at all.

    Args:
        trials: Completed trials; those whose score is no finite number are left out.
    """
    found = {trial_id: (state, as_number(state.get("score"))) for trial_id, state, _ in trials}
    scored = {i: state for i, (state, score) in found.items() if math.isfinite(score)}
    voters: dict[Objective, set[str]] = {}
    for trial_id, state in scored.items():
        for candidate in matches(state):
            voters.setdefault(candidate, set()).add(trial_id)
    if not voters:
        scores = {trial_id: found[trial_id][1] for trial_id in scored}
        return Ranking(*_UNKNOWN, scores, notes=(_unknown(len(scores)),), is_known=False)
    chosen = min(voters, key=lambda c: (-len(voters[c]), *_preference(c.name)))
    scores = {trial_id: found[trial_id][1] for trial_id in voters[chosen]}
    others = [trial_id for trial_id in scored if trial_id not in scores]
    own = {trial_id: best_of(scored[trial_id], chosen) for trial_id in others}
    scores |= {trial_id: value for trial_id, value in own.items() if math.isfinite(value)}
    equal = [c for c in voters if c != chosen and voters[c] == voters[chosen]]
    notes = [
        *_shared(chosen, equal),
        *_several(chosen, voters, others, scores),
        *_unusual(chosen),
        *_of_training(chosen),
        *_summed(chosen, [scored[trial_id] for trial_id in sorted(voters[chosen])]),
    ]
    same = tuple(map(str, equal))
    return Ranking(chosen.name, chosen.direction, scores, same, tuple(notes))


def _preference(name: str) -> tuple[bool, bool, bool]:
    """Sorts equals: Keras Tuner's own names, then validation, then what the loss is called too."""
    return name not in _OWN, not name.startswith("val_"), "loss" in name


def is_unusual(name: str, direction: str) -> bool:
    """Whether a direction is not the one that a metric of this name usually has."""
    metric = _NUMBERED.sub("", name.removeprefix("val_"))
    return bool(_MORE.search(metric) if direction == "min" else _LESS.search(metric))


def _unknown(count: int) -> Note:
    if not count:
        return Note(DOUBT, "no trial has a score: what the search ranked by is not recorded")
    return Note(
        PROBLEM,
        "no recorded metric equals the scores: what they are of is unknown, and that more is "
        "better is an assumption",
        "read the objective in the code that ran the search",
    )


def _shared(chosen: Objective, equal: list[Objective]) -> Iterable[Note]:
    against = [c for c in equal if c.direction != chosen.direction]
    if against:
        yield Note(
            PROBLEM,
            f"the scores equal {chosen} as well as {listed([str(c) for c in against])} in every "
            f"trial: that the objective was {chosen} is a guess",
            "read the objective in the code that ran the search",
        )
    elif equal:
        names = listed(sorted(c.name for c in equal))
        yield Note(
            GOOD, f"the scores are those of {chosen.name}; {names} had the same values throughout"
        )


def _several(
    chosen: Objective,
    voters: dict[Objective, set[str]],
    others: list[str],
    scores: dict[str, float],
) -> Iterable[Note]:
    """Describes how trials that were ranked by another objective were treated."""
    if not others:
        return
    by = sorted({str(c) for c in (_by(voters, i) for i in others) if c is not None})
    left_out = sum(trial_id not in scores for trial_id in others)
    here = len(others) - left_out
    own = f"their own record of {chosen.name}, which is of the epoch that was best by the other"
    fate = f"{here} of them ranked here by {own}" if here else ""
    lost = (
        f"{left_out} left out of the ranking, without a record of {chosen.name}" if left_out else ""
    )
    count = plural(len(others), "trial")
    what = (
        f"the folder holds searches by different objectives: most by {chosen}, {count} by "
        f"{listed(by)}"
        if by
        else f"most scores are of {chosen}, those of {count} of nothing that is recorded"
    )
    yield Note(
        PROBLEM,
        f"{what}; {' and '.join(filter(None, (fate, lost)))}",
        "give every search a project_name of its own",
    )


def _by(voters: dict[Objective, set[str]], trial_id: str) -> Objective | None:
    found = [c for c, ids in voters.items() if trial_id in ids]
    return min(found, key=lambda c: _preference(c.name), default=None)


def _unusual(chosen: Objective) -> Iterable[Note]:
    if is_unusual(chosen.name, chosen.direction):
        less = chosen.direction == "min"
        right = "max" if less else "min"
        yield Note(
            PROBLEM,
            f"by its record the search took {'less' if less else 'more'} {chosen.name} for better; "
            f"usually {'more' if less else 'less'} is: then what it calls its best trial is its "
            "worst, and it searched in the wrong direction",
            "Keras Tuner guesses a direction from the name, and not always right: search again "
            f"with objective=keras_tuner.Objective({chosen.name!r}, {right!r})",
        )


def _of_training(chosen: Objective) -> Iterable[Note]:
    metric = _NUMBERED.sub("", chosen.name)
    if metric.startswith("val_"):
        return
    if _MORE.search(metric) or _LESS.search(metric):
        yield Note(
            PROBLEM,
            f"the objective, {chosen.name}, is of the training data: it rewards overfitting",
            f"search again with validation data and the objective val_{chosen.name}",
        )


def _summed(chosen: Objective, states: list[dict[str, object]]) -> Iterable[Note]:
    if chosen.name == MULTI:
        parts = parts_of(states, MULTI)
        what = parts or "several metrics; which ones is not recorded"
        yield Note(
            GOOD if parts else DOUBT,
            f"multi_objective is the sum that Keras Tuner ranks several objectives by: {what}",
            "the sum weighs them by their scales: a metric with large values decides alone",
        )
