"""What all figures share: a colour-blind-safe look, axes in their scale, marks to highlight."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from experiments.record.formatting import compact, format_number, shortened, words

WIDTH = 8.4  # inches
# Colours that the page replaces by its own in dark mode; see page.css.
INK, SOFT, EDGE, GRID, PAPER = "#1c2430", "#5b6675", "#b6bec8", "#e4e8ed", "#fdfefe"
BLUE, ORANGE, GREEN, RED, PURPLE = "#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"
GREY = "#949aa3"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, "#ca9161", "#56b4e9")  # seaborn's colorblind, no red
# Colours alone do not tell curves apart for everybody. As many markers as colours would repeat both
# at once.
MARKERS = "os^vPXp"
MANY = 600  # points; as many or more are drawn as pixels

_RC = {
    **sns.axes_style("whitegrid"),
    "patch.force_edgecolor": False,
    "patch.edgecolor": "none",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.facecolor": PAPER,  # readable on top of points, too
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",  # text stays text: smaller, selectable, any script
    "font.family": "DejaVu Sans",
    "figure.dpi": 72,  # the unit of SVG
}


@dataclass(frozen=True)
class Track:
    """Where trials are drawn on an axes, so that the page can highlight one in every figure.

    Args:
        ax: The axes.
        numbers: `(n,)`, the trials' numbers.
        x: `(n,)` or `(n, points)`, in data coordinates.
        y: Likewise.
    """

    ax: Axes
    numbers: Sequence[int]
    x: object
    y: object


_tracks: WeakKeyDictionary[Any, list[Track]] = WeakKeyDictionary()  # figure -> its tracks


@contextmanager
def look(name: str) -> Iterator[None]:
    """Draws in the report's look; `name` makes the ids inside an SVG its own."""
    with mpl.rc_context(_RC | {"svg.hashsalt": name}):
        yield


def track(ax: Axes, numbers: Sequence[int], x: object, y: object) -> None:
    """Records where trials are drawn."""
    figure = ax.get_figure(root=True)
    _tracks.setdefault(figure, []).append(Track(ax, numbers, x, y))


def tracks(figure: Figure) -> list[Track]:
    """Returns the tracks of a figure."""
    return _tracks.get(figure, [])


def panels(
    ax: Axes, rows: int, columns: int, width_ratios: tuple[float, ...] | None = None, **options: Any
) -> Any:
    """Divides the place of `ax` into axes, `(rows, columns)`; `ax` itself is hidden."""
    ratios = {"width_ratios": width_ratios}
    ax.set_axis_off()
    figure, spec = ax.get_figure(), ax.get_subplotspec()
    assert figure is not None
    gaps = {"wspace": 0.3, "hspace": 0.6}
    if figure.get_layout_engine() is not None:  # it makes room for labels itself
        gaps = {"wspace": 0.06, "hspace": 0.06}
    if spec is None:
        box = ax.get_position()
        place = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
        grid: GridSpecBase = figure.add_gridspec(rows, columns, **place, **gaps, **ratios)
    else:
        grid = spec.subgridspec(rows, columns, **gaps, **ratios)
    return grid.subplots(squeeze=False, **options)


def grid(ax: Axes, count: int, columns: int) -> Any:
    """Makes an axes `count` panels in rows of `columns` that share their y axis; see `panels`."""
    axes = panels(ax, math.ceil(count / columns), columns, sharey=True)
    for beyond in axes.flat[count:]:
        beyond.set_visible(False)
    return axes


def marks(axes: Iterable[Axes]) -> dict[str, Any]:
    """Returns what is named on any of several axes, each name once, for a legend of them all."""
    known = [ax.get_legend_handles_labels() for ax in axes]
    return {name: mark for marks, names in known for mark, name in zip(marks, names, strict=True)}


def color_bar(ax: Axes, colors: ScalarMappable, text: str, **options: Any) -> None:
    """Says beside an axes what its colors mean."""
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(colors, ax=ax, **options)
    bar.set_label(text)
    bar.outline.set_visible(False)


def scatter(
    ax: Axes, numbers: Sequence[int], x: Any, y: Any, color: object = BLUE, **options: Any
) -> PathCollection:
    """Draws trials as points that can be highlighted; many are drawn as pixels."""
    many = len(numbers) > MANY
    track(ax, numbers, x, y)
    style = {"s": 7 if many else 24, "alpha": 0.4 if many else 0.75, "linewidths": 0}
    return ax.scatter(x, y, color=color, rasterized=many, **(style | options))


def circle(ax: Axes, x: float, y: float) -> None:
    """Marks the best trial."""
    ax.scatter([x], [y], s=85, facecolors="none", edgecolors=ORANGE, linewidths=2, zorder=5)


def is_numeric(hp: dict[str, Any]) -> bool:
    """Whether the hyperparameter is drawn on a number axis."""
    return hp.get("kind") in ("Int", "Float")


def is_log(hp: dict[str, Any]) -> bool:
    """Whether the hyperparameter was sampled in log scale."""
    return is_numeric(hp) and hp.get("sampling") == "log"


def scale_x(ax: Axes, hp: dict[str, Any], values: npt.ArrayLike) -> None:
    """Sets the x axis to the scale in which the hyperparameter was sampled."""
    if is_log(hp) and np.min(values) > 0:
        ratio = float(np.max(values)) / float(np.min(values))
        narrow = ratio < 100
        whole = hp.get("kind") == "Int"
        ax.set_xscale("log", base=2 if whole and narrow else 10)
        if ratio < 4:  # too narrow for two powers, or for two of 1, 2 and 5
            ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=whole))
        elif narrow and not whole:
            subs = (1.0, 2.0, 5.0) if ratio < 8 else (1.0, 3.0)
            ax.xaxis.set_major_locator(LogLocator(subs=subs))
        ax.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}" if narrow or whole else f"{value:.0e}")
        )
        ax.xaxis.set_minor_formatter(NullFormatter())
    elif hp.get("kind") == "Int":
        whole_numbers(ax)


def log_ticks(values: npt.NDArray[np.float64]) -> LogLocator:
    """Returns a logarithmic axis's ticks: 1, 2 and 5 of each decade, unless there are many."""
    wide = float(values.max()) > 300 * float(values.min())
    return LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0))


def whole_numbers(ax: Axes) -> None:
    """Keeps fractions off the x axis."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


class CompactFormatter(Formatter):
    """Ticks as `1.2 M`, with as many digits as it takes to tell them apart."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """One tick alone."""
        return compact(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """All ticks of an axis."""
        return distinct(values)


def distinct(values: Sequence[float]) -> list[str]:
    """Returns numbers as text like `compact`, with different texts for different numbers."""
    texts: list[str] = []
    for digits in range(3, 12):
        texts = [compact(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def compact_ticks(ruler: Axis) -> None:
    """Labels the ticks of an axis of large numbers."""
    ruler.set_major_formatter(CompactFormatter())


def note(ax: Axes, text: str) -> None:
    """Puts a note above the axes, to the right."""
    ax.set_title(text, loc="right", fontsize=8, fontweight="normal", color=SOFT)


def count_note(ax: Axes, count: int, what: str = "trials") -> None:
    """Says on the axes how many trials they show."""
    note(ax, f"n = {format_number(count)} {what}")


def labels(names: Sequence[str], limit: int = 26) -> list[str]:
    """Names of hyperparameters for axes that are drawn together."""
    return shortened([words(name) for name in names], limit)
