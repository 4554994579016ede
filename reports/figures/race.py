"""The race of the finalists: every training's score, round by round."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from experiments.record.formatting import short, words
from reports.analysis.race import Contender, contenders, race_sentence
from reports.figures import _style as style
from reports.study.study import Study

SECTION, ORDER = "verdict", 1
TITLE = "The race of the finalists"
_MOST_NAMED = 6


@dataclass(frozen=True)
class Info:
    """The contenders, the winner first, with the trials' numbers.

    Args:
        objective: The objective by which they are compared.
        contenders: With their scores.
        numbers: Of the trials.
        sentence: How the race went.
    """

    objective: str
    contenders: tuple[Contender, ...]
    numbers: tuple[int, ...]
    sentence: str


def info(study: Study) -> Info | str:
    """Collects the trainings; says nothing where the finalists did not race."""
    numbers = dict(zip(study.trials["trial_id"], study.trials["number"], strict=True))
    found = tuple(c for c in contenders(study) if c.rounds and c.trial_id in numbers)
    if not found:
        return ""
    placed = tuple(int(numbers[c.trial_id]) for c in found)
    return Info(study.objective, found, placed, race_sentence(study))


def finding(info: Info) -> str:
    """Says how the race went."""
    return info.sentence


def height(info: Info) -> float:
    """Inches."""
    return 3.0


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a point for each training, a line for each running mean, a cross where one left."""
    num_trainings = sum(len(c.rounds) for c in info.contenders)
    for place, (contender, number) in enumerate(zip(info.contenders, info.numbers, strict=True)):
        color = style.PALETTE[place % len(style.PALETTE)] if place < _MOST_NAMED else style.GREY
        rounds, scores = np.array(contender.rounds).T
        means = np.cumsum(scores) / np.arange(1, len(scores) + 1)
        ax.scatter(rounds, scores, s=22, color=color, alpha=0.7, linewidths=0)
        ax.plot(
            rounds, means, color=color, lw=1.8,
            label=f"{short(contender.trial_id, 12)} ({contender.outcome})"
            if place < _MOST_NAMED else None,
        )  # fmt: skip
        if contender.outcome == "dropped":
            ax.plot(rounds[-1], means[-1], marker="x", ms=9, mew=2.2, color=style.RED)
        style.track(ax, [number], rounds[None, :], scores[None, :])
    ax.set_xlabel("round")
    ax.set_ylabel(words(info.objective))
    style.whole_numbers(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), title="trial; line: mean so far")
    style.note(ax, f"n = {num_trainings} trainings; a red cross: dropped")
    return ax
