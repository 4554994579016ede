"""Of the model card: test scores, and where the exported model is wrong."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import between, listed, percent, plural, score, words
from experiments.record.predictions import Targets
from reports.analysis.numbers import numbers
from reports.analysis.predictions import class_names, confusion_counts, predictions
from reports.analysis.task import noun_of, task_of
from reports.analysis.verdict import estimate_of, verdict
from reports.page import tables
from reports.page.card_part import Part, Table, few_rows
from reports.statistics.estimates import wilson
from reports.study.study import Study

_MOST_CONFUSIONS = 5


def test_lines(study: Study) -> Iterator[str]:
    """Yields what the test scores are means of, and what their intervals cover."""
    answer = verdict(study)
    if not answer.tests:
        yield "It was not tested: nothing is known of its score on data that chose nothing."
        return
    test, rows = answer.tests[0][1], plural(answer.test_size or 0, f"test {noun_of(study)}")
    if not test.has_interval:
        yield f"{test.why_none.capitalize()} on {rows}: no interval."
        return
    yield f"Means over {plural(test.count, 'training')} of the same network on {rows}."


def test_scores(study: Study) -> Table:
    """Returns every test metric of the finalist whose model was exported."""
    finalist = next((f for f in study.finalists if f["runs"]), None)
    if finalist is None:
        return ()
    first = verdict(study).test_metric
    names = sorted({n for r in finalist["runs"] for n in r["test"]}, key=lambda n: (n != first, n))
    exported = finalist.get("exported_run")
    runs = finalist["runs"]
    own = runs[exported] if isinstance(exported, int) and 0 <= exported < len(runs) else None
    rows = []
    for name in names:
        found = estimate_of(study, finalist, name)
        if not np.isfinite(found.mean):
            continue
        interval = between(found.low, found.high) if found.has_interval else "none"
        scope = found.scope(noun_of(study)) if found.has_interval else ""
        of_own = "" if own is None else score(own["test"].get(name))
        rows.append((words(name), score(found.mean), interval, scope, of_own))
    headings = ("metric", "mean", "95 % interval", "it is", "the exported model")
    return (headings, *rows) if rows else ()


def errors_part(study: Study) -> Part:
    """Returns where the exported model is wrong on test: classes, labels or numbers."""
    task = task_of(study)
    if task is Targets.VALUES:
        found = numbers(study)
        rows = [] if isinstance(found, str) else tables.fit_rows(found)
        table = (tuple(rows[0]), *few_rows([tuple(row.values()) for row in rows])) if rows else ()
        return Part("Errors on test", ("Of the exported model.",) if rows else (), table)
    if task is Targets.LABELS:
        frame = tables.label_table(study)
        labels = [tuple(map(str, row)) for row in frame.to_numpy().tolist()]
        table = (tuple(map(str, frame.columns)), *few_rows(labels)) if labels else ()
        return Part("Labels on test", ("Of the exported model.",) if labels else (), table)
    said = predictions(study)
    if isinstance(said, str):
        return Part("Confusion on test")
    counts = confusion_counts(*said)
    names, noun = class_names(study, len(counts)), noun_of(study)
    return Part(
        "Confusion on test", tuple(_confusions(counts, names, noun)), _recalls(counts, names, noun)
    )


def _confusions(
    counts: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", names: list[str], noun: str
) -> Iterator[str]:
    wrong = counts - np.diag(np.diag(counts))
    total = plural(int(counts.sum()), f"test {noun}")
    yield f"The exported model classifies {int(wrong.sum()):,} of {total} wrongly."
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    pairs = [np.unravel_index(int(place), wrong.shape) for place in order]
    told = [
        f"{names[true]} taken for {names[said]} ({plural(int(wrong[true, said]), 'time')})"
        for true, said in pairs
        if wrong[true, said]
    ]
    if told:
        yield f"Most often: {listed(told)}."


def _recalls(counts: npt.NDArray[np.int64], names: list[str], noun: str) -> Table:
    """Returns a row a class, the one that is found least often first."""
    rows = []
    said = counts.sum(axis=0)
    for index, name in enumerate(names):
        right, total = int(counts[index, index]), int(counts[index].sum())
        if total:
            low, high = wilson(right, total)
            interval = f"{percent(low, 1)} to {percent(high, 1)}"
            precision = percent(right / said[index], 1) if said[index] else ""
            row = (name, f"{total:,}", percent(right / total, 1), interval, precision)
            rows.append((right / total, row))
    rows.sort(key=lambda pair: pair[0])
    headings = ("class", f"test {noun}s", "found (recall)", "95 % interval", "precision")
    return (headings, *few_rows([row for _, row in rows])) if rows else ()
