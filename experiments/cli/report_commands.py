"""Commands that read studies: report, reproduce, export, measure."""

from pathlib import Path
from typing import Any

import click

from experiments.cli.options import (
    FiniteRange,
    complete_studies,
    data_options,
    model_options,
    runs_dir_option,
    space_option,
    study_command,
)
from experiments.process.output import complain, echo
from experiments.process.quiet import import_keras_quietly
from experiments.record.errors import UserError
from experiments.record.objective import LATENCY

_DISAGREES = 1


class _Seconds(FiniteRange):
    """Seconds of `--watch`, which takes what follows it for them."""

    def __init__(self) -> None:
        super().__init__(min=1, max=86_400)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            raise UserError(
                f"--watch: expected seconds from 1 on; got {value!r}; name the study before it: "
                "experiments report STUDY --watch"
            ) from None


@click.command()
@runs_dir_option
@click.argument("study", required=False, shell_complete=complete_studies)
@click.option(
    "--all", "every", is_flag=True,
    help="write index.html in the folder of studies instead: every study, its verdict, and links "
    "to the reports and comparisons that are there; it writes no report",
)  # fmt: skip
@click.option(
    "--watch", type=_Seconds(), is_flag=False, flag_value=10.0, metavar="[SECONDS]",
    help="keep the page current until the search has ended, looking every 10 s or as given; the "
    "open page follows",
)  # fmt: skip
@click.option(
    "--next", "next_file", type=click.Path(dir_okay=False), metavar="FILE.toml",
    help="write the search that the health section advises, instead of the report",
)  # fmt: skip
@click.option("--png", is_flag=True, help="write the figures as PNG too, not as SVG alone")
def report(
    study: str | None,
    every: bool,
    watch: float | None,
    next_file: str | None,
    png: bool,
    runs_dir: str,
) -> None:
    """Write the report of STUDY (a name, or a folder) and print its path."""
    if every and (study is not None or next_file is not None or png):
        raise UserError("--all is about all studies: leave out STUDY, --next and --png")
    if watch is not None and (next_file is not None or png):
        raise UserError("--watch keeps the page current: ask for --next or --png without it")
    if every or watch is not None:
        _pages(None if every else _named(study), watch, runs_dir)
    elif next_file is not None:
        _next(_named(study), next_file, runs_dir)
    else:
        _report(_named(study), png, runs_dir)


def _named(study: str | None) -> str:
    if study is None:
        raise UserError("which study? Name one, or give --all for the page of all studies")
    return study


def _pages(study: str | None, watch: float | None, runs_dir: str) -> None:
    """Writes the page of a study, or of all; keeps it current if `watch` is given."""
    from reports.page.following import FollowedRuns, FollowedStudy, follow
    from reports.page.overview import write_overview

    if watch is None:
        echo(write_overview(runs_dir))
        return
    page = FollowedRuns(runs_dir) if study is None else FollowedStudy(study, runs_dir)
    if not follow(page, watch, echo):
        complain("no search of it is running: the page was written once")


def _next(study: str, next_file: str, runs_dir: str) -> None:
    from experiments.studies.next_search import write_next
    from reports import load_study

    path = write_next(load_study(study, runs_dir), next_file)
    echo(f"{path}: run it with `experiments search --config {path}`")


def _report(study: str, png: bool, runs_dir: str) -> None:
    from reports import write_report

    echo(write_report(study, runs_dir))
    if png:
        from reports.figures._png import write_pngs

        write_pngs(study, runs_dir, complain)


@study_command
@click.argument("trial")
@click.option(
    "--tolerance", type=FiniteRange(0), default=0.005, show_default=True,
    help="difference of the objective in any epoch that counts as agreement",
)  # fmt: skip
@data_options
@space_option
def reproduce(study: str, trial: str, tolerance: float, runs_dir: str, **places: Any) -> int:
    """Train TRIAL of STUDY again as recorded, and say whether it agrees.

    Of a study of your own model, this runs the code of its file.
    """
    from reports import load_study

    loaded = load_study(study, runs_dir)
    loaded.trial(trial)
    import_keras_quietly()
    from experiments.studies.reopen import open_study
    from experiments.studies.reproduce import reproduce as again

    answer = again(open_study(loaded, **places), trial, tolerance)
    echo(answer.text)
    return 0 if answer.agrees else _DISAGREES


@study_command
@click.option("--to", help="optuna, tensorboard, mlflow, csv or json")
@click.option("--model", help="the best model as saved_model, tflite or onnx")
@click.option(
    "--out", type=click.Path(), metavar="PATH",
    help="where to; for mlflow, the address of a server too  [default: in the study's folder]",
)  # fmt: skip
@space_option
def export(
    study: str,
    to: str | None,
    model: str | None,
    out: str | None,
    space: str | None,
    runs_dir: str,
) -> None:
    """Export STUDY, or its best model, to what other programs open."""
    from experiments.record.files import check_own
    from experiments.record.layout import RECORD
    from experiments.record.passwords import hidden
    from experiments.studies.export_study import export_study, export_to_address
    from reports import load_study

    if (to is None) == (model is None):
        raise UserError("say what to export: --to FORMAT, or --model FORMAT")
    if model is not None and out and "://" in out:
        raise UserError(f"--out {hidden(out)} is no path: --model takes a path")
    loaded = load_study(study, runs_dir)
    exports = loaded.files.exports
    if out is None:
        check_own(loaded.folder)
    if to is not None:
        names = {"optuna": "optuna.db", "json": RECORD}
        if out and "://" in out:
            echo(export_to_address(loaded, to, out))
            return
        place = Path(out) if out else exports / names.get(to, to)
        if to == "tensorboard":
            import_keras_quietly()  # TensorBoard imports TensorFlow where it is installed
        echo(export_study(loaded, to, place))
        return
    import_keras_quietly()
    from experiments.studies.export_model import export_model

    suffix = {"tflite": ".tflite", "onnx": ".onnx"}.get(str(model), "")
    place = Path(out) if out else exports / f"model{suffix or '_saved'}"
    difference = export_model(loaded, str(model), place, space)
    echo(f"{place}: predicts as Keras does (largest difference {difference:.1e})")


@study_command
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="best trials")
@data_options
@model_options
def measure(study: str, top: int, runs_dir: str, **places: Any) -> None:
    """Measure FLOPs and latency of the best trials of STUDY, for its report.

    Of a study of your own model, this runs the code of its file.
    """
    from experiments.record.files import check_writable
    from reports import load_study, write_report

    loaded = load_study(study, runs_dir)
    check_writable(loaded.folder)
    import_keras_quietly()
    from experiments.studies.measure import measure as run
    from experiments.studies.reopen import open_study

    best = [str(trial_id) for trial_id in loaded.ranked["trial_id"].head(top)]
    run(open_study(loaded, **places), best, echo)
    total = len(loaded.completed)
    if top < total and LATENCY in [objective.name for objective in loaded.objectives]:
        echo(
            f"{LATENCY} is an objective: the report keeps those of the search until all "
            f"{total} completed trials are measured anew (--top {total})"
        )
    echo(f"report: {write_report(study, runs_dir)}")
