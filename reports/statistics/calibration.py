"""Whether a model is as sure as it is right."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, by bins of equal width.

    Args:
        confidence: `(bins,)`, mean probability of the predicted class; NaN in empty bins.
        accuracy: `(bins,)`, share of right predictions; NaN in empty bins.
        counts: `(bins,)`, images.
        error: Expected calibration error: the mean gap, weighted by images.
        brier: Mean squared error of all class probabilities.
    """

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    error: float
    brier: float


def calibration(
    labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.floating], bins: int = 10
) -> Calibration:
    """Measures the calibration of the predicted class.

    Source: Guo et al. 2017, "On calibration of modern neural networks"; Brier 1950.

    Args:
        labels: `(num_images,)`.
        probabilities: `(num_images, num_classes)`, rows sum to 1.
        bins: Number of bins over 0..1.
    """
    sure = probabilities.max(axis=1).astype(float)
    right = (probabilities.argmax(axis=1) == labels).astype(float)
    # A bin holds its upper end, as in the paper.
    place = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=sure, minlength=bins) / counts
        accuracy = np.bincount(place, weights=right, minlength=bins) / counts
    gaps = np.nan_to_num(np.abs(confidence - accuracy))
    truth = np.eye(probabilities.shape[1])[labels]
    return Calibration(
        confidence,
        accuracy,
        counts,
        error=float((gaps * counts).sum() / counts.sum()),
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
    )
