"""F1, precision and recall of predicted classes, on other images and by other trainings."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reports.statistics.estimates import Estimate, Scores, over_draws

_DRAWS = 400  # of the images
_CLOSE = 2e-4  # Keras adds in single precision
_Whole = npt.NDArray[np.integer[Any]]
METRICS = ("f1_score", "precision", "recall")


def class_scores(
    metric: str,
    labels: _Whole,
    predicted: _Whole,
    num_classes: int,
    weights: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Returns a score of one training on resampled images.

    Of two classes it is the second's; of more it is their mean. What nothing is counted for is 0.

    Args:
        metric: One of `METRICS`.
        labels: `(num_images,)`.
        predicted: `(num_images,)`.
        num_classes: Two or more.
        weights: `(num_draws, num_images)`, how often each image was drawn, or each kind of image.
    """
    classes = np.arange(num_classes)
    is_true, is_said = labels[:, None] == classes, predicted[:, None] == classes
    right, true, said = (weights @ part for part in (is_true & is_said, is_true, is_said))
    whole = {"f1_score": (true + said) / 2, "precision": said, "recall": true}[metric]
    scores = np.divide(right, whole, out=np.zeros_like(right), where=whole > 0)
    score: npt.NDArray[np.float64] = scores[:, 1] if num_classes == 2 else scores.mean(axis=1)
    return score


def estimate_by_images(
    metric: str, scores: Scores, labels: _Whole, predicted: _Whole, num_classes: int, seed: int
) -> Estimate | None:
    """Estimates a score for another training on other images; for this one, if there is one.

    The variance over images is that of a bootstrap (Efron 1979), the same images for all trainings.

    Args:
        metric: One of `METRICS`.
        scores: Of the trainings, as recorded.
        labels: `(num_images,)`, two or more.
        predicted: `(num_trainings, num_images)`.
        num_classes: Two or more.
        seed: Of the bootstrap.

    Returns:
        `None` where the predictions give other scores: the metric is another of that name.
    """
    rng, size = np.random.default_rng([seed, 0xF1]), len(labels)
    # Images that all trainings predict alike are drawn alike: their number is all that counts.
    kinds, counts = np.unique(np.column_stack([labels, *predicted]), axis=0, return_counts=True)
    drawn = rng.multinomial(size, counts / size, _DRAWS)
    weights = np.vstack([counts, drawn]).astype(np.float64)
    table = np.stack(
        [class_scores(metric, kinds[:, 0], row, num_classes, weights) for row in kinds[:, 1:].T]
    )
    if not np.allclose(table[:, 0], scores, rtol=0, atol=_CLOSE):
        return None
    return over_draws(table[:, 0], float(table[:, 1:].mean(axis=0).var(ddof=1)), size)
