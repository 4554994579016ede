"""The sections of the report, in order, each with the question it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.study.study import Study


@dataclass(frozen=True)
class Section:
    """A section: its id in the page, heading and question."""

    id: str
    title: str
    question: str


SECTIONS = (
    Section("verdict", "Verdict", "Which network should be trained, and how good is it?"),
    Section("health", "Health", "Can this search be trusted, and what should be done next?"),
    Section("progress", "Progress", "Was the search still getting better when it ended?"),
    Section("architectures", "Architectures", "Which kind of network did better, whatever else?"),
    Section("hyperparameters", "Hyperparameters",
            "Which settings matter, and how are they best set?"),
    Section("learning-curves", "Learning curves", "How do the best and the worst trials learn?"),
    Section("trade-offs", "Trade-offs", "What does a higher score cost?"),
    Section("mistakes", "Mistakes", "What does the exported model get wrong on test images?"),
    Section("what-it-sees", "What the network sees", "What do its first layers make of an image?"),
    Section("all-trials", "All trials", "What was tried, and what came of it?"),
    Section("how-it-was-run", "How it was run", "What would run it again?"),
)  # fmt: skip

_ALWAYS = frozenset({"verdict", "health", "all-trials"})
_OF_SCORES = frozenset({"progress", "hyperparameters"})
_OF_RECORDS = frozenset({"how-it-was-run"})
# Figures of data that only the suite records.
_OF_THE_SUITE = frozenset({"workers", "learning_curves", "early_stopping", "tradeoffs"})
_OF_IMAGES = frozenset({"confusion", "mistakes", "calibration", "network", "predictions"})


def can_have(figure: str, study: "Study") -> bool:
    """Whether a study can have a figure; if it can but does not, its place says why."""
    if figure in _OF_IMAGES:
        return study.takes_options
    return not study.is_plain or figure not in _OF_THE_SUITE


def sections_of(study: "Study", filled: frozenset[str]) -> tuple[Section, ...]:
    """Returns the sections of a report.

    Args:
        study: The study.
        filled: Ids of the sections that have figures.
    """
    if study.takes_options:
        return SECTIONS
    shown = _ALWAYS | filled | (_OF_SCORES if len(study.completed) else frozenset())
    shown |= frozenset() if study.is_plain else _OF_RECORDS
    return tuple(s for s in SECTIONS if s.id in shown)
