"""Weights of classes that make up for different numbers of images."""

from collections.abc import Sequence


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Returns a weight for each class, so that all weigh the same in the loss.

    A class with `n_c` of `n` images in `k` classes weighs `n / (k * n_c)`, as scikit-learn's
    "balanced" does; the mean weight of an image is 1.

    Args:
        counts: Number of training images of each class.
    """
    total, num_classes = sum(counts), len(counts)
    return [total / (num_classes * count) if count else 0.0 for count in counts]
