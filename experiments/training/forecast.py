"""Forecasts, before a search, the time and disk space of its features from a few batches."""

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import keras_tuner
import numpy as np

from experiments.data.prepare import PreparedData
from experiments.record.formatting import byte_size
from experiments.training.engines import OPENVINO, Engine, engine_of, forward
from experiments.training.feature_entry import Entry
from experiments.training.features import FeatureStore, check_space
from experiments.training.own_callables import UntoldError
from search_spaces.base import ImageSpace
from search_spaces.frozen import ORIGINAL, FrozenPart

_BATCH = 32
_NUM_TIMED = 3


def forecast(
    hypermodel: ImageSpace, space: keras_tuner.HyperParameters, data: PreparedData, cache_dir: Path
) -> list[str]:
    """Returns lines that forecast a search's features: images or rows, seconds, bytes.

    Args:
        hypermodel: The search space.
        space: Its hyperparameters, including fixed ones.
        data: The prepared dataset.
        cache_dir: The cache folder.
    """
    parts = hypermodel.possible_parts(space)
    if not parts:
        split = hypermodel.split(space.copy())
        return [f"features are not kept ({split.uncached})"] if split and split.uncached else []
    store = FeatureStore(cache_dir)
    wanted = []
    try:
        for part, views in parts:
            missing = [e for e in needed_entries(part, data, views) if not store.has(e)]
            if missing:
                wanted.append(missing)
    except UntoldError as error:
        return [f"features are not kept ({error})"]
    if not wanted:
        return ["features of the frozen layers are all in the cache"]
    lines: list[str] = []
    for _, of_one in groupby(wanted, lambda missing: missing[0].part.backbone):
        several = list(of_one)
        engine = engine_of(several[0][0].part, data)
        lines += _lines(several, engine, _time(engine, data))
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        num_bytes = sum(entry.num_bytes for missing in wanted for entry in missing)
        check_space(store.folder, num_bytes, "all features that this search may need")
    except OSError as error:
        lines.append(f"{error.strerror}; a trial whose features find no room runs without")
    return lines


def needed_entries(part: FrozenPart, data: PreparedData, views: Sequence[str]) -> list[Entry]:
    """Returns the entries that trials on `part` open: training images in each view, validation."""
    train = [Entry(part, data, "train", view) for view in views]
    return [*train, Entry(part, data, "validation", ORIGINAL)]


def _lines(wanted: list[list[Entry]], engine: Engine, seconds: float) -> list[str]:
    """Returns a line for the first part of a backbone, and one for all others."""
    first, others = wanted[0], wanted[1:]
    rows, noun = sum(entry.num_images for entry in first), first[0].data.noun
    by = f" by {OPENVINO}" if engine.name == OPENVINO else ""
    lines = [
        f"features of {first[0].part.name}: {rows:,} {noun}, about {rows * seconds:.0f} s "
        f"({1 / seconds:.0f} {noun}/s{by}), {byte_size(_bytes(first))}; computed once, when a "
        "trial first needs them"
    ]
    if engine.refused:
        lines[0] += f"; by {engine.name}, for {engine.refused}"
    if others:
        # The first part was timed; it has the most layers.
        most = max(sum(entry.num_images for entry in part) for part in others) * seconds
        sizes = sorted(_bytes(part) for part in others)
        lines.append(
            f"and of up to {len(others)} more ({', '.join(part[0].part.name for part in others)}): "
            f"at most {most:.0f} s and {byte_size(sizes[-1])} each, {byte_size(sum(sizes))} in all"
        )
    return lines


def _bytes(entries: list[Entry]) -> int:
    return sum(entry.num_bytes for entry in entries)


def _time(engine: Engine, data: PreparedData) -> float:
    """Returns seconds per image, timed over a few batches."""
    images = data.open("train").images
    batch = np.asarray(images[: min(_BATCH, len(images))])
    forward(engine, batch, ORIGINAL)  # traces
    started = time.perf_counter()
    for _ in range(_NUM_TIMED):
        forward(engine, batch, ORIGINAL)
    return (time.perf_counter() - started) / (_NUM_TIMED * len(batch))
