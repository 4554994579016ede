"""Loss and objective by epoch, of the best and the worst trials, and of those stopped early."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.record.formatting import format_number, plural, score, words
from reports.analysis.task import has_images
from reports.figures import _style as style
from reports.figures._wide import scale_scores
from reports.statistics.wide import far_worse, is_wide
from reports.study.metrics import is_proportion
from reports.study.study import Study

SECTION, ORDER = "learning-curves", 40
TITLE = "Learning curves"
NUM_BEST, NUM_WORST = 3, 3
NUM_PRUNED = 60  # of more, the last

_Array = npt.NDArray[np.float64]
Curve = tuple[_Array, _Array]  # epochs, values


@dataclass(frozen=True)
class Info:
    """Curves, first execution: (trial, metric) -> curve.

    Args:
        objective: Name of the objective.
        direction: Its direction.
        best: The best trials.
        worst: The worst ones.
        pruned: Those that were stopped early.
        numbers: Trial -> its number.
        metrics: Those that are drawn, one a panel, without "val_".
        curves: Epochs and values.
        num_trials: Completed trials.
        of_images: Whether it is known that images were trained on.
        far: Curves that end far worse than those of the other trials: they diverged.
    """

    objective: str
    direction: str
    best: tuple[str, ...]
    worst: tuple[str, ...]
    pruned: tuple[str, ...]
    numbers: dict[str, int]
    metrics: tuple[str, ...]
    curves: dict[tuple[str, str], Curve]
    num_trials: int
    of_images: bool = True
    far: frozenset[tuple[str, str]] = frozenset()


def info(study: Study) -> Info | str:
    """Collects the curves of the best and the worst completed trials, and of pruned ones."""
    done = study.ranked
    first = study.epochs[study.epochs["execution"] == 0] if len(study.epochs) else study.epochs
    recorded = done[done["trial_id"].isin(set(first["trial_id"]))]
    if first.empty:
        return "No epochs are recorded."
    if recorded.empty:
        return "No completed trial has recorded epochs."
    ids = [str(t) for t in recorded["trial_id"]]
    best = ids[:NUM_BEST]
    worst = ids[max(len(ids) - NUM_WORST, len(best)) :]
    pruned = [str(t) for t in study.pruned["trial_id"]][-NUM_PRUNED:]
    metrics = _metrics(study.objective.removeprefix("val_"), {str(n) for n in first.columns})
    return Info(
        study.objective,
        study.direction,
        tuple(best),
        tuple(worst),
        tuple(pruned),
        {str(t): int(n) for _, t, n in study.trials[["trial_id", "number"]].itertuples()},
        metrics,
        _curves(first, [*best, *worst, *pruned], metrics),
        len(done),
        study.takes_options and has_images(study),
        frozenset(_far(study, first[first["trial_id"].isin(ids)], metrics)),
    )


def _far(study: Study, first: pd.DataFrame, metrics: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yields the curves that end far worse than those of all completed trials."""
    for name in (prefix + metric for metric in metrics for prefix in ("", "val_")):
        if name not in first:
            continue
        ends = first.groupby("trial_id")[name].last().dropna()
        values = ends.to_numpy(dtype=float)
        if is_wide(values, name):
            way = _direction(name.removeprefix("val_"), study.objective, study.direction)
            yield from ((str(trial), name) for trial in ends.index[far_worse(values, way)])


def _metrics(score: str, recorded: set[str]) -> tuple[str, ...]:
    """Returns the loss and the objective; beside a loss accuracy, or else another metric."""
    others = sorted(n.removeprefix("val_") for n in recorded if n.startswith("val_"))
    beside = ("accuracy", *others) if score == "loss" else (score,)
    wanted = dict.fromkeys(("loss", *beside))
    return tuple(n for n in wanted if {n, f"val_{n}"} & recorded)[:2] or ("loss",)


def _curves(
    first: object, trials: list[str], metrics: tuple[str, ...]
) -> dict[tuple[str, str], Curve]:
    curves: dict[tuple[str, str], Curve] = {}
    chosen = first[first["trial_id"].isin(trials)]  # type: ignore[index]
    for trial, rows in chosen.groupby("trial_id"):
        for metric in (p + m for m in metrics for p in ("", "val_")):
            if metric in rows and rows[metric].notna().any():
                epochs = rows["epoch"].to_numpy(dtype=float)
                curves[str(trial), metric] = epochs, rows[metric].to_numpy(dtype=float)
    return curves


