"""What is wrong or doubtful in a study, and what to do about it.

Each check that draws a conclusion from numbers uses a test. On noise it reports something in at
most 5 % of studies. It finds its own case in at least 80 % at the sizes that its docstring names. A
good finding is a claim as well: it is made only where the contrary would have been detected.
`benchmarks/believing/health.py` measures both. To add a check, write a generator and name it in
`CHECKS`.
"""

from collections.abc import Callable, Iterator

from experiments.record.formatting import plural
from experiments.record.notes import DOUBT, GOOD, PROBLEM
from reports.analysis.health.data import (
    baseline,
    conflicting,
    constant,
    duplicates,
    imbalance,
    missing_classes,
)
from reports.analysis.health.finding import Finding
from reports.analysis.health.found import close, too_few, unimportant
from reports.analysis.health.ranges import edges
from reports.analysis.health.recorded import files, notes, one_seed, running, states, widened
from reports.analysis.health.training import last_epoch, overfitting
from reports.study.study import Study, computed_once

__all__ = ["CHECKS", "GOOD", "OF_MODEL", "Finding", "health", "sentence"]

CHECKS: tuple[Callable[[Study], Iterator[Finding]], ...] = (
    files, notes, baseline, duplicates, conflicting, missing_classes, constant, imbalance,
    running, states, one_seed, edges, widened, last_epoch, overfitting, too_few, close,
    unimportant,
)  # fmt: skip


# What limits the exported model, whatever the search was worth.
OF_MODEL = (
    baseline, duplicates, conflicting, missing_classes, constant, imbalance, one_seed, overfitting,
)  # fmt: skip


@computed_once
def health(study: Study) -> list[Finding]:
    """Runs all checks on a study, once; problems first, then doubts, then good findings."""
    found = [finding for check in CHECKS for finding in check(study)]
    order = (PROBLEM, DOUBT, GOOD)
    return sorted(found, key=lambda finding: order.index(finding.level))


def sentence(findings: list[Finding]) -> str:
    """Sums up the findings in one sentence."""
    problems = sum(f.level == PROBLEM for f in findings)
    doubts = sum(f.level == DOUBT for f in findings)
    if not problems and not doubts:
        return "No problems or doubts were found."
    return (
        f"{plural(problems, 'problem')} and {plural(doubts, 'doubt')}; the first: "
        f"{findings[0].title}."
    )
