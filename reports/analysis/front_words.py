"""The front of several objectives in words: which trial to train, and what it loses."""

import math

from experiments.record.formatting import listed, plural, score, words
from experiments.record.objective import Objective, shown_value
from reports.analysis.study_front import StudyFront

_SAME = 1.05  # ratios below it are no difference worth a number


def front_sentence(found: StudyFront) -> str:
    """Says which trial of the front to train and why, without a full stop."""
    count, names = len(found.front.members), [words(o.name) for o in found.objectives]
    knee, best, first = found.front.knee, int(found.front.members[0]), names[0]
    if count == 1:
        return (
            f"Train the network of trial {_id(found, best)}: none of "
            f"{plural(len(found.trials), 'completed trial')} is better in any of {listed(names)} "
            f"({_values(found, best)})"
        )
    opening = (
        f"{count:,} of {plural(len(found.trials), 'completed trial')} are beaten by none in "
        f"{listed(names)}: the front. Train the network of trial {_id(found, found.recommended)}"
    )
    if knee is None:
        return f"{opening}, the best by {first}, for the front has no knee ({_values(found, best)})"
    if knee == best:
        return f"{opening}, the front's knee and the best by {first} ({_values(found, best)})"
    return (
        f"{opening}, the front's knee ({_values(found, knee)}): against trial {_id(found, best)}, "
        f"the best by {first}, it {exchange(found, knee, best)}"
    )


def exchange(found: StudyFront, position: int, other: int) -> str:
    """Says what a trial loses by the first objective, and what it gains and loses by the others.

    `loses 0.01 accuracy for 3 times fewer parameters`, `has 0.01 more loss for ...`.
    """
    first, *others = found.objectives
    gap = abs(found.values[position, 0] - found.values[other, 0])
    got: list[str] = []
    lost: list[str] = []
    for column, objective in enumerate(others, 1):
        value, instead = float(found.values[position, column]), float(found.values[other, column])
        worse = objective.better(instead, value)
        (lost if worse else got).append(_change(objective, value, instead))
    name = words(first.name)
    loses = f"loses {score(gap)}" if first.direction == "max" else f"has {score(gap)} more"
    text = f"{loses} {name} for {listed(got)}"
    return f"{text}, at {listed(lost)}" if lost else text


def _id(found: StudyFront, position: int | None) -> str:
    return str(found.trials.iloc[position or 0]["trial_id"])


def _values(found: StudyFront, position: int) -> str:
    values = found.values[position]
    return ", ".join(
        f"{words(o.name)} {shown_value(float(v), o)}"
        for o, v in zip(found.objectives, values, strict=True)
    )


def _change(objective: Objective, value: float, other: float) -> str:
    name = words(objective.name).partition(" in ")[0]
    if not objective.is_cost or min(value, other) <= 0:
        return f"{name} {value:.4g} instead of {other:.4g}"
    factor = math.exp(abs(math.log(other / value)))
    if factor < _SAME:
        return f"about the same {name}"
    many = "fewer" if name.endswith("s") else "less"
    return f"{factor:,.3g} times {many if value < other else 'more'} {name}"
