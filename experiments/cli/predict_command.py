"""The command `predict`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from experiments.cli.options import complete_studies, runs_dir_option, space_option
from experiments.process.output import complain, echo, printable
from experiments.process.quiet import import_keras_quietly
from experiments.record.errors import UserError
from experiments.record.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Callable

_STDOUT = "-"


@click.command()
@runs_dir_option
@click.argument("study", metavar="STUDY|MODEL", shell_complete=complete_studies)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE|FOLDER...", type=click.Path())
@space_option
@click.option("--csv", "csv_path", type=click.Path(), help="all probabilities to a file; - prints")
@click.option("--json", "json_path", type=click.Path(), help="the same as JSON; - prints")
def predict(
    study: str,
    images: tuple[str, ...],
    csv_path: str | None,
    json_path: str | None,
    space: str | None,
    runs_dir: str,
) -> None:
    """Predict the classes of images with STUDY's best model, or a MODEL file.

    Images are prepared as in training. An image that can't be read is named, and the others are
    predicted.
    """
    if csv_path is not None and json_path is not None:
        raise UserError("--csv and --json are both given: choose one")
    from experiments.studies import prediction_text as text
    from experiments.studies.predict import find_model, read_images
    from experiments.studies.predict import predict as run

    model = find_model(study, runs_dir, space)
    left_out = 0

    def unusable(path: Path, reason: str) -> None:
        nonlocal left_out
        left_out += 1
        complain(f"{printable(str(path), one_line=True)}: not predicted ({reason})")

    out = csv_path if csv_path is not None else json_path
    lines = text.csv_lines if csv_path else text.json_lines if json_path else text.table_lines
    if out not in (None, _STDOUT) and Path(str(out)).exists():
        raise UserError(f"{out!r} exists already: choose another file, or remove it")
    opened = read_images([Path(path) for path in images], unusable)
    import_keras_quietly()
    found = run(model, opened)
    if found.note:
        complain(found.note)
    with _writing(out) as write:
        for line in lines(found):
            write(line)
    if out not in (None, _STDOUT):
        echo(out)
    if left_out:
        complain(f"{plural(left_out, 'image')} could not be predicted")


@contextmanager
def _writing(out: str | None) -> "Iterator[Callable[[str], None]]":
    """Yields what writes a line: to the terminal, or to a file that is kept if all goes well."""
    from experiments.record.files import atomic

    if out in (None, _STDOUT):
        yield echo
        return
    with atomic(Path(str(out))) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield lambda line: print(line, file=file)
