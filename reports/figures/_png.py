"""Figures as PNG, for slides and documents that take no SVG."""

import warnings
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.record.errors import UserError
from experiments.record.files import atomic
from reports.figures import _style as style
from reports.figures import figures
from reports.study.load import load_study
from reports.study.study import Study

_DPI = 160


def write_pngs(study: Study | str | Path, runs_dir: str | Path = "runs") -> list[Path]:
    """Writes every figure that can be drawn into `report/figures/` of the study folder.

    Args:
        study: A loaded study, its name, or its folder.
        runs_dir: Folder that holds studies.

    Returns:
        The files.

    Raises:
        UserError: There is no such study, or its record does not allow a figure.
    """
    if not isinstance(study, Study):
        study = load_study(study, runs_dir)
    folder = study.files.report / "figures"
    return [
        path
        for name in figures()
        if (path := _write(study, name, folder / f"{name}.png")) is not None
    ]


def _write(study: Study, name: str, path: Path) -> Path | None:
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
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError) as error:
        raise UserError(
            f"figure {name!r} can't be made of study {study.name!r} ({type(error).__name__})"
        ) from None
    return path
