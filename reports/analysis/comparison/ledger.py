"""The budget of each arm: trials, epochs, seconds; equal budgets compare fairly."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from experiments.record.formatting import duration, format_number, listed
from experiments.record.numerics import numerics_sentence
from reports.analysis.comparison.arms import Arm
from reports.analysis.comparison.decide import Comparison
from reports.analysis.comparison.further import further_values
from reports.analysis.test_predictions import tested_runs

_TOLERANCE = 1.1


@dataclass(frozen=True)
class Ledger:
    """The budget of each arm.

    Args:
        names: The arms.
        completed: Completed trials.
        failed: Failed trials.
        pruned: Trials stopped early.
        epochs: Epochs of all trials; NaN where not recorded.
        seconds: Seconds of all trials; NaN where not recorded.
        tested: Trainings of the network, or searches, that were tested, as text.
        further: Values of the arm's network by each objective after the first; see
            `further.further_values`.
        numerics: A sentence on recorded differences among the trainings besides their seeds; empty
            without any.
    """

    names: tuple[str, ...]
    completed: tuple[int, ...]
    failed: tuple[int, ...]
    pruned: tuple[int, ...]
    epochs: tuple[float, ...]
    seconds: tuple[float, ...]
    tested: tuple[str, ...]
    further: dict[str, tuple[str, ...]]
    numerics: str = ""


def ledger(comparison: Comparison) -> Ledger:
    """Adds up the budget of each arm."""
    arms = comparison.arms
    status = [arm.trials["status"] for arm in arms]
    return Ledger(
        names=tuple(arm.name for arm in arms),
        completed=tuple(len(arm.completed) for arm in arms),
        failed=tuple(int((s == "failed").sum()) for s in status),
        pruned=tuple(int((s == "pruned").sum()) for s in status),
        epochs=tuple(float(arm.trials["epochs"].sum(min_count=1)) for arm in arms),
        seconds=tuple(float(arm.trials["seconds"].sum(min_count=1)) for arm in arms),
        tested=tuple(arm.tested for arm in arms),
        further=further_values(arms),
        numerics=numerics_sentence([run for arm in arms for run in _runs(arm)]),
    )


def _runs(arm: Arm) -> list[dict[str, Any]]:
    single = arm.searches or (arm,)
    return [run for part in single for run in tested_runs(part.study, part.trial_id)]


def finding(book: Ledger) -> str:
    """Says whether the budgets are equal, and under which conditions the trainings ran."""
    return " ".join(part for part in (_budgets(book), book.numerics) if part)


def _budgets(book: Ledger) -> str:
    unequal, unknown = [], []
    for what, spent, shown in (
        ("trials", book.completed, format_number),
        ("epochs", book.epochs, format_number),
        ("time", book.seconds, duration),
    ):
        known = [float(v) for v in spent if v == v]
        if len(known) > 1 and max(known) > _TOLERANCE * max(min(known), 1e-9):
            unequal.append(f"{what} ({shown(min(known))} to {shown(max(known))})")
        elif len(known) < len(spent):
            unknown.append(what)
    lacking = f" {listed(unknown).capitalize()} of every arm are not recorded." if unknown else ""
    if unequal:
        return (
            f"The arms were not given the same: {', '.join(unequal)}. An arm with more trials "
            "picks its finalist from more; the curves of expected performance compare equal "
            f"numbers.{lacking}"
        )
    if unknown:
        return f"As far as is known, all arms were given the same, within a tenth.{lacking}"
    return "All arms were given the same budget, within a tenth."


def table(book: Ledger) -> pd.DataFrame:
    """The ledger as text."""
    return pd.DataFrame(
        {
            "arm": book.names,
            "completed": [format_number(n) for n in book.completed],
            "failed": [format_number(n) for n in book.failed],
            "stopped early": [format_number(n) for n in book.pruned],
            "epochs": [format_number(n) or "not recorded" for n in book.epochs],
            "time": [duration(s) if s == s else "not recorded" for s in book.seconds],
            "tested": book.tested,
            **book.further,
        }
    )
