"""Image-classification datasets by name: `mnist`, `cats_vs_dogs`, `digits`, `tfds:`, `folder:`."""

from experiments.datasets.base import RawDataset, RawSplit
from experiments.datasets.registry import DATASETS, resolve

__all__ = ["DATASETS", "RawDataset", "RawSplit", "resolve"]
