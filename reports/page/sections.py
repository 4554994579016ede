"""The sections of the report, in order, each with the question it answers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.record.predictions import Targets
from reports.analysis.task import has_images, task_of

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
    Section("model-card", "Model card", "What should those who use the exported model know?"),
    Section("all-trials", "All trials", "What was tried, and what came of it?"),
    Section("how-it-was-run", "How it was run", "What would run it again?"),
)  # fmt: skip

_ALWAYS = frozenset({"verdict", "health", "all-trials"})
_OF_SCORES = frozenset({"progress", "hyperparameters"})
_OF_RECORDS = frozenset({"how-it-was-run"})
# Figures of data that only the suite records.
_OF_THE_SUITE = frozenset(
    {"workers", "time_spent", "learning_curves", "early_stopping", "tradeoffs"}
)
_OF_CHOICES = frozenset({"architecture", "expected_by_choice"})
_OF_CLASSES = frozenset({"confusion", "calibration"})
_OF_IMAGES = frozenset({"mistakes", "network", "predictions"})
# Figures that say themselves why a study that has such a task lacks them, and else nothing.
_OF_OTHER_TASKS = frozenset({"predicted_true", "residuals", "labels"})


def can_have(figure: str, study: "Study") -> bool:
    """Whether a study can have a figure; if it can but does not, its place says why."""
    if figure in _OF_CHOICES:
        return has_choices(study)
    if figure in _OF_CLASSES:
        return study.takes_options and task_of(study) is Targets.CLASSES
    if figure in _OF_IMAGES:
        return study.takes_options and has_images(study)
    if figure in _OF_OTHER_TASKS:
        return study.takes_options
    return not study.is_plain or figure not in _OF_THE_SUITE


def has_choices(study: "Study") -> bool:
    """Whether a study's space has choices of architecture: its record names them, or it has any."""
    named = study.record.get("architecture")
    kinds = [hp.get("kind") for hp in study.hyperparameters.values()]
    return bool(named) or any(kind not in ("Int", "Float") for kind in kinds)


def sections_of(study: "Study", filled: frozenset[str]) -> tuple[Section, ...]:
    """Returns the sections of a report.

    Args:
        study: The study.
        filled: Ids of the sections that have something to show.
    """
    if study.takes_options:
        optional = {"model-card"} | (set() if has_choices(study) else {"architectures"})
        left_out = optional - filled
        return tuple(_worded(s, study) for s in SECTIONS if s.id not in left_out)
    shown = _ALWAYS | filled | (_OF_SCORES if len(study.completed) else frozenset())
    shown |= frozenset() if study.is_plain else _OF_RECORDS
    return tuple(_worded(s, study) for s in SECTIONS if s.id in shown)


def _worded(section: Section, study: "Study") -> Section:
    """Returns a section as it is called where rows are no images, or numbers are predicted."""
    title, question = section.title, section.question
    if section.id == "mistakes" and task_of(study) is Targets.VALUES:
        title, question = "Errors", "How far off is the exported model on test images?"
    if not has_images(study):
        question = question.replace("images", "rows")
        if section.id == "what-it-sees":
            title, question = "The network", "What is the exported model made of?"
    if section.id == "trade-offs" and study.direction == "min":
        question = "What does a better score cost?"
    return Section(section.id, title, question)
