"""`python -m reports STUDY [--runs-dir runs]`: writes a study's report."""

import sys

import click

from experiments.record.errors import UserError
from reports.page.report import write_report


@click.command()
@click.argument("study")
@click.option("--runs-dir", default="runs", show_default=True, help="folder that holds studies")
def report(study: str, runs_dir: str) -> None:
    """Write the report of STUDY (a name, or a folder) and print its path."""
    try:
        click.echo(write_report(study, runs_dir))
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    report(prog_name="python -m reports")
