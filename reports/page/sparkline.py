"""A trial's curve as a graphic of a word's size."""

import numpy as np
import numpy.typing as npt

from reports.study.study import Study

_WIDTH, _HEIGHT, _MOST = 60, 16, 20


def sparklines(study: Study) -> dict[str, str]:
    """Returns an SVG path a trial, of the objective by epoch, all in one scale.

    The scale leaves out the worst tenth of all values, which would flatten the rest.
    """
    epochs = study.epochs
    if study.objective not in epochs or epochs.empty:
        return {}
    first = epochs[(epochs["execution"] == 0) & epochs[study.objective].notna()]
    if first.empty:
        return {}
    values = first[study.objective].to_numpy(dtype=float)
    low, high = np.quantile(values, [0.1, 1.0] if study.direction == "max" else [0.0, 0.9])
    paths = {}
    ids = first["trial_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])
    for begin, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        paths[str(ids[begin])] = _path(values[begin:end], float(low), float(high))
    return paths


def _path(values: npt.NDArray[np.float64], low: float, high: float) -> str:
    if len(values) > _MOST:
        values = values[np.linspace(0, len(values) - 1, _MOST).round().astype(int)]
    unit = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    x = np.linspace(1, _WIDTH - 1, len(values)) if len(values) > 1 else np.array([1.0])
    y = _HEIGHT - 1 - unit * (_HEIGHT - 2)
    points = [f"{a:.0f} {b:.0f}" for a, b in zip(x, y, strict=True)]
    return f"M{'L'.join(points)}" + ("h3" if len(points) == 1 else "")
