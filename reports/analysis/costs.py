"""What networks cost beside what they score: a table, the fronts, and which one to take."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.record.bases import base_label
from experiments.record.formatting import between, compact, format_number, listed, score, words
from experiments.record.front import Front, find_front
from experiments.record.reading import as_number, dig
from reports.analysis.comparison.arms import Arm
from reports.analysis.comparison.decide import Comparison
from reports.analysis.task import noun_of
from reports.statistics.estimates import Estimate, wilson
from reports.study.metrics import is_share_of_images
from reports.study.study import Study, computed_once

_Array = npt.NDArray[np.float64]
PARAMETERS, FLOPS, LATENCY, FEATURES = "parameters", "FLOPs", "latency", "features"
COSTS = (PARAMETERS, FLOPS, LATENCY, FEATURES)
_PHONE = (LATENCY, FLOPS, PARAMETERS)  # what a phone has little of, the least first
_NONE = Estimate(math.nan, math.nan, math.nan, 0, "none")


@dataclass(frozen=True)
class Costed:
    """Networks with their scores and costs.

    Args:
        names: Of the networks, the best first.
        scores: Of each, with its interval where there is one.
        metric: What the scores are, in words.
        direction: `max` or `min`.
        costs: cost -> `(num_networks,)`, NaN where it is not recorded; those alone that two
            networks or more have.
        fronts: cost -> the front of score and this cost.
        noun: What a network takes: `image`, `row`.
        groups: Names of networks of which no two can be told apart, best first; empty where
            that was not tested.
        positions: Of the networks in what they were taken from, for colours.
    """

    names: tuple[str, ...]
    scores: tuple[Estimate, ...]
    metric: str
    direction: str
    costs: dict[str, _Array]
    fronts: dict[str, Front]
    noun: str = "image"
    groups: tuple[frozenset[str], ...] = ()
    positions: tuple[int, ...] = field(default=())

    @property
    def is_share(self) -> bool:
        """Whether scores are accuracies of any kind, whose differences are told in points."""
        return self.metric.endswith("accuracy")

    def is_alike(self, first: int, second: int) -> bool:
        """Whether a test could not tell two networks apart."""
        pair = {self.names[first], self.names[second]}
        return any(pair <= group for group in self.groups)


def cost_title(cost: str, noun: str) -> str:
    """Returns a cost with its unit."""
    return {
        PARAMETERS: PARAMETERS,
        FLOPS: f"FLOPs per {noun}",
        LATENCY: f"latency, ms per {noun}",
        FEATURES: f"features, s per 1,000 {noun}s",
    }[cost]


def trial_costs(trials: pd.DataFrame) -> dict[str, _Array]:
    """Returns every cost of trials, `(num_trials,)`; missing ones are NaN."""
    parameters = trials["trainable_parameters"] + trials["frozen_parameters"]
    return {
        PARAMETERS: parameters.to_numpy(dtype=float),
        FLOPS: trials["flops"].to_numpy(dtype=float),
        LATENCY: trials["latency_ms"].to_numpy(dtype=float),
        FEATURES: trials["feature_seconds"].to_numpy(dtype=float),
    }


@computed_once
def best_by_base(study: Study) -> pd.DataFrame:
    """Returns the best completed trial of each base, best first, with its `base_label`."""
    done = study.ranked
    labels = [base_label(row) for row in done.to_dict("records")]
    labelled = done.assign(base_label=pd.Series(labels, index=done.index, dtype=object))
    return labelled[labelled["base_label"].notna()].drop_duplicates("base_label")


@computed_once
def costs_of_bases(study: Study) -> Costed | None:
    """Returns the best trial of each base; `None` with fewer than two bases, or without costs."""
    best = best_by_base(study)
    return _costed(
        [str(label) for label in best["base_label"]],
        [_on_validation(study, float(value)) for value in best["score"]],
        trial_costs(best),
        study,
        words(study.objective),
    )


def costs_of_arms(comparison: Comparison) -> Costed | None:
    """Returns the network of each arm, by test accuracy if all of them were tested.

    Else they are compared by the validation scores of trials that were trained whole. `None` for
    fewer than two with costs.
    """
    arms, study = comparison.arms, comparison.arms[0].study
    able = [i for i, arm in enumerate(arms) if arm.trial_id is not None]
    tested = bool(able) and all(comparison.estimates[i] is not None for i in able)
    estimates = comparison.estimates if tested else [_searched(arm) for arm in arms]
    sign = -1 if tested or study.direction == "max" else 1
    found = [(i, e) for i in able if (e := estimates[i]) is not None and math.isfinite(e.mean)]
    found.sort(key=lambda each: sign * each[1].mean)
    places = [i for i, _ in found]
    each = [_arm_costs(arms[i]) for i in places]
    groups = [frozenset(arms[i].name for i in group) for group in comparison.groups]
    return _costed(
        [arms[i].name for i in places],
        [estimate for _, estimate in found],
        {cost: np.array([costs[cost] for costs in each], dtype=float) for cost in COSTS},
        study,
        "test accuracy" if tested else words(study.objective),
        groups if tested and all(pair.spread is not None for pair in comparison.pairs) else (),
        places,
        "max" if tested else study.direction,
    )


def _searched(arm: Arm) -> Estimate:
    """Returns the validation score of an arm's network, with the interval of other images."""
    if arm.searches:
        return _NONE
    scores = arm.completed.loc[arm.completed["trial_id"] == arm.trial_id, "score"]
    return _on_validation(arm.study, float(scores.iloc[0])) if len(scores) else _NONE


