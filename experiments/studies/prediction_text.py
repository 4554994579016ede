"""Predictions as lines of text: a table, CSV or JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.process.output import printable
from experiments.record.formatting import score, short
from experiments.studies.predict import Prediction, Predictions

_WIDEST = 30  # characters of a class name in the table


def table_lines(predictions: Predictions) -> Iterator[str]:
    """Yields a table: class, probability, runner-up; the image last, as it has any length."""
    names = [short(printable(n, one_line=True), _WIDEST) for n in predictions.class_names]
    width = max(len("runner-up"), *map(len, names))
    head = ("class", "probability", "runner-up", "probability", "image")
    yield _row(head, width)
    for row in predictions.rows:
        cells = [text for i in row.ranking for text in (names[i], score(row.probabilities[i]))]
        cells += [""] * (4 - len(cells))
        yield _row((*cells, _shown(row.path)), width)


def _row(cells: Sequence[str], width: int) -> str:
    widths = (width, 11, width, 11, 0)
    return "  ".join(f"{c:<{w}}" for c, w in zip(cells, widths, strict=True)).rstrip()


def csv_lines(predictions: Predictions) -> Iterator[str]:
    """Yields a line an image, after one of names: the table, and `p(NAME)` of each class."""
    names = predictions.class_names
    every = [f"p({name})" for name in names]
    yield _csv(["image", "class", "probability", "runner_up", *every])
    for row in predictions.rows:
        best, *others = row.ranking
        chances = _numbers(row)
        second = names[others[0]] if others else ""
        yield _csv([_shown(row.path), names[best], chances[best], second, *chances])


def _csv(cells: Sequence[object]) -> str:
    line = io.StringIO()
    texts = [printable(c, one_line=True) if isinstance(c, str) else c for c in cells]
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def json_lines(predictions: Predictions) -> Iterator[str]:
    """Yields an object: `classes`, and under `images` all probabilities in that order."""
    yield f'{{"classes": {json.dumps(list(predictions.class_names))},'
    yield '"images": ['
    names, before = predictions.class_names, ""
    for row in predictions.rows:
        if before:
            yield f"{before},"
        before = json.dumps(_entry(row, names))
    yield f"{before}]}}"


def _entry(row: Prediction, names: Sequence[str]) -> dict[str, object]:
    best, *others = row.ranking
    chances = _numbers(row)
    return {
        "image": _shown(row.path),
        "class": names[best],
        "probability": chances[best],
        "runner_up": names[others[0]] if others else None,
        "probabilities": chances,
    }


def _numbers(row: Prediction) -> list[float]:
    return [float(f"{p:.7g}") for p in row.probabilities]  # of float32, which has no more digits


def _shown(path: Path) -> str:
    return printable(str(path), one_line=True)
