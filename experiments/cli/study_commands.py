"""Commands on recorded studies: resume, status, free-disk."""

import time
from collections.abc import Callable
from typing import Any

import click

from experiments.cli.options import parse_options, search_options
from experiments.process.output import echo
from experiments.record.errors import UserError

_WATCH_SECONDS = 1.0


def add_commands(
    main: click.Group,
    *,
    show_result: Callable[..., int],
    complete_studies: Callable[..., Any],
    runs_dir: Callable[..., Any],
) -> None:
    """Adds the commands to `main`.

    Args:
        main: The command line.
        show_result: Prints the result of a search, and returns the exit code.
        complete_studies: Completes names of studies.
        runs_dir: Decorator that gives a command the option `--runs-dir`.
    """
    study = click.argument("study", shell_complete=complete_studies)

    @main.command()
    @study
    @search_options
    @click.option(
        "--space", metavar="FILE.py[:NAME]",
        help="where the study's own model is, if not at its recorded place",
    )  # fmt: skip
    @click.option(
        "--accept-changed-source", is_flag=True,
        help="take a model's file that has changed, if its hyperparameters still fit",
    )  # fmt: skip
    def resume(study: str, quiet: bool, accept_changed_source: bool, **options: Any) -> int:
        """Resume STUDY after an interruption, or extend it, for example with more --max-trials.

        Options are those of search; what would change space, data, objective or method is refused.
        Of a study of your own model, this runs the code of its file.
        """
        changes = parse_options(**options)
        changes.pop("name", None)
        runs = changes.pop("runs_dir", "runs")
        return _resume(study, runs, changes, quiet, show_result, accept_changed_source)

    @main.command()
    @study
    @runs_dir
    @click.option("--watch", is_flag=True, help="show it again every second until it has ended")
    def status(study: str, runs_dir: str, watch: bool) -> None:
        """Show what STUDY is at; safe while it runs."""
        _status(study, runs_dir, watch)

    @main.command("free-disk")
    @study
    @runs_dir
    @click.option("--keep", default=1, show_default=True, help="best trials whose weights stay")
    def free_disk(study: str, runs_dir: str, keep: int) -> None:
        """Free the disk of STUDY's weights; scores, histories and best_model.keras stay."""
        _free_disk(study, runs_dir, keep)


def _resume(
    study: str,
    runs: str,
    changes: dict[str, Any],
    quiet: bool,
    show_result: Callable[..., int],
    accept_changed_source: bool,
) -> int:
    from experiments.process.quiet import import_keras_quietly
    from experiments.record.study import find_study

    find_study(study, runs)
    from experiments.display import make_display
    from experiments.search.resuming import resume_search

    display = make_display(quiet)
    with display:
        result = resume_search(
            study, runs, changes, display, import_keras_quietly, accept_changed_source
        )
    return show_result(result, quiet)


def _status(study: str, runs: str, watch: bool) -> None:
    from experiments.record.lock import is_running
    from experiments.record.study import find_study
    from experiments.studies.status import status_text

    folder = find_study(study, runs)
    echo(status_text(folder))
    while watch and is_running(folder) is not False:
        time.sleep(_WATCH_SECONDS)
        text = status_text(folder)
        click.clear()
        echo(text)


def _free_disk(study: str, runs: str, keep: int) -> None:
    from experiments.record.formatting import plural
    from experiments.record.layout import StudyFolder
    from experiments.record.lock import FREED, locked
    from experiments.record.reading import as_dict, read_json
    from experiments.record.schema import check_format
    from experiments.record.study import find_study
    from experiments.studies.free_disk import free_disk

    if keep < 0:
        raise UserError(f"--keep should be 0 or more; got {keep}")
    folder = find_study(study, runs)
    # Checked before a lock file is created there.
    check_format(as_dict(read_json(StudyFolder(folder).record)), folder)
    with locked(folder, FREED):
        removed, size = free_disk(folder, keep)
    echo(f"removed {plural(removed, 'file')}, {size / 1e6:.1f} MB")
