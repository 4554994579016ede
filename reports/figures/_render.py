"""Figures as SVG: one rendering serves the page, the file beside it, and highlighting."""

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from experiments.record.errors import UserError, named_line
from experiments.record.reading import clean
from reports.figures import _style as style

# A record that no check foresaw fails one figure alone, which says so.
FAILURES = (
    UserError, ValueError, TypeError, KeyError, IndexError, ArithmeticError, AttributeError,
)  # fmt: skip
_RASTER_DPI = 144
_INK = {
    style.INK: "var(--ink)",
    style.SOFT: "var(--soft)",
    style.EDGE: "var(--edge)",
    style.GRID: "var(--grid)",
    style.PAPER: "var(--paper)",
    style.BLUE: "var(--blue)",
    style.RED: "var(--red)",
}
_COLOR = re.compile("|".join(_INK))
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_GROUP_ID = re.compile(r' id="(?!m[0-9a-f]{10}|p[0-9a-f]{10})[^"]*"')


@dataclass(frozen=True)
class Picture:
    """A rendered figure.

    Args:
        name: Its module's name.
        title: Its heading.
        finding: One sentence on what it shows, or on why it can't be drawn.
        svg: The SVG as a file; `None` where there is nothing to draw.
        marks: Where each trial is drawn, in units of the SVG: `[number, x, y, x, y, ...]`.
    """

    name: str
    title: str
    finding: str
    svg: str | None = None
    marks: tuple[list[Any], ...] = ()

    @property
    def inline(self) -> str:
        """The SVG for the page: without prologue and ids, in colours of the page."""
        text = _PROLOGUE.sub("", self.svg or "", count=1)
        text = _GROUP_ID.sub("", _METADATA.sub("", text))
        text = _COLOR.sub(lambda match: _INK[match[0]], text)
        return text.replace("<svg ", '<svg role="img" aria-hidden="true" ', 1)


def picture(subject: object, name: str, module: Any) -> Picture:
    """Computes and draws one figure; if the record does not allow it, its finding says so.

    Args:
        subject: The study, or the comparison, that the figure shows.
        name: The figure's name.
        module: A figure, see `reports.figures`.
    """
    try:
        info = module.info(subject)
        if isinstance(info, str):
            return Picture(name, module.TITLE, info)
        svg, marks = render(name, module, info)
        return Picture(name, module.TITLE, module.finding(info), svg, marks)
    except FAILURES as error:
        return Picture(name, module.TITLE, why(error))


def why(error: Exception) -> str:
    """Returns a sentence on one of `FAILURES`."""
    if isinstance(error, UserError):
        return str(error)
    said = clean(named_line(error, 200)).rstrip(": ")
    return f"This figure can't be made of this record ({said})."


def render(name: str, module: Any, info: object) -> tuple[str, tuple[list[Any], ...]]:
    """Draws a figure and returns its SVG and its marks."""
    with style.look(name), warnings.catch_warnings():
        # What scripts the built-in font lacks, the browser has; extreme numbers look as they look.
        warnings.simplefilter("ignore")
        # `print_svg` alone draws once; `savefig` would draw twice to lay out. It ends at 72 dpi.
        figure = Figure(
            figsize=(style.WIDTH, module.height(info)), dpi=_RASTER_DPI,
            layout=getattr(module, "LAYOUT", "constrained"),
        )  # fmt: skip
        canvas = FigureCanvasSVG(figure)
        module.draw(info, figure.add_subplot())
        buffer = io.StringIO()
        canvas.print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata={"Date": None, "Creator": None}
        )
    return buffer.getvalue(), tuple(_marks(figure))


def _marks(figure: Figure) -> list[list[Any]]:
    height = figure.get_size_inches()[1] * 72
    marks: list[list[Any]] = []
    for track in style.tracks(figure):
        x = np.atleast_2d(np.asarray(track.x, dtype=float).T).T
        y = np.atleast_2d(np.asarray(track.y, dtype=float).T).T
        with np.errstate(all="ignore"):
            places = track.ax.transData.transform(np.stack([x.ravel(), y.ravel()], axis=1))
        places = places.reshape(*x.shape, 2)
        for trial, points in zip(track.numbers, places, strict=True):
            known = points[np.isfinite(points).all(axis=1) & (np.abs(points) < 1e5).all(axis=1)]
            if len(known):
                flat = np.stack([known[:, 0], height - known[:, 1]], axis=1).round().astype(int)
                marks.append([trial, *flat.ravel().tolist()])
    return marks
