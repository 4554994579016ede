"""Divides a dataset into train, validation and test, by the split seed alone.

What the dataset brings is used as it is. Where it brings no test images, 10 % are set aside first;
where it brings none to validate on, 20 % of what is left to train on, at most 5,000 (or 50 of
each class). Draws are stratified by class, if there are classes.
"""

import hashlib
from contextlib import suppress
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from experiments.data.sources.base import RawDataset, RawSplit
from experiments.record.errors import UserError
from experiments.record.predictions import Targets

VALIDATION_SHARE = 0.2
MOST_VALIDATION = 5000  # rows set aside: more would tell little more, and be missed in training
_LEAST_OF_CLASS = 50  # of those: rare classes have a fifth of their rows up to this many
TEST_SHARE = 0.1
_FORMAT = 1  # of the fingerprint: raised only if the same content should get another one
_MOST_NAMED = 5
Indices = dict[str, tuple[RawSplit, npt.NDArray[np.int64]]]


def make_splits(
    raw: RawDataset, sample: int | None, seed: int, most_validation: int | None = MOST_VALIDATION
) -> Indices:
    """Draws the splits: sorted indices into the dataset's own splits.

    A sample of N images takes them from train, validation and test in the shares that the
    dataset's splits have, balanced over the classes.

    Args:
        raw: The dataset.
        sample: Size of a subset.
        seed: Split seed.
        most_validation: Most rows that are set aside to validate on; `None` for no limit.

    Raises:
        UserError: The dataset, or the sample of it, is too small.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    train = np.arange(len(raw.train.labels))
    total = sum(len(split.labels) for split in (raw.train, raw.validation, raw.test) if split)
    if raw.test is None:
        test_source = raw.train
        train, test = _stratified(raw.train.strata, train, TEST_SHARE, rng)
    else:
        test_source, test = raw.test, np.arange(len(raw.test.labels))
    validation_source = raw.validation or raw.train
    validation = np.arange(len(raw.validation.labels) if raw.validation else 0)
    if sample is not None:
        if sample > total:
            raise UserError(f"--sample {sample}: dataset {raw.name!r} has {total} images")
        test_count = max(1, round(sample * len(test) / total))
        test = _balanced(test_source.strata, test, test_count, rng)
        if raw.validation is not None:
            count = max(1, round(sample * len(validation) / total))
            validation = _balanced(raw.validation.strata, validation, count, rng)
        left = max(sample - test_count - len(validation), 0)
        train = _balanced(raw.train.strata, train, left, rng)
    if raw.validation is None:
        share = min(VALIDATION_SHARE, (most_validation or len(train)) / max(len(train), 1))
        train, validation = _stratified(raw.train.strata, train, share, rng, VALIDATION_SHARE)
    splits: Indices = {
        "train": (raw.train, train),
        "validation": (validation_source, validation),
        "test": (test_source, test),
    }
    _check_splits(raw, splits, sample)
    return splits


def roles_of(raw: RawDataset, indices: Indices) -> dict[str, str]:
    """Says in words what each split is taken from."""
    carved = raw.test is None or raw.validation is None
    rest = f"the rest of {raw.train.name}"
    if raw.validation:
        validation = raw.validation.name
    else:
        validation = f"{_set_aside(indices)} of {raw.train.name if raw.test else rest}"
    return {
        "train": rest if carved else raw.train.name,
        "validation": validation,
        "test": raw.test.name if raw.test else f"{_percent(TEST_SHARE)} of {raw.train.name}",
    }


def _set_aside(indices: Indices) -> str:
    """Says how many rows were taken from train to validate on."""
    train, count = (len(indices[split][1]) for split in ("train", "validation"))
    by_share = VALIDATION_SHARE * (train + count)
    is_limited = by_share > MOST_VALIDATION and count < (by_share + MOST_VALIDATION) / 2
    return f"{count:,}" if is_limited else _percent(VALIDATION_SHARE)


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def fingerprint(raw: RawDataset, indices: Indices, identity: str | None = None) -> str:
    """Names content and splits; the same content in the same splits has the same name.

    Args:
        raw: The dataset.
        indices: Its splits.
        identity: Stands for the dataset's own.
    """
    digest = hashlib.sha256(f"{_FORMAT}\0{identity or raw.identity}".encode())
    for split, (source, chosen) in indices.items():
        digest.update(split.encode())
        digest.update(chosen.tobytes())
        digest.update(source.labels[chosen].tobytes())
    return digest.hexdigest()[:16]


def as_recorded(
    raw: RawDataset, sample: int | None, seed: int, recorded: str | None
) -> tuple[RawDataset, Indices]:
    """Divides as `make_splits` does, or as it once did, if a study that was begun then asks.

    Until format 2 a dataset's own validation split was not used. Before validation was limited to
    5,000 rows, it had a fifth of any number. What is the same by another name keeps the name that
    was recorded.

    Args:
        raw: The dataset.
        sample: Size of a subset.
        seed: Split seed.
        recorded: The fingerprint that the study recorded.

    Returns:
        The dataset as it is divided, and the splits.
    """
    if recorded is not None:
        own = [raw]
        if raw.validation is not None:
            note = "validated on images of train, as the study was begun"
            own.append(replace(raw, validation=None, notes=(*raw.notes, note)))
        for former, most in product(own, (MOST_VALIDATION, None)):
            with suppress(UserError):
                indices = make_splits(former, sample, seed, most)
                for identity in (raw.identity, *raw.known_as):
                    if fingerprint(former, indices, identity) == recorded:
                        return replace(former, identity=identity), indices
    return raw, make_splits(raw, sample, seed)


def missing_classes(labels: npt.NDArray[np.int64], class_names: tuple[str, ...]) -> list[str]:
    """Names the classes of which `labels` has none."""
    there = set(labels.tolist())
    return [name for index, name in enumerate(class_names) if index not in there]


def notes_of(raw: RawDataset, indices: Indices) -> list[str]:
    """Says what of the splits whoever reads a score should know."""
    notes: list[str] = []
    for split in ("validation", "test") if raw.targets == Targets.CLASSES else ():
        source, chosen = indices[split]
        missing = missing_classes(source.labels[chosen], raw.class_names)
        if missing:
            more = ", ..." if len(missing) > _MOST_NAMED else ""
            which = f"{len(missing)} of {len(raw.class_names)} classes"
            named = ", ".join(missing[:_MOST_NAMED])
            notes.append(f"no {split} image of {which}: {named}{more}")
    return notes


def _stratified(
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    share: float,
    rng: np.random.Generator,
    rare: float = 0.0,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    taken = [np.empty(0, np.int64)]
    for label in np.unique(labels[indices]):
        of_class = rng.permutation(indices[labels[indices] == label])
        least = min(round(len(of_class) * rare), _LEAST_OF_CLASS)
        taken.append(of_class[: max(round(len(of_class) * share), least)])
    out = np.sort(np.concatenate(taken))
    return np.setdiff1d(indices, out, assume_unique=True), out


def _balanced(
    labels: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """Takes `count` indices, the classes in turn, until a class has no more."""
    shuffled = rng.permutation(indices)
    rank = np.zeros(len(shuffled), dtype=np.int64)  # the image's place within its class
    for label in np.unique(labels[indices]):
        of_class = labels[shuffled] == label
        rank[of_class] = np.arange(of_class.sum())
    return np.sort(shuffled[np.argsort(rank, kind="stable")[:count]])


def _check_splits(raw: RawDataset, splits: Indices, sample: int | None) -> None:
    for split, (source, chosen) in splits.items():
        sampled = "--sample is" if sample is not None else f"dataset {raw.name!r} is"
        if not len(chosen):
            raise UserError(f"{sampled} too small: the {split} split is empty")
        if raw.targets != Targets.CLASSES:
            continue
        missing = missing_classes(source.labels[chosen], raw.class_names)
        if source is raw.train and (lacking := missing_classes(source.labels, raw.class_names)):
            raise UserError(
                f"dataset {raw.name!r} has no image of class {lacking[0]!r} to train on: leave the "
                "class out of the other splits, or add images"
            )
        if missing and source is raw.train and split != "test":
            raise UserError(
                f"{sampled} too small: no image of class {missing[0]!r} is left for the {split} "
                "split"
            )
