"""Test predictions of several labels a row: precision, recall and F1 of each label."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.record.predictions import Targets
from reports.analysis.task import noun_of, output_names, stored_targets, task_of
from reports.study.study import Study, computed_once

THRESHOLD = 0.5  # from which on a probability says yes


@dataclass(frozen=True)
class LabelScore:
    """Counts of one label on the test split.

    Args:
        name: The label.
        num_true: Rows that have it.
        num_said: Rows that are said to have it.
        num_right: Rows that have it and are said to.
    """

    name: str
    num_true: int
    num_said: int
    num_right: int

    @property
    def precision(self) -> float:
        """Share of those said to have it that do; NaN where none is."""
        return self.num_right / self.num_said if self.num_said else float("nan")

    @property
    def recall(self) -> float:
        """Share of those that have it that are said to; NaN where none has it."""
        return self.num_right / self.num_true if self.num_true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where none is right, NaN where none has it nor is said to."""
        total = self.num_true + self.num_said
        return 2 * self.num_right / total if total else float("nan")


@dataclass(frozen=True)
class LabelScores:
    """All labels, and all rows.

    Args:
        noun: What a row is called: `image` or `row`.
        labels: One a label.
        num_rows: Test rows.
        num_whole: Those of which every label is right.
        num_none: Those that have no label at all.
    """

    noun: str
    labels: tuple[LabelScore, ...]
    num_rows: int
    num_whole: int
    num_none: int

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the labels that have one."""
        known = [label.f1 for label in self.labels if np.isfinite(label.f1)]
        return float(np.mean(known)) if known else float("nan")

    @property
    def total(self) -> LabelScore:
        """Counts over all labels, of which the scores are micro means."""
        return LabelScore(
            "all labels together",
            sum(label.num_true for label in self.labels),
            sum(label.num_said for label in self.labels),
            sum(label.num_right for label in self.labels),
        )


def label_arrays(
    study: Study,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]] | str:
    """Returns targets and probabilities `(num_rows, num_labels)`, or why there are none."""
    found = stored_targets(study, "probabilities")
    if isinstance(found, str):
        return found
    targets, chances = found
    if not targets.size or not np.isfinite(chances).all() or not np.isin(targets, (0, 1)).all():
        return "The recorded predictions are damaged: they hold impossible values."
    return targets.astype(bool), chances.astype(np.float64)


@computed_once
def label_scores(study: Study) -> LabelScores | str:
    """Counts each label; returns why that can't be, or nothing where there are no labels."""
    if task_of(study) is not Targets.LABELS:
        return ""
    found = label_arrays(study)
    if isinstance(found, str):
        return found
    targets, said = found[0], found[1] >= THRESHOLD
    names = output_names(study, targets.shape[1])
    labels = tuple(
        LabelScore(
            name,
            int(targets[:, column].sum()),
            int(said[:, column].sum()),
            int((targets & said)[:, column].sum()),
        )
        for column, name in enumerate(names)
    )
    whole = int((targets == said).all(axis=1).sum())
    return LabelScores(
        noun_of(study), labels, len(targets), whole, int((~targets.any(axis=1)).sum())
    )
