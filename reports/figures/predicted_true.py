"""Predicted against true numbers of a regression, on the test split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from experiments.record.formatting import are, percent, plural, score
from reports.analysis.numbers import MOST_TARGETS, Fit, Numbers, fits, numbers
from reports.figures import _style as style
from reports.study.study import Study

SECTION, ORDER = "mistakes", 55
TITLE = "Predicted against true"
_Array = npt.NDArray[np.float64]
_WIDE = 100.0  # ratio of the largest to the least from which on axes are logarithmic
_FENCE = 3.0  # times the range of the targets: predictions further out are beyond the axes


@dataclass(frozen=True)
class Info:
    """The predictions of every target, and how well they fit."""

    numbers: Numbers
    fits: tuple[Fit, ...]


def info(study: Study) -> Info | str:
    """Collects the predictions."""
    found = numbers(study)
    return found if isinstance(found, str) else Info(found, tuple(fits(found)))


def finding(info: Info) -> str:
    """Says how far off the predictions are, and how far a constant would be."""
    count = plural(len(info.numbers.targets), f"test {info.numbers.noun}")
    if len(info.fits) > 1:
        return f"{_of_several(info.fits)}, over {count}.{_left_out(info.fits)}"
    (fit,) = info.fits
    explained = f"it explains {_percent(fit.r2)} of the variance (R² {fit.r2:.3f})"
    if not fit.r2 >= 0:
        explained = "it explains nothing of the variance (R² below 0)"
        explained = explained if np.isfinite(fit.r2) else "the targets do not vary"
    return (
        f"Over {count} the exported model is off by {score(fit.mae)} on average (mean absolute "
        f"error; root mean squared error {score(fit.rmse)}), where always saying the median is off "
        f"by {score(fit.constant_mae)}; {explained}."
    )


def _percent(share: float) -> str:
    """Returns an explained share; one below 0 explains nothing."""
    return percent(max(share, 0.0), 1)


def _of_several(found: tuple[Fit, ...]) -> str:
    known = sorted((fit for fit in found if np.isfinite(fit.r2)), key=lambda fit: fit.r2)
    if not known:
        return "The targets do not vary"
    return (
        f"Of {plural(len(found), 'target')} the exported model explains between "
        f"{_percent(known[0].r2)} ({known[0].name}) and {_percent(known[-1].r2)} "
        f"({known[-1].name}) of the variance"
    )


def _left_out(found: tuple[Fit, ...]) -> str:
    beyond = len(found) - MOST_TARGETS
    if beyond <= 0:
        return ""
    return f" {plural(beyond, 'further target')} {are(beyond)} not drawn; the table has them."


def height(info: Info) -> float:
    """Inches."""
    return 3.6 if len(info.fits) <= 2 else 6.4


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a panel a target; with one target, also the share of rows within an error."""
    shown = min(len(info.fits), MOST_TARGETS)
    rows = 1 if shown <= 2 else 2
    axes = style.panels(ax, rows, 2).ravel()
    names = style.labels([fit.name for fit in info.fits], 40)
    for column, panel in enumerate(axes[:shown]):
        _against(panel, info.numbers, column)
        if len(info.fits) > 1:
            panel.set_title(names[column], loc="left")
    if shown == 1:
        _within(axes[1], info)
    for panel in axes[max(shown, 2) :]:
        panel.set_visible(False)
    return ax


def _against(ax: Axes, found: Numbers, column: int) -> None:
    true, said = found.targets[:, column], found.outputs[:, column]
    lowest, highest = float(true.min()), float(true.max())
    is_log = lowest > 0 and said.min() > 0 and highest > _WIDE * lowest
    reach = _FENCE * ((highest - lowest) or 1.0)
    near = (said >= lowest - reach) & (said <= highest + reach)
    ends = [min(lowest, float(said[near].min(initial=lowest))),
            max(highest, float(said[near].max(initial=highest)))]  # fmt: skip
    many = len(true) > style.MANY
    ax.axline((ends[0], ends[0]), (ends[1] + (ends[0] == ends[1]), ends[1] + (ends[0] == ends[1])),
              color=style.RED, lw=1.2, ls="--", label="predicted = true", zorder=3)  # fmt: skip
    ax.scatter(true[near], said[near], s=6 if many else 18, alpha=0.35 if many else 0.6,
               color=style.BLUE, linewidths=0, rasterized=many)  # fmt: skip
    if is_log:
        ax.set_xscale("log")
        ax.set_yscale("log")
        for ruler in (ax.xaxis, ax.yaxis):
            ruler.set_major_locator(LogLocator(numticks=6))
            ruler.set_minor_formatter(NullFormatter())
            style.compact_ticks(ruler)
        ends = [ends[0] / 1.2, ends[1] * 1.2]
    else:
        margin = 0.04 * ((ends[1] - ends[0]) or 1.0)
        ends = [ends[0] - margin, ends[1] + margin]
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    ax.set_xlabel("true" + " (log)" * is_log)
    ax.set_ylabel("predicted" + " (log)" * is_log)
    ax.legend(loc="upper left", fontsize=7.5)
    beyond = len(true) - int(near.sum())
    note = f"; {beyond:,} beyond" if beyond else ""
    style.note(ax, f"n = {len(true):,} test {found.noun}s{note}")


def _within(ax: Axes, info: Info) -> None:
    """Draws the share of rows that are off by at most an error.

    Source: Bi and Bennett 2003, "Regression error characteristic curves".
    """
    true, said = info.numbers.targets[:, 0], info.numbers.outputs[:, 0]
    curves = {
        "the exported model": (np.abs(said - true), style.BLUE, "-"),
        "always the median": (np.abs(np.median(true) - true), style.GREY, "--"),
    }
    most = max(float(np.quantile(errors, 0.98)) for errors, *_ in curves.values())
    for label, (errors, color, line) in curves.items():
        ordered = np.sort(errors)
        if len(ordered) > style.MANY:
            ordered = np.quantile(ordered, np.linspace(0, 1, style.MANY))
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        ax.step(ordered, share, where="post", color=color, ls=line, lw=1.8, label=label)
    ax.set_xlim(0, most or 1.0)
    ax.set_ylim(0, 1.02)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set_xlabel("absolute error")
    ax.set_ylabel(f"{info.numbers.noun}s with at most that error")
    ax.legend(loc="lower right", fontsize=7.5)
