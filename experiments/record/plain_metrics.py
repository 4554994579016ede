"""The metrics of a trial that plain Keras Tuner left, held against its score."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np

from experiments.record.objective import Objective
from experiments.record.reading import as_dict, as_number, clean, dicts, dig

_MOST_METRICS = 14  # among which the parts of a sum are looked for
_MOST_PARTS = 3


def matches(state: Mapping[str, Any]) -> Iterator[Objective]:
    """Yields the metrics whose best value is the score of a trial.

    Args:
        state: The content of `trial.json`.
    """
    score = as_number(state.get("score"))
    for name, metric in _metrics(state).items():
        direction = dig(metric, "direction")
        if direction in ("min", "max") and math.isclose(_best(metric, direction), score):
            yield Objective(clean(name), direction)


def best_of(state: Mapping[str, Any], metric: Objective) -> float:
    """Returns a trial's best value of a metric; NaN where it has none."""
    found = {clean(name): recorded for name, recorded in _metrics(state).items()}
    return _best(found.get(metric.name), metric.direction)


def _metrics(state: Mapping[str, Any]) -> dict[str, Any]:
    return as_dict(dig(state.get("metrics"), "metrics"))


def _best(metric: object, direction: str) -> float:
    means = [mean for mean in _means(metric) if math.isfinite(mean)]
    return (min if direction == "min" else max)(means, default=math.nan)


def _means(metric: object) -> list[float]:
    """Returns the observations of a metric, each the mean over executions."""
    return [
        float(np.mean([as_number(v) for v in seen["value"]]))
        for seen in dicts(dig(metric, "observations"))
        if isinstance(seen.get("value"), list) and seen["value"]
    ]


def parts_of(states: Sequence[Mapping[str, Any]], total: str) -> str:
    """Finds which metrics the sum of several objectives is made of, in words.

    Keras Tuner adds metrics that should be small, subtracts those that should be large
    (`MultiObjective.get_value`), and keeps sum and metrics of one epoch. The sum that holds in
    every trial is looked for; empty if there is none, or more than one.

    Args:
        states: The content of each `trial.json`.
        total: Name of the sum.
    """
    tables = [
        {name: values[-1] for name, metric in _metrics(state).items() if (values := _means(metric))}
        for state in states
    ]
    names = [n for n in (tables[0] if tables else {}) if n != total and all(n in t for t in tables)]
    fits = [
        tuple(zip(chosen, signs, strict=True))
        for count in range(2, min(_MOST_PARTS, len(names)) + 1)
        for chosen in combinations(names[:_MOST_METRICS], count)
        for signs in product((1, -1), repeat=count)
        if all(_adds_up(table, total, chosen, signs) for table in tables)
    ]
    # Sums of training and of validation can be equal by chance alone; objectives are of validation.
    fits = [f for f in fits if all(n.startswith("val_") for n, _ in f)] or fits
    if len(fits) != 1:
        return ""
    words = " ".join(f"{'+' if sign > 0 else '-'} {clean(name)}" for name, sign in fits[0])
    return words.removeprefix("+ ")


def _adds_up(
    table: Mapping[str, float], total: str, names: Sequence[str], signs: Sequence[int]
) -> bool:
    terms = [sign * table[name] for name, sign in zip(names, signs, strict=True)]
    size = max(map(abs, terms))
    return math.isclose(sum(terms), table.get(total, math.nan), rel_tol=1e-9, abs_tol=1e-9 * size)
