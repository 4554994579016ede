"""Several objectives: each arm's values of those after the first.

Costs are properties of the network. Metrics are means over its tested trainings, with their
interval on these images. Where nothing was tested, they are values of its search.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.record.formatting import listed, words
from experiments.record.objective import Objective, shown_value
from experiments.record.reading import as_dict, as_number
from reports.analysis.comparison.arms import Arm
from reports.analysis.study_front import value_of_trials
from reports.analysis.test_predictions import tested_runs
from reports.statistics.estimates import Estimate, bounded, mean
from reports.study.metrics import name_on_test

if TYPE_CHECKING:
    from reports.study.study import Study


def further_objectives(arms: Sequence[Arm]) -> list[Objective]:
    """Returns the objectives after the first of all arms' studies, each once."""
    studies = [part.study for arm in arms for part in (arm.searches or (arm,))]
    return list(dict.fromkeys(o for study in studies for o in study.objectives[1:]))


def further_values(arms: Sequence[Arm]) -> dict[str, tuple[str, ...]]:
    """Returns, objective by objective, each arm's value as text."""
    return {
        words(objective.name): tuple(_shown(arm, objective) for arm in arms)
        for objective in further_objectives(arms)
    }


def further_sentence(arms: Sequence[Arm], winner: int | None) -> str:
    """Gives the arms' values of further objectives; empty where there are none.

    Args:
        arms: The arms.
        winner: Position of the arm that wins the first objective's test, if one does.
    """
    objectives = further_objectives(arms)
    if not objectives:
        return ""
    shown = "; ".join(
        f"{words(o.name)} {', '.join(f'{_shown(arm, o)} ({arm.name})' for arm in arms)}"
        for o in objectives
    )
    better = [] if winner is None else _better(arms, objectives, arms[winner])
    trade = f" {'; '.join(better)}: the win is by accuracy alone." if better else ""
    return f"By the further objectives: {shown}.{trade}"


def _better(arms: Sequence[Arm], objectives: Sequence[Objective], winner: Arm) -> list[str]:
    """Names the arms that are better than the winner, and in what.

    Costs are what they are. Of metrics the intervals have to lie apart.
    """
    found = []
    for arm in arms:
        values = [(o, _value(arm, o), _value(winner, o)) for o in objectives]
        names = [words(o.name) for o, own, its in values if _is_better(o, own, its)]
        if names:
            found.append(f"{arm.name} is better in {listed(names)}")
    return found


def _is_better(objective: Objective, own: Estimate, other: Estimate) -> bool:
    if not objective.better(own.mean, other.mean):
        return False
    if objective.is_cost:
        return True
    return (
        own.has_interval and other.has_interval and (own.low > other.high or own.high < other.low)
    )


def _shown(arm: Arm, objective: Objective) -> str:
    value = _value(arm, objective)
    text = shown_value(value.mean, objective)
    if value.count and not objective.is_cost:
        text += " on test"
    ends = (shown_value(end, objective) for end in (value.low, value.high))
    return f"{text} ({' to '.join(ends)})" if value.has_interval else text


def _value(arm: Arm, objective: Objective) -> Estimate:
    """Returns an arm's value; its `count` is the number of tested trainings or searches."""
    if arm.searches:
        parts = [_value(part, objective) for part in arm.searches]
        each = [part.mean for part in parts]
        if not all(map(math.isfinite, each)):
            return _plain(math.nan)
        are_tested = all(part.count for part in parts)
        found = bounded(mean(each), objective.name)
        return found if are_tested else replace(found, count=0)
    if not objective.is_cost and (tests := _tests(arm, objective)):
        return bounded(mean(tests), objective.name)
    return _plain(_searched(arm, objective))


def _tests(arm: Arm, objective: Objective) -> list[float]:
    """Returns the value of each tested training; empty where one did not record it."""
    name, runs = name_on_test(objective.name), tested_runs(arm.study, arm.trial_id)
    scores = [as_number(as_dict(run["test"]).get(name)) for run in runs]
    return scores if all(map(math.isfinite, scores)) else []


def _searched(arm: Arm, objective: Objective) -> float:
    study: Study = arm.study
    own = study.trials[study.trials["trial_id"] == arm.trial_id]
    is_known = objective.is_cost or objective in study.objectives
    if len(own) != 1 or not is_known:
        return math.nan
    try:
        return float(value_of_trials(study, own, objective.name)[0])
    except KeyError:  # a cost that was not recorded
        return math.nan


def _plain(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan, 0, "none")
