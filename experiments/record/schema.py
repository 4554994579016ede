"""The format of study folders: which this version reads, and what it says of newer ones."""

from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.reading import as_number, clean

FORMAT = 1  # raised when what an older version would do to a newer study is wrong


def check_format(record: dict[str, Any], folder: Path) -> None:
    """Checks that a study was not written by a newer version.

    Args:
        record: The content of `study.json`.
        folder: The study folder.

    Raises:
        UserError: It was; older versions know neither its options nor its files.
    """
    if as_number(record.get("format")) > FORMAT:
        raise UserError(
            f"study {folder.name!r} was written by a newer version of this suite (format "
            f"{clean(record['format'], 20)}, this one knows {FORMAT}): update "
            "keras-tuner-experiments; nothing was changed"
        )
