"""Whether a model's confidence matches its accuracy."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float64]
_DRAWS = 499


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, by bins of equal width.

    Args:
        confidence: `(bins,)`, mean probability of the predicted class; NaN in empty bins.
        accuracy: `(bins,)`, share of right predictions; NaN in empty bins.
        counts: `(bins,)`, images.
        error: Expected calibration error: the mean gap, weighted by images.
        brier: Mean squared error of all class probabilities.
        low: `(bins,)`, 2.5 % quantile of the accuracy that a perfectly calibrated model shows.
        high: `(bins,)`, 97.5 % quantile.
        error_by_chance: 95 % quantile of the error that such a model shows.
        p_value: Share of such models whose error is as large as this one's.
        excess: Mean confidence minus accuracy over all images, in standard errors: above 0 it is
            overconfident.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    error: float
    brier: float
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    error_by_chance: float
    p_value: float
    excess: float


def calibration(
    labels: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.floating],
    bins: int = 10,
    seed: int = 0,
) -> Calibration:
    """Measures the calibration of the predicted class.

    Some error arises by chance, as a bin holds few images. The results of a perfectly calibrated
    model on the same images are drawn by consistency resampling: each image is right with the
    probability that the model states.

    Sources: Guo et al. 2017, "On calibration of modern neural networks"; Brier 1950; Bröcker and
    Smith 2007, "Increasing the reliability of reliability diagrams".

    Args:
        labels: `(num_images,)`.
        probabilities: `(num_images, num_classes)`, rows sum to 1.
        bins: Number of bins over 0..1.
        seed: Of the resampling.
    """
    sure = probabilities.max(axis=1).astype(float)
    is_correct = (probabilities.argmax(axis=1) == labels).astype(float)
    # A bin includes its upper end, as in the paper.
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=sure, minlength=bins) / counts
        accuracy = np.bincount(place, weights=is_correct, minlength=bins) / counts
        shares = _by_chance(sure, place, bins, seed) / counts
    error = _error(confidence, accuracy, counts)
    errors = np.array([_error(confidence, drawn, counts) for drawn in shares])
    known = counts > 0
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    low[known], high[known] = np.quantile(shares[:, known], [0.025, 0.975], axis=0)
    truth = np.eye(probabilities.shape[1])[labels]
    deviation = math.sqrt(max(float((sure * (1 - sure)).sum()), 1e-12))
    return Calibration(
        confidence,
        accuracy,
        counts,
        error=error,
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        low=low,
        high=high,
        error_by_chance=float(np.quantile(errors, 0.95)),
        p_value=float((1 + (errors >= error - 1e-12).sum()) / (1 + len(errors))),
        excess=float((sure - is_correct).sum()) / deviation,
    )


def _error(confidence: _Array, accuracy: _Array, counts: npt.NDArray[np.int64]) -> float:
    gaps = np.nan_to_num(np.abs(confidence - accuracy))
    return float((gaps * counts).sum() / counts.sum())


def _by_chance(sure: _Array, place: npt.NDArray[np.int64], bins: int, seed: int) -> _Array:
    """Returns the right predictions in each bin, `(draws, bins)`, of a calibrated model."""
    rng = np.random.default_rng([seed, 0xCA])
    drawn = [
        np.bincount(place, weights=rng.random(len(sure)) < sure, minlength=bins)
        for _ in range(_DRAWS)
    ]
    return np.array(drawn, dtype=float)
