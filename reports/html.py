"""Writes the report: one self-contained HTML file, its figures and tables beside it."""

import base64
import io
import os
import shlex
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pandas as pd

from experiments.errors import UserError
from experiments.files import atomic
from reports import tables
from reports.load import Study, load_study


def write_report(study: Study | str | Path, runs_dir: str | Path = "runs") -> Path:
    """Writes `report/index.html` into the study folder.

    Args:
        study: A loaded study, its name, or its folder.
        runs_dir: Folder that holds studies.

    Returns:
        The path of the page.

    Raises:
        UserError: There is no such study, it can't be read, or its folder can't be written.
    """
    if not isinstance(study, Study):
        study = load_study(study, runs_dir)
    folder = study.folder / "report"
    _check_writable(study.folder)
    sections = [_section(study, name, module, folder) for name, module in _figures().items()]
    frames = {
        "best_trials": tables.best_trials(study),
        "all_trials": tables.all_trials(study),
        "failed_trials": tables.failed_trials(study),
        "finalists": tables.finalists(study),
        "layers": tables.layers(study),
    }
    for name, frame in {"trials": study.trials, "epochs": study.epochs, **frames}.items():
        _write_text(folder / f"{name}.csv", frame.to_csv(index=False))
    page = folder / "index.html"
    _write_text(page, _render(study, sections, frames))
    return page


def _figures() -> dict[str, ModuleType]:
    from reports.figures import figures

    return figures()


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"study folder {str(folder)!r} can't be written ({error.strerror}): the report goes "
            "there; copy the study to a folder of yours"
        ) from None


def _section(study: Study, name: str, module: ModuleType, folder: Path) -> dict[str, Any]:
    section = {"name": name, "title": module.TITLE, "question": module.QUESTION}
    info = module.info(study)
    if isinstance(info, str):
        return section | {"missing": info}
    import matplotlib.pyplot as plt

    figure = module.draw(info)
    try:
        png, svg = _rendered(figure, "png", dpi=160), _rendered(figure, "svg")
    finally:
        plt.close(figure)
    _write_bytes(folder / "figures" / f"{name}.png", png)
    _write_bytes(folder / "figures" / f"{name}.svg", svg)
    kind, data = ("png", png) if module.RASTER else ("svg+xml", svg)
    return section | {"picture": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}


def _rendered(figure: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else None  # the same data gives the same file
    figure.savefig(buffer, format=kind, metadata=metadata, **options)
    return buffer.getvalue()


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def _write_text(path: Path, content: str) -> None:
    _write_bytes(path, content.encode("utf-8"))


def _render(study: Study, sections: list[dict[str, Any]], frames: dict[str, pd.DataFrame]) -> str:
    from reports.summary import verdict

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = tables.number
    environment.filters["words"] = _words
    environment.filters["shell"] = shlex.join
    template = environment.get_template("report.html.jinja")
    return template.render(
        study=study,
        verdict=verdict(study),
        figures={section["name"]: section for section in sections},
        tables={name: frame.to_dict("split") for name, frame in frames.items()},
        outer_layers=[row for row in frames["layers"].to_numpy().tolist() if row[-1] == 0],
        tracebacks=study.failed[["trial_id", "traceback"]].dropna().to_dict("records"),
        seconds=_duration(study),
        model_path=_model_path(study),
        test_images=_test_size(study),
    )


def _words(name: str) -> str:
    from reports.figures._style import words

    return words(name)


def _duration(study: Study) -> float | None:
    if "ended" not in study.record:
        return None
    return float(study.record["ended"] - study.record["started"])


def _model_path(study: Study) -> str | None:
    path = study.folder / "best_model.keras"
    return os.path.relpath(path) if path.is_file() else None


def _test_size(study: Study) -> int | None:
    for finalist in study.finalists:
        for run in finalist["runs"]:
            return int(run["test_size"])
    return None
