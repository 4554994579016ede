"""Where the workers' time went: seconds by step of all trials, and what kept features saved."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes

from experiments.record.formatting import duration, percent, plural
from reports.figures import _style as style
from reports.study.study import Study

SECTION, ORDER = "progress", 12
TITLE = "Where the time went"
# step of the record -> what the figure calls it; `evaluate` is a part of `fit`
_NAMES = {
    "features": "features",
    "clear": "building",
    "build": "building",
    "trace": "tracing",
    "fit": "training",
    "evaluate": "validation",
    "latency": "latency",
    "save": "saving",
}
_OTHER = "the rest"
_COLORS = {
    "features": style.PURPLE,
    "training": style.BLUE,
    "validation": style.GREEN,
    _OTHER: style.GREY,
}


@dataclass(frozen=True)
class Info:
    """Seconds of all trials together.

    Args:
        seconds: Step -> seconds, the longest first.
        num_trials: Trials whose steps are recorded.
        num_reused: Trials that trained on features that an earlier one had left.
        saved: Seconds that computing those features anew in each epoch would have taken, at the
            pace of the one time; 0 if that pace is not known.
    """

    seconds: Mapping[str, float]
    num_trials: int
    num_reused: int
    saved: float


def info(study: Study) -> Info | str:
    """Adds up the steps of all trials."""
    known = study.trials[[bool(steps) for steps in study.trials["step_seconds"]]]
    if known.empty:
        return "Seconds by step are not recorded."
    found: dict[str, float] = {}
    for steps, whole in zip(known["step_seconds"], known["seconds"], strict=True):
        for name, seconds in _parted(steps, whole).items():
            found[name] = found.get(name, 0.0) + seconds
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return Info(dict(ordered), len(known), *_reused(study))


def _parted(steps: Mapping[str, float], whole: float) -> dict[str, float]:
    """Returns seconds that add up to those of the trial."""
    parted: dict[str, float] = {}
    for step, seconds in steps.items():
        name = _NAMES.get(step, _OTHER)
        parted[name] = parted.get(name, 0.0) + seconds
    parted["training"] = max(0.0, parted.get("training", 0.0) - parted.get("validation", 0.0))
    rest = whole - sum(parted.values())
    parted[_OTHER] = parted.get(_OTHER, 0.0) + (0.0 if math.isnan(rest) else max(0.0, rest))
    return parted


def _reused(study: Study) -> tuple[int, float]:
    """Returns how many trials found their features, and the seconds that this has saved."""
    cost: dict[tuple[str, ...], float] = {}
    rows = [
        (tuple(parts), steps.get("features", 0.0), epochs)
        for parts, steps, epochs in zip(
            study.trials["kept_parts"],
            study.trials["step_seconds"],
            study.trials["epochs"],
            strict=True,
        )
        if parts
    ]
    for parts, seconds, _ in rows:
        cost[parts] = max(cost.get(parts, 0.0), seconds)
    reused = [row for row in rows if row[1] < cost[row[0]] / 2]
    # Each epoch is trained on one of the parts.
    saved = sum(
        cost[parts] * epochs / len(parts) - seconds
        for parts, seconds, epochs in rows
        if not math.isnan(epochs)
    )
    return len(reused), max(0.0, saved)


def finding(info: Info) -> str:
    """Says what took the most, and what kept features saved."""
    whole = sum(info.seconds.values())
    name, most = next(iter(info.seconds.items()))
    said = f"{plural(info.num_trials, 'trial')} took {duration(whole)} of the workers' time"
    said += f", {percent(most / whole)} of it for {name}." if whole > 0 else "."
    if info.num_reused and info.saved >= 1:
        said += (
            f" {plural(info.num_reused, 'trial')} trained on features that were there: computing "
            f"them anew in each epoch would have taken some {duration(info.saved)} more."
        )
    return said


def height(info: Info) -> float:
    """Inches."""
    return 1.1 + 0.26 * len(info.seconds)


def draw(info: Info, ax: Axes) -> Axes:
    """Draws a bar a step."""
    names, whole = list(info.seconds), sum(info.seconds.values()) or 1.0
    values = list(info.seconds.values())
    bars = ax.barh(range(len(names)), values, color=[_COLORS.get(n, style.ORANGE) for n in names])
    shown = [f"{duration(value)}, {percent(value / whole)}" for value in values]
    ax.bar_label(bars, shown, padding=4, fontsize=8)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlim(0, max(values) * 1.25 or 1.0)
    ax.set_xlabel("seconds of all workers")
    ax.grid(visible=False, axis="y")
    style.note(ax, f"n = {plural(info.num_trials, 'trial')}")
    return ax
