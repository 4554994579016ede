"""Test scores row by row, where kept outputs give them: their spread gives intervals."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.record.predictions import read_finalists_outputs
from reports.analysis.label_scores import THRESHOLD
from reports.statistics.estimates import Estimate, accuracy, over_examples
from reports.study.metrics import base_name, is_proportion
from reports.study.study import Study

_Array = npt.NDArray[np.float64]
_Scores = Callable[[_Array, _Array], _Array]  # targets, outputs `(n, k)` -> `(n,)`
_CLOSE = 2e-3  # relative: Keras adds in single precision
_CLOSE_SHARE = 2e-4  # of counts
_CLOSE_OWN = 1e-4  # of what has a name of its own, so that its value alone tells what it is
_TINY = 1e-7  # Keras' epsilon


def _means(values: _Array) -> _Array:
    means: _Array = values.mean(axis=1)
    return means


def _huber(true: _Array, said: _Array) -> _Array:
    size = np.abs(said - true)
    return _means(np.where(size <= 1, size**2 / 2, size - 0.5))


def _crossentropy(true: _Array, said: _Array) -> _Array:
    chance = np.clip(said, _TINY, 1 - _TINY)
    return _means(-(true * np.log(chance) + (1 - true) * np.log(1 - chance)))


def _log_squares(true: _Array, said: _Array) -> _Array:
    return _means((np.log1p(np.maximum(said, 0)) - np.log1p(np.maximum(true, 0))) ** 2)


def _percentages(true: _Array, said: _Array) -> _Array:
    return _means(100 * np.abs(said - true) / np.maximum(np.abs(true), _TINY))


def _labels_right(true: _Array, said: _Array) -> _Array:
    return _means(((said > THRESHOLD) == (true > THRESHOLD)).astype(np.float64))


def _class_right(true: _Array, said: _Array) -> _Array:
    right: _Array = (said.argmax(axis=1) == true.argmax(axis=1)).astype(np.float64)
    return right


def _squares(true: _Array, said: _Array) -> _Array:
    return _means((said - true) ** 2)


def _sizes(true: _Array, said: _Array) -> _Array:
    return _means(np.abs(said - true))


def _log_cosh(true: _Array, said: _Array) -> _Array:
    return _means(np.logaddexp(said - true, true - said) - math.log(2))


_SHARES = (_labels_right, _class_right)  # whose mean over rows may be 1 without being certain
_LOSSES: tuple[_Scores, ...] = (
    _squares, _sizes, _crossentropy, _huber, _log_cosh, _log_squares, _percentages,
)  # fmt: skip
# Keras' metrics that are means over rows, by name. Others, such as F1 and AUC, are none.
_ROWS: dict[str, tuple[_Scores, ...]] = {
    "loss": _LOSSES,
    "mse": (_squares,), "meansquarederror": (_squares,),
    "mae": (_sizes,), "meanabsoluteerror": (_sizes,),
    "msle": (_log_squares,), "meansquaredlogarithmicerror": (_log_squares,),
    "mape": (_percentages,), "meanabsolutepercentageerror": (_percentages,),
    "logcosh": (_log_cosh,), "logcosherror": (_log_cosh,),
    "huber": (_huber,), "huberloss": (_huber,),
    "bce": (_crossentropy,), "binarycrossentropy": (_crossentropy,),
    "binaryaccuracy": (_labels_right,),
    "categoricalaccuracy": (_class_right,),
    "accuracy": _SHARES, "acc": _SHARES,
}  # fmt: skip
_ROOTS = ("rmse", "rootmeansquarederror")


def estimate_over_examples(
    study: Study, finalist: dict[str, Any], metric: str, scores: list[float]
) -> Estimate | None:
    """Estimates a test score for other trainings on other rows.

    Args:
        study: The study.
        finalist: Its record, with the tested trainings under `runs`.
        metric: Its name says which means over rows it can be; its values, which it is. One with a
            name of its own can be any loss.
        scores: Of these trainings.

    Returns:
        `None` where outputs were not kept, or the metric is not known to be a mean over rows.
    """
    if "finalists_outputs" not in study.memory:
        study.memory["finalists_outputs"] = read_finalists_outputs(study.folder)
    targets, found = study.memory["finalists_outputs"]
    kept = found.get(finalist["trial_id"], {})
    outputs = [kept[run["seed"]] for run in finalist["runs"] if run.get("seed") in kept]
    if len(targets) < 2 or not outputs or len(outputs) != len(finalist["runs"]):
        return None
    true = targets.astype(np.float64)
    said = [output.astype(np.float64) for output in outputs]
    name = base_name(metric).replace("_", "").lower()  # `MSE`, `MeanSquaredError`
    is_own = not (name in _ROWS or name in _ROOTS or is_proportion(metric.lower()))
    near = _CLOSE_OWN if is_own else _CLOSE
    with np.errstate(all="ignore"):
        for score in _LOSSES if is_own else _ROWS.get(name, ()):
            rows = np.stack([score(true, output) for output in said])
            close = _CLOSE_SHARE if score in _SHARES else near
            if np.allclose(rows.mean(axis=1), scores, rtol=close, atol=0):
                found = (
                    accuracy(scores, len(true), rows) if score in _SHARES else over_examples(rows)
                )
                return replace(found, mean=float(np.mean(scores)))
        squares = np.stack([_squares(true, output) for output in said])
        is_root = is_own or name in _ROOTS
        if is_root and np.allclose(np.sqrt(squares.mean(axis=1)), scores, rtol=near, atol=0):
            return _rooted(over_examples(squares), scores)
    return None


def _rooted(squares: Estimate, scores: list[float]) -> Estimate:
    """Returns the estimate of a root of a mean, of which `squares` is the estimate."""
    low, high = (math.sqrt(max(end, 0.0)) for end in (squares.low, squares.high))
    return replace(squares, mean=float(np.mean(scores)), low=low, high=high)
