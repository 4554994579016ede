"""Best so far, by trial and by wall time."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from reports.figures import _style as style
from reports.load import Study

ORDER, RASTER = 10, False
TITLE = "Best so far"
QUESTION = "Was the search still getting better when it ended?"


@dataclass(frozen=True)
class Info:
    """Scores and running best of completed trials, in order of their end; failures apart."""

    objective: str
    numbers: tuple[int, ...]
    minutes: tuple[float, ...]  # missing times are NaN
    scores: tuple[float, ...]
    best: tuple[float, ...]
    failed_numbers: tuple[int, ...]


def info(study: Study) -> Info | str:
    """Collects the running best."""
    done = study.completed.sort_values(["ended", "number"], kind="stable")
    if done.empty:
        return "No trial was completed."
    running = done["score"].cummax() if study.direction == "max" else done["score"].cummin()
    start = study.record.get("started", study.trials["started"].min())
    return Info(
        objective=study.objective,
        numbers=tuple(int(n) for n in done["number"]),
        minutes=tuple(float(s) / 60 for s in done["ended"] - start),
        scores=tuple(float(s) for s in done["score"]),
        best=tuple(float(s) for s in running),
        failed_numbers=tuple(int(n) for n in study.failed["number"]),
    )


def draw(info: Info) -> Figure:
    """Draws scores as points and the best so far as steps."""
    figure, axes = style.subplots(1, 2, 3.1, sharey=True)
    panels = ((info.numbers, "trial"), (info.minutes, "minutes since the search began"))
    for ax, (x, label) in zip(axes[0], panels, strict=True):
        ax.step(x, info.best, where="post", color=style.BLUE, linewidth=2, label="best so far")
        ax.plot(x, info.scores, "o", color=style.GREY, markersize=5, label="a trial's score")
        ax.set_xlabel(label)
        style.count_note(ax, len(info.scores))
    low = axes[0][0].get_ylim()[0]
    if info.failed_numbers:
        axes[0][0].plot(
            info.failed_numbers,
            [low] * len(info.failed_numbers),
            "x",
            color=style.FAILED,
            label="failed",
            clip_on=False,
        )
    style.whole_numbers(axes[0][0])
    axes[0][0].set_ylabel(style.words(info.objective))
    axes[0][0].legend(loc="best")
    return figure
