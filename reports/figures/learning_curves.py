"""Loss and accuracy by epoch of the best trials."""

from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 20, False
TITLE = "Learning curves"
QUESTION = "Do the best trials still learn at their end, and do they overfit?"
NUM_TRIALS = 5
METRICS = ("loss", "accuracy")

Curve = tuple[tuple[int, ...], tuple[float, ...]]  # epochs, values


@dataclass(frozen=True)
class Info:
    """Curves of the best trials, first execution: (trial, metric) -> curve."""

    trials: tuple[str, ...]
    curves: dict[tuple[str, str], Curve]
    num_trials: int


def info(study: Study) -> Info | str:
    """Collects the curves of the best trials."""
    best = [str(t) for t in study.completed["trial_id"].head(NUM_TRIALS)]
    if study.epochs.empty or not best:
        return "No epochs are recorded."
    curves: dict[tuple[str, str], Curve] = {}
    first = study.epochs[study.epochs["execution"] == 0]
    for trial in best:
        rows = first[first["trial_id"] == trial]
        for metric in (p + m for m in METRICS for p in ("", "val_")):
            if metric in rows and rows[metric].notna().any():
                epochs = tuple(int(e) for e in rows["epoch"])
                curves[trial, metric] = epochs, tuple(float(v) for v in rows[metric])
    return Info(tuple(best), curves, len(study.completed))


def draw(info: Info) -> Figure:
    """Draws validation as solid lines and training as dotted ones."""
    figure, axes = style.subplots(1, 2, 3.6)
    for ax, metric in zip(axes[0], METRICS, strict=True):
        for index, trial in enumerate(info.trials):
            for name, line in ((metric, ":"), (f"val_{metric}", "-")):
                if (trial, name) in info.curves:
                    x, y = info.curves[trial, name]
                    ax.plot(x, y, line, color=style.PALETTE[index], marker=".", linewidth=1.6)
        ax.set_xlabel("epoch")
        ax.set_ylabel(metric)
        style.whole_numbers(ax)
        style.count_note(ax, len(info.trials), f"best of {info.num_trials} trials")
    handles = [
        Line2D([], [], color=style.PALETTE[index], label=f"trial {trial}")
        for index, trial in enumerate(info.trials)
    ]
    handles.append(Line2D([], [], color="0.3", linestyle="-", label="validation"))
    handles.append(Line2D([], [], color="0.3", linestyle=":", label="training"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 7))
    return figure