def _arm_costs(arm: Arm) -> dict[str, float]:
    """Returns the costs of an arm's network; of several searches the mean over theirs."""
    if arm.searches:
        each = [_arm_costs(part) for part in arm.searches]
        return {cost: float(np.mean([costs[cost] for costs in each])) for cost in COSTS}
    own = arm.study.trials[arm.study.trials["trial_id"] == arm.trial_id]
    if len(own) != 1:
        return dict.fromkeys(COSTS, math.nan)
    return {cost: float(values[0]) for cost, values in trial_costs(own).items()}


def _on_validation(study: Study, value: float) -> Estimate:
    """Returns a validation score; a share of images with Wilson's interval, of other images."""
    size = as_number(dig(study.record, "dataset", "counts", "validation"))
    if not (is_share_of_images(study.objective) and 0 <= value <= 1 and size >= 1):
        return Estimate(value, math.nan, math.nan, 1, "none")
    low, high = wilson(round(value * size), int(size))
    return Estimate(value, low, high, 1, "rows")


def _costed(
    names: Sequence[str],
    scores: Sequence[Estimate],
    costs: dict[str, _Array],
    study: Study,
    metric: str,
    groups: Sequence[frozenset[str]] = (),
    positions: Sequence[int] = (),
    direction: str = "",
) -> Costed | None:
    direction = direction or study.direction
    known = {
        cost: np.where(values > 0, values, np.nan)
        for cost, values in costs.items()
        if (values > 0).sum() > 1
    }
    if not known:
        return None
    means = np.array([estimate.mean for estimate in scores])
    fronts = {
        cost: find_front(np.column_stack([means, values]), [direction, "min"], [False, True])
        for cost, values in known.items()
    }
    return Costed(
        tuple(names), tuple(scores), metric, direction, known, fronts, noun_of(study),
        tuple(groups), tuple(positions or range(len(names))),
    )  # fmt: skip


def phone_sentence(costed: Costed) -> str:
    """Says which network to take where little can be spent: the knee, and what it loses.

    It goes by the first cost that all networks have; else by the first that is known, and names
    those without it. Of networks that a test can't tell from the best, the cheapest is named too.
    """
    known = [cost for cost in (*_PHONE, FEATURES) if cost in costed.costs]
    cost = next((c for c in known if np.isfinite(costed.costs[c]).all()), known[0])
    lacking = [costed.names[i] for i in np.flatnonzero(np.isnan(costed.costs[cost]))]
    without = (
        f" Left out without a recorded {_less(cost)}: {listed(lacking, 8)}." if lacking else ""
    )
    front = costed.fronts[cost]
    best, knee = int(front.members[0]), front.knee
    if len(front.members) == 1:
        answer = f"{costed.names[best]}: none has a better score, and none less {_less(cost)}"
    elif knee == best:
        answer = (
            f"{costed.names[best]}, the knee of score and {_less(cost)} and the best: what costs "
            "less is far behind"
        )
    elif knee is None:
        others = [_beside(costed, cost, int(p), best) for p in front.members[1:]]
        answer = (
            f"no knee stands out. Against the best, {costed.names[best]}, and its {_less(cost)}: "
            f"{listed(others, 8)}"
        )
    else:
        answer = f"{_against(costed, cost, knee, best)}: the knee"
    return f"On a phone: {answer}.{_equal_but_cheaper(costed, cost, best, knee)}{without}"


