"""What is wrong or doubtful in a study, and what to do about it."""

from reports.health_checks import CHECKS, Finding
from reports.study import DOUBT, GOOD, PROBLEM, Study
from reports.words import plural

__all__ = ["GOOD", "Finding", "health", "sentence"]


def health(study: Study) -> list[Finding]:
    """Examines a study; problems first, then doubts, then what is well."""
    found = [finding for check in CHECKS for finding in check(study)]
    order = (PROBLEM, DOUBT, GOOD)
    return sorted(found, key=lambda finding: order.index(finding.level))


def sentence(findings: list[Finding]) -> str:
    """Says in one sentence what was found."""
    problems = sum(f.level == PROBLEM for f in findings)
    doubts = sum(f.level == DOUBT for f in findings)
    if not problems and not doubts:
        return "Nothing speaks against this search."
    return (
        f"{plural(problems, 'problem')} and {plural(doubts, 'doubt')}; the first: "
        f"{findings[0].title}."
    )
