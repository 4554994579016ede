"""Commands that read studies: report, reproduce, export, measure."""

from pathlib import Path

import click

from experiments.cli.options import data_options, study_command
from experiments.process.output import echo
from experiments.process.quiet import import_keras_quietly
from experiments.record.errors import UserError
from experiments.record.objective import LATENCY

_DISAGREES = 1


@study_command
@click.option(
    "--next", "next_file", type=click.Path(dir_okay=False), metavar="FILE.toml",
    help="write the search that the health section advises, instead of the report",
)  # fmt: skip
@click.option("--png", is_flag=True, help="write the figures as PNG too, not as SVG alone")
def report(study: str, next_file: str | None, png: bool, runs_dir: str) -> None:
    """Write the report of STUDY (a name, or a folder) and print its path."""
    from reports import load_study, write_report

    if next_file is None:
        echo(write_report(study, runs_dir))
        if png:
            from reports.figures._png import write_pngs

            write_pngs(study, runs_dir)
        return
    from experiments.studies.next_search import write_next

    path = write_next(load_study(study, runs_dir), next_file)
    echo(f"{path}: run it with `experiments search --config {path}`")


@study_command
@click.argument("trial")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=0.005, show_default=True,
    help="difference of the objective in any epoch that counts as agreement",
)  # fmt: skip
@data_options
@click.option(
    "--space", metavar="FILE.py[:NAME]",
    help="where the study's own model is, if not at its recorded place; its code is run",
)  # fmt: skip
def reproduce(study: str, trial: str, tolerance: float, runs_dir: str, **places: str | None) -> int:
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
def export(study: str, to: str | None, model: str | None, out: str | None, runs_dir: str) -> None:
    """Export STUDY, or its best model, to what other programs open."""
    from experiments.record.files import check_own
    from experiments.record.layout import RECORD
    from experiments.studies.export_study import export_study, export_to_address
    from reports import load_study

    if (to is None) == (model is None):
        raise UserError("say what to export: --to FORMAT, or --model FORMAT")
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
    difference = export_model(loaded, str(model), place)
    echo(f"{place}: predicts as Keras does (largest difference {difference:.1e})")


@study_command
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="best trials")
@data_options
def measure(study: str, top: int, runs_dir: str, **places: str | None) -> None:
    """Measure FLOPs and latency of the best trials of STUDY, for its report."""
    from experiments.record.files import check_writable
    from reports import load_study, write_report

    loaded = load_study(study, runs_dir)
    check_writable(loaded.folder)
    import_keras_quietly()
    from experiments.studies.measure import measure as run
    from experiments.studies.reopen import open_study

    run(open_study(loaded, **places), top, echo)
    total = len(loaded.completed)
    if top < total and LATENCY in [objective.name for objective in loaded.objectives]:
        echo(
            f"{LATENCY} is an objective: the report keeps those of the search until all "
            f"{total} completed trials are measured anew (--top {total})"
        )
    echo(f"report: {write_report(study, runs_dir)}")
