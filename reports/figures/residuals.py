"""Residuals of a regression on the test split: how they spread, and against what is predicted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from experiments.record.formatting import between, listed, percent, score
from reports.analysis.numbers import MOST_TARGETS, Fit, Numbers, fits, numbers
from reports.figures import _style as style
from reports.study.study import Study

SECTION, ORDER = "mistakes", 56
TITLE = "Residuals"
_Array = npt.NDArray[np.float64]
_LEVEL, _CLEAR = 0.04, 0.2  # of a rank correlation: its p-value, and its size
_LEAST = 20  # rows, to say something about the spread
_LARGEST = 0.05  # share of the rows whose part in the squared error is told


@dataclass(frozen=True)
class Info:
    """Residuals of every target.

    Args:
        numbers: Predicted and true numbers.
        fits: How well each target is predicted.
        spread: Rank correlation of absolute residual and prediction, and its p-value, one a target.
    """

    numbers: Numbers
    fits: tuple[Fit, ...]
    spread: tuple[tuple[float, float], ...]


def info(study: Study) -> Info | str:
    """Collects the residuals; says nothing where `predicted_true` says why there are none."""
    found = numbers(study)
    if isinstance(found, str):
        return ""
    columns = range(len(found.names))
    spread = tuple(_spread(found.outputs[:, c], found.errors[:, c]) for c in columns)
    return Info(found, tuple(fits(found)), spread)


def _spread(said: _Array, errors: _Array) -> tuple[float, float]:
    from scipy.stats import spearmanr

    if len(said) < _LEAST or np.ptp(said) == 0 or np.ptp(np.abs(errors)) == 0:
        return 0.0, 1.0
    found = spearmanr(said, np.abs(errors))
    return float(found.statistic), float(found.pvalue)


def finding(info: Info) -> str:
    """Says whether predictions are biased, and where errors are large."""
    if len(info.fits) > 1:
        return f"{_biases(info)}{_spreads(info)}."
    rank, _ = info.spread[0]
    text = f"Predictions {_biased(info.fits[0])}; {_tail(info.numbers.errors[:, 0])}"
    if _is_told(info, 0):
        text += f"; errors are {_way(rank)} where more is predicted (rank correlation {rank:+.2f})"
    return f"{text}."


def _biases(info: Info) -> str:
    """Names the targets whose predictions are biased, of several."""
    said = [
        f"{fit.name} too {'high' if fit.bias.mean > 0 else 'low'} "
        f"({score(fit.bias.mean, signed=True)}, {between(fit.bias.low, fit.bias.high)})"
        for fit in info.fits
        if fit.bias.low > 0 or fit.bias.high < 0
    ]
    if not said:
        return f"Of no target of {len(info.fits)} predictions are shown to be biased"
    jointly = "(intervals that hold jointly in 95 %)"
    return f"Predictions are biased on average: {listed(said)} {jointly}"


def _spreads(info: Info) -> str:
    said = [
        f"{fit.name} ({_way(info.spread[column][0])}, rank correlation "
        f"{info.spread[column][0]:+.2f})"
        for column, fit in enumerate(info.fits)
        if _is_told(info, column)
    ]
    return f"; errors change with what is predicted of {listed(said)}" if said else ""


def _is_told(info: Info, column: int) -> bool:
    rank, p_value = info.spread[column]
    return p_value * len(info.fits) <= _LEVEL and abs(rank) >= _CLEAR


def _way(rank: float) -> str:
    return "larger" if rank > 0 else "smaller"


def _biased(fit: Fit) -> str:
    bias = fit.bias
    if not bias.has_interval:
        return f"are off by {score(bias.mean, signed=True)} (a single one)"
    interval = f"mean error {score(bias.mean, signed=True)}, 95 % interval "
    interval += between(bias.low, bias.high)
    if bias.low <= 0 <= bias.high:
        return f"are not shown to be biased ({interval})"
    return f"are too {'high' if bias.mean > 0 else 'low'} on average ({interval})"


def _tail(errors: _Array) -> str:
    squares = np.sort(errors**2)[::-1]
    count = max(1, round(_LARGEST * len(squares)))
    total = float(squares.sum())
    share = float(squares[:count].sum()) / total if total > 0 else 0.0
    return (
        f"the largest {_LARGEST:.0%} of the errors make up {percent(share)} of the squared error "
        "(30 % where errors are normal)"
    )


def height(info: Info) -> float:
    """Inches."""
    return 0.4 + 2.6 * min(len(info.fits), MOST_TARGETS)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws, for each target, the distribution of residuals and residuals by prediction."""
    shown = min(len(info.fits), MOST_TARGETS)
    axes = style.panels(ax, shown, 2)
    names = style.labels([fit.name for fit in info.fits], 20)
    for column, (left, right) in enumerate(axes):
        errors, said = info.numbers.errors[:, column], info.numbers.outputs[:, column]
        name = f"{names[column]}: " if len(info.fits) > 1 else ""
        beyond = _distribution(left, errors)
        left.set_xlabel(f"{name}predicted - true")
        left.set_ylabel(f"test {info.numbers.noun}s")
        style.note(left, f"{beyond:,} of {len(errors):,} beyond" if beyond else "")
        _against(right, said, errors)
        right.set_xlabel(f"{name}predicted")
        right.set_ylabel("predicted - true")
        style.note(right, f"n = {len(errors):,} test {info.numbers.noun}s")
    return ax


def _near(values: _Array) -> tuple[float, float]:
    """Returns ends that leave out what lies far outside (Tukey's outer fences, doubled)."""
    low, high = np.quantile(values, [0.25, 0.75])
    reach = 6 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    return float(inside.min()), float(inside.max())


def _distribution(ax: Axes, errors: _Array) -> int:
    """Draws a histogram; returns how many residuals lie beyond it."""
    low, high = _near(errors)
    inside = errors[(errors >= low) & (errors <= high)]
    bins = int(np.clip(np.sqrt(len(inside)) * 1.5, 8, 50))
    ax.hist(inside, bins=bins, color=style.BLUE, alpha=0.8)
    ax.axvline(0, color=style.RED, lw=1.2, ls="--")
    return len(errors) - len(inside)


def _against(ax: Axes, said: _Array, errors: _Array) -> None:
    many = len(said) > style.MANY
    ax.axhline(0, color=style.RED, lw=1.2, ls="--", zorder=3)
    ax.scatter(said, errors, s=6 if many else 18, alpha=0.35 if many else 0.6, color=style.BLUE,
               linewidths=0, rasterized=many)  # fmt: skip
    for axis, values in (("x", said), ("y", errors)):
        low, high = _near(values)
        margin = 0.05 * ((high - low) or 1.0)
        (ax.set_xlim if axis == "x" else ax.set_ylim)(low - margin, high + margin)
