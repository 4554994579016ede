"""What each base of a search sees, and how long its best network takes for an image.

Of each base the best trial that was trained whole counts. Its network is built anew: the first
layers of a base are those that it came with, in each trial, and weights do not change latency.
`bases.npz` holds `asked`, text, the trials that were looked at; of bases that have maps, where two
have, `names` and `trials` `(num_bases,)`, text; `image`, `(height, width, channels)`, uint8, a test
image; and for each of these bases, by its place, `filters_0` `(kernel_height, kernel_width,
channels, n)` of the first convolution, `first_0` `(height, width, n)`, what it makes of the image,
and `last_0`, likewise the output of the base. Maps are uint8, each from its least value to its
largest, and thinned to at most 112 pixels a side; `sizes_0` has the heights and widths of both,
`(2, 2)`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from experiments.data.prepare import PreparedData
from experiments.finalists.artifacts import example_image, first_and_last
from experiments.process.numerics import cpu_model
from experiments.record.bases import base_label
from experiments.record.fidelity import is_left_behind
from experiments.record.files import write_arrays
from experiments.record.layout import StudyFolder
from experiments.record.measured import keep_measured, timed_trials
from experiments.record.reading import as_dict, read_arrays, read_dict
from experiments.training.costs import flops, latency

NUM_BASES = 8
_NUM_MAPS = 5
_MOST_PIXELS = 112
_Array = npt.NDArray[Any]


def best_of_bases(trials: Sequence[Any]) -> dict[str, Any]:
    """Returns the best trial of each base, the best base first; empty with fewer than two bases.

    Args:
        trials: Completed trials of Keras Tuner, best first.
    """
    found: dict[str, Any] = {}
    for trial in trials:
        label = base_label(trial.hyperparameters.values)
        if label is not None and not is_left_behind(trial):
            found.setdefault(label, trial)
    return dict(list(found.items())[:NUM_BASES]) if len(found) > 1 else {}


def write_bases(
    study: StudyFolder,
    best: Mapping[str, Any],
    build: Callable[[Any], keras.Model],
    data: PreparedData,
    with_latency: bool,
) -> None:
    """Writes what each base sees, and its best network's costs, unless they are there already.

    Args:
        study: The study.
        best: See `best_of_bases`.
        build: Builds the network of a trial, from raw images to probabilities.
        data: The prepared dataset, of images.
        with_latency: Whether to measure it; a search that has it as an objective did.
    """
    ids = {label: str(trial.trial_id) for label, trial in best.items()}
    if not ids or _is_there(study, ids, with_latency):
        return
    image = example_image(data)
    seen: dict[str, dict[str, _Array]] = {}
    costs: dict[str, dict[str, float]] = {}
    for label, trial in best.items():
        model = build(trial)
        if with_latency:
            counted = flops(model)
            known = {} if counted is None else {"flops": float(counted)}
            costs[ids[label]] = known | latency(model, image).as_dict()
        maps = first_and_last(model, image, _NUM_MAPS)
        if maps is not None:
            seen[label] = maps
    if costs:
        keep_measured(study, costs, cpu_model())
    shown = seen if len(seen) > 1 else {}  # there is nothing to compare one with
    write_arrays(study.arrays("bases"), **_arrays(shown, ids, image))


def _is_there(study: StudyFolder, ids: Mapping[str, str], with_latency: bool) -> bool:
    path = study.arrays("bases")
    arrays = read_arrays(path) if path.is_file() else {}
    asked = arrays.get("asked", arrays.get("trials", np.array([])))  # older ones have no `asked`
    if asked.tolist() != [*ids.values()]:
        return False
    return not with_latency or {*ids.values()} <= timed_trials(
        as_dict(read_dict(study.latency).get("trials"))
    )


def _arrays(
    seen: Mapping[str, Mapping[str, _Array]], ids: Mapping[str, str], image: _Array
) -> dict[str, _Array]:
    arrays = {
        "image": image,
        "asked": np.array([*ids.values()]),
        "names": np.array([*seen], dtype=str),
        "trials": np.array([ids[label] for label in seen], dtype=str),
    }
    for place, maps in enumerate(seen.values()):
        arrays[f"filters_{place}"] = maps["filters"].astype(np.float16)
        arrays[f"first_{place}"] = _as_picture(maps["first"])
        arrays[f"last_{place}"] = _as_picture(maps["last"])
        arrays[f"sizes_{place}"] = np.array([maps["first"].shape[:2], maps["last"].shape[:2]])
    return arrays


def _as_picture(maps: _Array) -> npt.NDArray[np.uint8]:
    """Thins maps, `(height, width, n)`, and scales each to 0..255."""
    step = math.ceil(max(maps.shape[:2]) / _MOST_PIXELS)
    thin = maps[::step, ::step].astype(np.float32)
    low, high = thin.min(axis=(0, 1)), thin.max(axis=(0, 1))
    scaled = (thin - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    picture: npt.NDArray[np.uint8] = np.rint(255 * scaled).astype(np.uint8)
    return picture