def finding(info: Info) -> str:
    """Says how far train and validation are apart at the end of the best trial."""
    trial, own = info.best[0], info.objective.removeprefix("val_")
    metric = own if own in info.metrics else info.metrics[-1]
    train, validation = info.curves.get((trial, metric)), info.curves.get((trial, f"val_{metric}"))
    ran = f"The best trial ran {_epochs(info, trial)}"
    if train is None or validation is None:
        return f"{ran}."
    both = np.flatnonzero(np.isfinite(train[1]) & np.isfinite(validation[1]))
    if not len(both):
        return f"{ran}."
    last = both[-1]
    ended = "ended with" if last == len(train[0]) - 1 else f"had after epoch {train[0][last]:.0f}"
    seen, unseen = train[1][last], validation[1][last]
    return (
        f"{ran} and {ended} {words(metric)} {score(seen)} on training and {score(unseen)} on "
        f"validation {'images' if info.of_images else 'data'} "
        f"({score(seen - unseen, signed=True)})."
    )


def _epochs(info: Info, trial: str) -> str:
    """`9 epochs`, or `epochs 4 to 9` of a promoted trial, which continues an earlier one."""
    curves = [c[0] for (t, _), c in info.curves.items() if t == trial]
    epochs = max(curves, key=len, default=np.zeros(0))
    if len(epochs) and epochs[0] > 1:
        return f"epochs {epochs[0]:.0f} to {epochs[-1]:.0f}"
    return plural(len(epochs), "epoch")


def height(info: Info) -> float:
    """Inches."""
    return 3.5


def draw(info: Info, ax: Axes) -> Axes:
    """Draws validation as solid lines and training as dotted ones; pruned trials end in a cross."""
    axes = style.panels(ax, 1, len(info.metrics))[0]
    shades = dict(zip(info.best, style.PALETTE, strict=False))
    for panel, metric in zip(axes, info.metrics, strict=False):
        for trial in info.pruned:
            if (trial, f"val_{metric}") in info.curves:
                x, y = _known(info.curves[trial, f"val_{metric}"])
                panel.plot(x, y, color=style.GREY, linewidth=0.8, alpha=0.6)
                panel.plot(x[-1:], y[-1:], "x", color=style.GREY, markersize=4)
                style.track(panel, [info.numbers[trial]], x[None], y[None])
        for trial in (*info.worst, *info.best):
            for name, line in ((metric, ":"), (f"val_{metric}", "-")):
                if (trial, name) in info.curves:
                    x, y = _known(info.curves[trial, name])
                    color = shades.get(trial, style.GREY)
                    panel.plot(x, y, line, color=color, marker=".", linewidth=1.6, markersize=4)
                    if line == "-":
                        style.track(panel, [info.numbers[trial]], x[None], y[None])
        _scale(panel, info, metric)
        panel.set_xlabel("epoch")
        panel.set_ylabel(words(metric))
        style.whole_numbers(panel)
    _legend(axes[0], info, shades)
    shown = f"n = {len(info.best) + len(info.worst)} of {format_number(info.num_trials)} trials"
    stopped = f", {len(info.pruned)} stopped early" if info.pruned else ""
    style.note(axes[-1], shown + stopped)
    return ax


def _known(curve: Curve) -> Curve:
    """Leaves out epochs without a value: their neighbours are joined."""
    known = np.isfinite(curve[1])
    return curve[0][known], curve[1][known]


def _scale(ax: Axes, info: Info, metric: str) -> None:
    """Scales the y axis by the curves that did not diverge, and counts those beyond it."""
    drawn = {key: c[1] for key, c in info.curves.items() if key[1].removeprefix("val_") == metric}
    near = np.concatenate([np.array([]), *(v for key, v in drawn.items() if key not in info.far)])
    near = near[np.isfinite(near)]
    beyond = len(drawn.keys() & info.far)
    is_scaled = scale_scores(ax, near, metric, _direction(metric, info.objective, info.direction))
    if not beyond or not len(near):
        return
    if not is_scaled:
        margin = 0.06 * (float(np.ptp(near)) or 1.0)
        ax.set_ylim(float(near.min()) - margin, float(near.max()) + margin)
    ax.set_title(f"{plural(beyond, 'curve')} beyond", loc="left", fontsize=7.5, fontweight="normal")


def _direction(metric: str, objective: str, direction: str) -> str:
    """Returns whether more of a metric is better; of one that is not known less is."""
    if metric == objective.removeprefix("val_"):
        return direction
    return "max" if is_proportion(metric) else "min"


def _legend(ax: Axes, info: Info, shades: dict[str, str]) -> None:
    handles = [Line2D([], [], color=shades[t], label=f"trial {t}") for t in info.best]
    if info.worst:
        names = f"the worst {len(info.worst)}" if len(info.worst) > 1 else "the worst"
        handles.append(Line2D([], [], color=style.GREY, label=names))
    if info.pruned:
        label = "stopped early"
        handles.append(Line2D([], [], color=style.GREY, lw=0.8, marker="x", ms=4, label=label))
    handles.append(Line2D([], [], color=style.INK, linestyle="-", label="validation"))
    handles.append(Line2D([], [], color=style.INK, linestyle=":", label="training"))
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7.5)
