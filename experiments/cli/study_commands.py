"""Commands on recorded studies: status, free-disk."""

import time

import click

from experiments.cli.options import study_command
from experiments.process.output import echo
from experiments.record.errors import UserError

_WATCH_SECONDS = 1.0


@study_command
@click.option("--watch", is_flag=True, help="show it again every second until it has ended")
def status(study: str, runs_dir: str, watch: bool) -> None:
    """Show what STUDY is at; safe while it runs."""
    from experiments.record.lock import is_running
    from experiments.record.study import find_study
    from experiments.studies.status import status_text

    folder = find_study(study, runs_dir)
    echo(status_text(folder))
    while watch and is_running(folder) is not False:
        time.sleep(_WATCH_SECONDS)
        text = status_text(folder)
        click.clear()
        echo(text)


@study_command
@click.option("--keep", default=1, show_default=True, help="best trials whose weights stay")
def free_disk(study: str, runs_dir: str, keep: int) -> None:
    """Free the disk of STUDY's weights; scores, histories and best_model.keras stay."""
    from experiments.record.formatting import plural
    from experiments.record.layout import StudyFolder
    from experiments.record.lock import FREED, locked
    from experiments.record.reading import as_dict, read_json
    from experiments.record.schema import check_format
    from experiments.record.study import find_study
    from experiments.studies.free_disk import free_disk as free

    if keep < 0:
        raise UserError(f"--keep should be 0 or more; got {keep}")
    folder = find_study(study, runs_dir)
    # Checked before a lock file is created there.
    record = StudyFolder(folder).record
    if not record.is_file():
        raise UserError(
            f"{str(folder)!r} has no study.json: free-disk knows only which weights a study of "
            "this suite can do without; nothing was removed"
        )
    check_format(as_dict(read_json(record)), folder)
    with locked(folder, FREED):
        removed, size = free(folder, keep)
    echo(f"removed {plural(removed, 'file')}, {size / 1e6:.1f} MB")