def _against(costed: Costed, cost: str, place: int, best: int) -> str:
    """`A: 0.40 points below the best (B) at 1/3.1 of its latency (2.1 against 6.5 ms)`."""
    values = costed.costs[cost]
    unit = {LATENCY: " ms", FEATURES: " s"}.get(cost, "")
    amounts = f"{compact(values[place])} against {compact(values[best])}{unit}"
    behind, share = _lost(costed, place, best), values[best] / values[place]
    return (
        f"{costed.names[place]}: {behind} the best, {costed.names[best]}, at 1/{share:.3g} of "
        f"its {_less(cost)} ({amounts})"
    )


def _beside(costed: Costed, cost: str, place: int, best: int) -> str:
    share = costed.costs[cost][best] / costed.costs[cost][place]
    return f"{costed.names[place]} is {_lost(costed, place, best)} it at 1/{share:.3g}"


def _lost(costed: Costed, place: int, best: int) -> str:
    """`0.40 points below`, `0.0123 above`."""
    gap = abs(costed.scores[place].mean - costed.scores[best].mean)
    side = "below" if costed.direction == "max" else "above"
    return f"{100 * gap:.2f} points {side}" if costed.is_share else f"{score(gap)} {side}"


def _less(cost: str) -> str:
    return "feature time" if cost == FEATURES else cost


def _equal_but_cheaper(costed: Costed, cost: str, best: int, knee: int | None) -> str:
    values = costed.costs[cost]
    alike = [
        i
        for i in range(len(costed.names))
        if i == best or (costed.is_alike(i, best) and values[i] < values[best])
    ]
    cheapest = min(alike, key=lambda i: values[i])
    if cheapest == best:
        return ""
    if cheapest == knee:
        return " A test can't tell the two apart."
    name = costed.names[cheapest]
    return f" Of those that a test can't tell from the best, {name} has the least {_less(cost)}."


def costs_table(costed: Costed, column: str) -> pd.DataFrame:
    """Returns a row a network, as text; what nobody has recorded has no column.

    Args:
        costed: The networks.
        column: What they are: `arm`, `base`.
    """
    rows = range(len(costed.names))
    table: dict[str, list[str]] = {column: list(costed.names)}
    table[costed.metric] = [score(estimate.mean) for estimate in costed.scores]
    if any(estimate.has_interval for estimate in costed.scores):
        table["95 % interval"] = [
            between(e.low, e.high) if e.has_interval else "" for e in costed.scores
        ]
    if costed.groups:
        table["group"] = [_letters(costed.groups, name) for name in costed.names]
    for cost, values in costed.costs.items():
        digits = 2 if cost in (LATENCY, FEATURES) else 0
        table[cost_title(cost, costed.noun)] = [format_number(value, digits) for value in values]
    table["on the front of"] = [_on_fronts(costed, i) for i in rows]
    return pd.DataFrame(table)


def _on_fronts(costed: Costed, place: int) -> str:
    """Names the costs of which a network is on the front."""
    found = [cost for cost, front in costed.fronts.items() if place in front.members]
    return "every cost" if len(found) == len(costed.fronts) > 1 else ", ".join(found)


def _letters(groups: Collection[frozenset[str]], name: str) -> str:
    """Names the groups that an arm is in: `A`, `A B`."""
    return " ".join(chr(ord("A") + i) for i, group in enumerate(groups) if name in group)
