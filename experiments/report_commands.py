"""Commands that read studies: report, compare, reproduce, export, measure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from experiments.errors import UserError
from experiments.objective import LATENCY
from experiments.output import echo
from experiments.quiet import import_keras_quietly

_DISAGREES = 1


def add_report_commands(
    main: click.Group,
    kind: type[click.Command],
    runs_dir: Callable[..., Any],
    complete_studies: Callable[..., Any],
) -> None:
    """Registers the commands of this file with `main`.

    Args:
        main: The group of all commands.
        kind: Class of a command, which refuses bad input in one line.
        runs_dir: The option `--runs-dir`.
        complete_studies: Completes the names of studies.
    """
    for function in (report, compare, reproduce, export, measure):
        command = click.command(cls=kind)(runs_dir(function))
        for parameter in command.params:
            if isinstance(parameter, click.Argument) and parameter.name in ("study", "studies"):
                parameter._custom_shell_complete = complete_studies
        main.add_command(command)


_data_dir = click.option("--data-dir", type=click.Path(), help="folder of tensorflow-datasets")
_cache_dir = click.option("--cache-dir", type=click.Path(), help="folder of prepared arrays")


@click.argument("study")
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
            from reports.png import write_pngs

            write_pngs(study, runs_dir)
        return
    from reports.next_search import write_next

    path = write_next(load_study(study, runs_dir), next_file)
    echo(f"{path}: run it with `experiments search --config {path}`")


@click.argument("studies", nargs=-1, required=True)
@click.option("--by", metavar="NAME", help="compare the values of a hyperparameter in one study")
@click.option("--default", "default", is_flag=True, help="compare the best with the default")
@click.option(
    "--seeds", type=click.IntRange(1), help="train each arm's best over so many seeds, and test it"
)
@click.option(
    "--allow-different-splits", is_flag=True, help="compare although other images were seen"
)
@click.option("--out", type=click.Path(file_okay=False), help="folder of the page")
@_data_dir
@_cache_dir
def compare(
    studies: tuple[str, ...],
    by: str | None,
    default: bool,
    seeds: int | None,
    runs_dir: str,
    **options: Any,
) -> None:
    """Compare STUDIES on test, or the values of one hyperparameter in one study."""
    from reports import load_study
    from reports.compare import compare as decide
    from reports.compare import write_comparison
    from reports.compare.page import comparison_text

    allow, out = options["allow_different_splits"], options["out"]
    loaded = [load_study(study, runs_dir) for study in studies]
    arms = _arms(loaded, by, default, allow)
    if seeds is not None:
        _confirm(arms, seeds, options)
        loaded = [load_study(study, runs_dir) for study in studies]
        arms = _arms(loaded, by, default, allow)
    comparison = decide(arms, loaded[0].seed, _same_images(loaded))
    page = write_comparison(comparison, Path(out) if out else None)
    echo(comparison_text(comparison))
    echo(f"\ncomparison: {page}")


def _arms(studies: list[Any], by: str | None, default: bool, allow: bool) -> list[Any]:
    from reports.compare import arms_by, arms_of_default, arms_of_studies

    if by is not None and default:
        raise UserError("--by and --default ask for different arms: give one of them")
    if (by is not None or default) and len(studies) > 1:
        raise UserError(f"{'--by' if by else '--default'} compares within one study; name one")
    if by is not None:
        return arms_by(studies[0], by)
    return arms_of_default(studies[0]) if default else arms_of_studies(studies, allow)


def _same_images(studies: list[Any]) -> bool:
    from reports.compare.arms import fingerprint

    prints = {fingerprint(study) for study in studies}
    return len(studies) == 1 or (len(prints) == 1 and None not in prints)


def _confirm(arms: list[Any], seeds: int, options: dict[str, Any]) -> None:
    import_keras_quietly()
    from experiments.confirming import confirm_trial
    from experiments.rerun import open_study

    opened: dict[Path, Any] = {}
    for arm in arms:
        folder = arm.study.folder
        if folder not in opened:
            opened[folder] = open_study(arm.study, options["data_dir"], options["cache_dir"])
        if arm.trial_id is None:
            raise UserError(f"{arm.name} has no completed trial: there is nothing to confirm")
        confirm_trial(opened[folder], arm.trial_id, seeds, echo)


@click.argument("study")
@click.argument("trial")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=0.005, show_default=True,
    help="difference of the objective in any epoch that counts as agreement",
)  # fmt: skip
@_data_dir
@_cache_dir
def reproduce(
    study: str,
    trial: str,
    tolerance: float,
    data_dir: str | None,
    cache_dir: str | None,
    runs_dir: str,
) -> int:
    """Train TRIAL of STUDY again as recorded, and say whether it agrees."""
    from reports import load_study

    loaded = load_study(study, runs_dir)
    loaded.trial(trial)
    import_keras_quietly()
    from experiments.reproduce import reproduce as again
    from experiments.rerun import open_study

    answer = again(open_study(loaded, data_dir, cache_dir), trial, tolerance)
    echo(answer.text)
    return 0 if answer.agrees else _DISAGREES


@click.argument("study")
@click.option("--to", help="optuna, tensorboard, csv or json")
@click.option("--model", help="the best model as saved_model, tflite or onnx")
@click.option("--out", type=click.Path(), help="where to  [default: beside the study's report]")
def export(study: str, to: str | None, model: str | None, out: str | None, runs_dir: str) -> None:
    """Export STUDY, or its best model, to what other programs open."""
    from experiments.export import export_study
    from reports import load_study

    if (to is None) == (model is None):
        raise UserError("say what to export: --to FORMAT, or --model FORMAT")
    loaded = load_study(study, runs_dir)
    if to is not None:
        names = {"optuna": "optuna.db", "json": "study.json"}
        place = Path(out) if out else loaded.folder / "export" / names.get(to, to)
        if to == "tensorboard":
            import_keras_quietly()  # TensorBoard imports TensorFlow where it is installed
        echo(export_study(loaded, to, place))
        return
    import_keras_quietly()
    from experiments.export_model import export_model

    suffix = {"tflite": ".tflite", "onnx": ".onnx"}.get(str(model), "")
    place = Path(out) if out else loaded.folder / "export" / f"model{suffix or '_saved'}"
    difference = export_model(loaded, str(model), place)
    echo(f"{place}: predicts as Keras does (largest difference {difference:.1e})")


@click.argument("study")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="best trials")
@_data_dir
@_cache_dir
def measure(
    study: str, top: int, data_dir: str | None, cache_dir: str | None, runs_dir: str
) -> None:
    """Measure FLOPs and latency of the best trials of STUDY, for its report."""
    from reports import load_study, write_report

    loaded = load_study(study, runs_dir)
    import_keras_quietly()
    from experiments.measure import measure as run
    from experiments.rerun import open_study

    run(open_study(loaded, data_dir, cache_dir), top, echo)
    total = len(loaded.completed)
    if top < total and LATENCY in [objective.name for objective in loaded.objectives]:
        echo(
            f"{LATENCY} is an objective: the report goes on with those of the search until all "
            f"{total} completed trials are measured anew (--top {total})"
        )
    echo(f"report: {write_report(study, runs_dir)}")
