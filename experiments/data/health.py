"""What of the prepared images should be known before a score is believed."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_PAIRS = (("train", "validation"), ("train", "test"), ("validation", "test"))
_SCORED = ("validation", "test")


@dataclass
class Census:
    """Records each prepared image as it is written.

    Args:
        digests: Split -> a hash of each image, in order.
        num_constant: Split -> images of one colour throughout.
    """

    digests: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    num_constant: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, split: str, image: npt.NDArray[Any], is_image: bool = True) -> None:
        """Notes an image, `(height, width, channels)`, or another row, as the network sees it."""
        self.digests[split].append(hashlib.blake2b(image.tobytes(), digest_size=16).digest())
        if is_image:
            self.num_constant[split] += bool((image == image[:1, :1]).all())


def health_of(
    census: Census, labels: dict[str, npt.NDArray[np.int64]], class_names: tuple[str, ...]
) -> dict[str, Any]:
    """Counts what the page on the study folder lists under "dataset".

    Args:
        census: Of all images.
        labels: Split -> `(num_images,)`, class indices, in the same order.
        class_names: One a class.

    Returns:
        Plain numbers and texts, for `study.json`.
    """
    per_class = {
        split: np.bincount(found, minlength=len(class_names)).tolist()
        for split, found in labels.items()
    }
    return {
        "per_class": per_class,
        "missing_classes": {
            split: [n for n, count in zip(class_names, counts, strict=True) if not count]
            for split, counts in per_class.items()
        },
        "baseline": {s: max(per_class[s]) / sum(per_class[s]) for s in _SCORED},
        "duplicates": _duplicates(census),
        "conflicting": _num_conflicting(census, labels),
        "constant": {split: census.num_constant[split] for split in labels},
    }


def health_of_values(census: Census, targets: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Counts what can be said of targets that are no classes.

    Args:
        census: Of all rows.
        targets: Split -> `(num_rows, ...)`, float32.

    Returns:
        Plain numbers: `duplicates`, and `target_range`, for each split lowest, mean and highest.
    """
    return {
        "duplicates": _duplicates(census),
        "target_range": {
            split: [float(found.min()), float(found.mean(dtype=np.float64)), float(found.max())]
            for split, found in targets.items()
        },
    }


def _duplicates(census: Census) -> dict[str, int]:
    return {
        f"{first}/{second}": _num_shared(census.digests[first], census.digests[second])
        for first, second in _PAIRS
    }


def _num_shared(first: list[bytes], second: list[bytes]) -> int:
    known = set(first)
    return sum(digest in known for digest in second)


def _num_conflicting(census: Census, labels: dict[str, npt.NDArray[np.int64]]) -> int:
    classes = defaultdict(set)
    for split, found in labels.items():
        for digest, label in zip(census.digests[split], found.tolist(), strict=True):
            classes[digest].add(label)
    every = (digest for digests in census.digests.values() for digest in digests)
    return sum(len(classes[digest]) > 1 for digest in every)


def warnings_of(health: dict[str, Any]) -> list[str]:
    """Says in lines what spoils a score: images that repeat, conflict, or show nothing."""
    noun = health.get("counted", "image")
    lines = [
        f"warning: {_images(count, pair.split('/')[1], noun)} also in {pair.split('/')[0]}"
        for pair, count in health.get("duplicates", {}).items()
        if count
    ]
    conflicting = health.get("conflicting", 0)
    if conflicting:
        lines.append(f"warning: {_images(conflicting, noun=noun)} also in another class")
    constant = sum(health.get("constant", {}).values())
    if constant:
        lines.append(f"warning: {_images(constant)} of one colour throughout")
    return lines


def _images(count: int, split: str = "", noun: str = "image") -> str:
    kind = f"{split} {noun}" if split else noun
    return f"{count:,} {kind} is" if count == 1 else f"{count:,} {kind}s are"
