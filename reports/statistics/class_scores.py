"""F1, precision and recall of predicted classes, on other images and by other trainings."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reports.statistics.estimates import Estimate, Scores, over_ratios

_CLOSE = 2e-4  # Keras adds in single precision
_Whole = npt.NDArray[np.integer[Any]]
# What an image adds to the count that its true, and its predicted class is divided by.
_ADDS = {"f1_score": (0.5, 0.5), "precision": (0.0, 1.0), "recall": (1.0, 0.0)}
METRICS = tuple(_ADDS)


def estimate_by_images(
    metric: str, scores: Scores, labels: _Whole, predicted: _Whole, num_classes: int
) -> Estimate | None:
    """Estimates a score for another training on other images; for this one, if there is one.

    The variance over images is that of the infinitesimal jackknife (Efron 1982, "The jackknife, the
    bootstrap and other resampling plans", chapter 6), the same images for all trainings.

    Args:
        metric: One of `METRICS`.
        scores: Of the trainings, as recorded.
        labels: `(num_images,)`.
        predicted: `(num_trainings, num_images)`.
        num_classes: Two or more.

    Returns:
        `None` where the predictions give other scores: the metric is another of that name.
    """
    found = [_of_training(metric, labels, row, num_classes) for row in predicted]
    each = np.array([training.score for training in found])
    if not np.allclose(each, scores, rtol=0, atol=_CLOSE):
        return None
    influence = np.mean([training.influence for training in found], axis=0)
    absent, counted = np.mean([(training.absent, training.counted) for training in found], axis=0)
    return over_ratios(each, float((influence**2).sum()), float(counted), float(absent))


class _Training(NamedTuple):
    """The score of one training.

    Args:
        score: Of two classes the second's; of more their mean. What nothing is counted for is 0.
        influence: `(num_images,)`, what each image adds to it.
        absent: Variance of it as other images may have nothing that is counted for a class.
        counted: Images of which a share varies about as much, if each class's score is a share.
    """

    score: float
    influence: npt.NDArray[np.float64]
    absent: float
    counted: float


def _of_training(metric: str, labels: _Whole, predicted: _Whole, num_classes: int) -> _Training:
    size = num_classes + 1
    labels, predicted = (_known(classes, num_classes) for classes in (labels, predicted))
    part = np.zeros(size)
    part[:num_classes] = (0.0, 1.0) if num_classes == 2 else 1 / num_classes
    by_true, by_said = _ADDS[metric]
    is_right = labels == predicted
    true, said = (np.bincount(classes, minlength=size) for classes in (labels, predicted))
    right = np.bincount(labels[is_right], minlength=size)
    whole = by_true * true + by_said * said
    score, share = (
        np.divide(above, whole, out=np.zeros(size), where=whole > 0) for above in (right, part)
    )
    few = np.divide(1, whole, out=np.zeros(size), where=whole > 0)
    step = share * np.sqrt(1 + few)  # like n - 1: few images vary less than is true
    lost, none = step * score, np.exp(-whole)
    influence = is_right * step[labels] - by_true * lost[labels] - by_said * lost[predicted]
    absent = float(((part * score) ** 2 * none * (1 - none)).sum())
    varies = float(part @ share)
    return _Training(float(part @ score), influence, absent, 1 / varies if varies > 0 else 1.0)


def _known(classes: _Whole, num_classes: int) -> _Whole:
    """Returns classes; one after the last for those that are none, as in a damaged file."""
    whole = classes.astype(np.int64)
    return np.where((whole >= 0) & (whole < num_classes), whole, num_classes)
