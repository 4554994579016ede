"""Figures as PNG, for slides and documents that take no SVG."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.record.files import atomic
from reports.figures import _style as style
from reports.figures import figures
from reports.figures._render import FAILURES, why
from reports.study.load import load_study
from reports.study.study import Study

_DPI = 160


def write_pngs(
    study: Study | str | Path,
    runs_dir: str | Path = "runs",
    complain: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Writes every figure that can be drawn into `report/figures/` of the study folder.

    Args:
        study: A loaded study, its name, or its folder.
        runs_dir: Folder that holds studies.
        complain: Is given a line for each figure that failed.

    Returns:
        The files.

    Raises:
        UserError: There is no such study.
    """
    if not isinstance(study, Study):
        study = load_study(study, runs_dir)
    folder = study.files.report / "figures"
    return [
        path
        for name in figures()
        if (path := _write(study, name, folder / f"{name}.png", complain)) is not None
    ]


def _write(study: Study, name: str, path: Path, complain: Callable[[str], None]) -> Path | None:
    module = figures()[name]
    try:
        info = module.info(study)
        if isinstance(info, str):
            return None
        with style.look(name), warnings.catch_warnings(), atomic(path) as temporary:
            warnings.simplefilter("ignore")  # as in `render`
            layout: Any = getattr(module, "LAYOUT", "constrained")
            figure = Figure((style.WIDTH, module.height(info)), dpi=_DPI, layout=layout)
            FigureCanvasAgg(figure)
            module.draw(info, figure.add_subplot())
            figure.savefig(temporary, format="png", metadata={"Software": None})
    except FAILURES as error:
        complain(f"{name}.png: {why(error)}")
        return None
    return path
