"""Test predictions of the exported model of a regression, checked, and how far off they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.record.predictions import Targets, deviations
from reports.analysis.task import noun_of, output_names, stored_targets, task_of
from reports.statistics.estimates import CONFIDENCE, Estimate, mean
from reports.study.study import Study, computed_once

_Array = npt.NDArray[np.float64]
MOST_TARGETS = 4  # that are drawn


@dataclass(frozen=True)
class Numbers:
    """Predicted and true numbers of the test rows.

    Args:
        noun: What a row is called: `image` or `row`.
        names: One a target.
        targets: `(num_rows, num_targets)`, true.
        outputs: `(num_rows, num_targets)`, predicted.
    """

    noun: str
    names: tuple[str, ...]
    targets: _Array
    outputs: _Array

    @property
    def errors(self) -> _Array:
        """Predicted minus true, `(num_rows, num_targets)`."""
        return self.outputs - self.targets


@dataclass(frozen=True)
class Fit:
    """How well one target is predicted.

    Args:
        name: The target.
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        r2: Share of the variance that is explained; NaN where the target does not vary.
        bias: Mean error, with its interval over rows; those of all targets hold jointly in 95 %.
        constant_mae: Mean absolute error of always saying the median of the test targets.
    """

    name: str
    mae: float
    rmse: float
    r2: float
    bias: Estimate
    constant_mae: float


@dataclass(frozen=True)
class NoBetter:
    """The exported model beside a constant, which it is not shown to beat.

    Args:
        error: Mean absolute error of the model.
        constant: Mean absolute error of always saying the median of the test targets.
        unit: What both are in, if not in the target's own unit.
        is_less: Whether `error` is below `constant`, though not beyond chance.
    """

    error: float
    constant: float
    unit: str
    is_less: bool


@computed_once
def numbers(study: Study) -> Numbers | str:
    """Returns predicted and true numbers; why there are none; empty where there can't be."""
    if task_of(study) is not Targets.VALUES:
        return ""
    found = stored_targets(study, "outputs")
    if isinstance(found, str):
        return found
    targets, outputs = found
    if not targets.size or targets.dtype.kind not in "fiu" or outputs.dtype.kind not in "fiu":
        return "The recorded predictions are damaged: they hold no numbers."
    true, said = targets.astype(np.float64), outputs.astype(np.float64)
    if not (np.isfinite(true).all() and np.isfinite(said).all()):
        return "The exported model does not give a finite number for every test row."
    return Numbers(noun_of(study), tuple(output_names(study, true.shape[1])), true, said)


def fits(found: Numbers) -> list[Fit]:
    """Measures how far off the predictions of each target are."""
    confidence = 1 - (1 - CONFIDENCE) / len(found.names)
    return [
        _fit(name, found.targets[:, column], found.outputs[:, column], confidence)
        for column, name in enumerate(found.names)
    ]


def _fit(name: str, true: _Array, said: _Array, confidence: float) -> Fit:
    errors, spread = said - true, float(((true - true.mean()) ** 2).sum())
    squares = float((errors**2).sum())
    return Fit(
        name,
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt(squares / len(true))),
        r2=1 - squares / spread if spread > 0 else float("nan"),
        bias=mean(errors, confidence),
        constant_mae=float(np.abs(true - np.median(true)).mean()),
    )


@computed_once
def no_better_than_constant(study: Study) -> NoBetter | None:
    """Returns the comparison with a constant if the model is not shown to beat it; else `None`.

    It beats it if the 95 % interval of the mean difference of absolute errors, row by row,
    is above 0. Several targets count alike, each in units of its standard deviation.
    """
    found = numbers(study)
    if isinstance(found, str) or len(found.targets) < 2:
        return None
    alone = len(found.names) == 1
    scale = np.ones(1) if alone else deviations(found.targets)
    errors = (np.abs(found.errors) / scale).mean(axis=1)
    constant = (np.abs(found.targets - np.median(found.targets, axis=0)) / scale).mean(axis=1)
    if mean(constant - errors).low > 0:
        return None
    unit = "" if alone else "in standard deviations of each target"
    own, other = float(errors.mean()), float(constant.mean())
    return NoBetter(own, other, unit, is_less=own < other)
