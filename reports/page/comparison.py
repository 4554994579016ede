"""The page and the text of a comparison."""

import hashlib
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.record.errors import UserError
from experiments.record.files import nearest_there
from experiments.record.formatting import between, format_number, percent, plural, score
from reports.analysis.comparison.arms import Arm, without_classes
from reports.analysis.comparison.decide import Comparison, Pair
from reports.analysis.comparison.ledger import finding as ledger_finding
from reports.analysis.comparison.ledger import ledger, table
from reports.analysis.comparison.words import verdict
from reports.analysis.costs import costs_of_arms, costs_table, phone_sentence
from reports.figures._comparison import FIGURES
from reports.figures._render import Picture, picture
from reports.page.embedded import csv_link, csv_of
from reports.page.report import check_writable, write_figures
from reports.page.sections import Section
from reports.page.writing import assets, environment, write_text
from reports.statistics.estimates import Estimate
from reports.study.study import Study

SECTIONS = (
    Section("verdict", "Verdict", "Which arm is better, and can that be believed?"),
    Section("tests", "On test", "How do the finalists do on data no search has seen?"),
    Section("pairs", "Pair by pair", "How far apart is every pair, and is it more than luck?"),
    Section("costs", "Costs", "Which would I take on a phone?"),
    Section("budget", "Budget", "Was every arm given the same?"),
    Section("expected", "Search", "What does a budget of n trials find in each arm?"),
    Section("trade-offs", "Trade-offs", "Which arm is better at equal size?"),
)
_FIGURE_OF = {
    "tests": "seed_points",
    "costs": "arm_costs",
    "expected": "expected_curves",
    "trade-offs": "pareto_fronts",
}


def comparison_name(comparison: Comparison) -> str:
    """Returns a file name made of the arms' names; their hash tells apart what it does not hold."""
    joined = "-vs-".join(arm.name for arm in comparison.arms)
    safe = re.sub(r"[^\w.-]+", "_", joined).encode()[:100].decode(errors="ignore").strip("._")
    if safe == joined:
        return safe
    whole = "\0".join(arm.name for arm in comparison.arms).encode(errors="surrogatepass")
    return f"{safe}-{hashlib.sha256(whole).hexdigest()[:8]}"


def check_place(study: Study, folder: Path | None) -> Path:
    """Checks that a page can be written, before something is done that it is to show.

    Args:
        study: The first study.
        folder: Folder of the page; the study's `report/` if `None`.

    Returns:
        The folder.

    Raises:
        UserError: It can't be written.
    """
    folder = folder or study.files.report
    nearest = nearest_there(folder.parent)
    if not nearest.is_dir():
        raise UserError(f"{str(folder)!r} can't be made: {str(nearest)!r} is no folder")
    check_writable(nearest, folder)
    return folder


def write_comparison(comparison: Comparison, folder: Path | None = None) -> Path:
    """Writes the page of a comparison.

    Args:
        comparison: What to show.
        folder: Folder of the page; the first study's `report/` if `None`.

    Returns:
        The path of the page.

    Raises:
        UserError: The folder can't be written.
    """
    folder = check_place(comparison.arms[0].study, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Picture] = {
        name: picture(comparison, name, figure) for name, figure in FIGURES.items()
    }
    name = comparison_name(comparison)
    page = folder / f"compare-{name}.html"
    write_figures(folder / f"compare-{name}", list(pictures.values()))
    write_text(page, _render(comparison, pictures))
    return page


def _render(comparison: Comparison, pictures: dict[str, Picture]) -> str:
    pairs, costed = pairs_table(comparison), costs_of_arms(comparison)
    findings = {section: pictures[figure].finding for section, figure in _FIGURE_OF.items()} | {
        "verdict": verdict(comparison),
        "pairs": _pairs_finding(comparison),
        "budget": ledger_finding(ledger(comparison)),
    }
    return environment().get_template("compare.html.jinja").render(
        **assets(),
        comparison=comparison,
        sections=[s for s in SECTIONS if s.id != "costs" or costed is not None],
        findings=findings,
        pictures={section: pictures[figure] for section, figure in _FIGURE_OF.items()},
        pairs=pairs.to_dict("split"),
        matrix=_matrix(comparison),
        costs=costs_table(costed, "arm").to_dict("split") if costed is not None else {},
        budget=table(ledger(comparison)).to_dict("split"),
        csv=csv_link(csv_of(pairs)),
        tests_csv=csv_link(csv_of(tests_frame(comparison))),
        objective=comparison.arms[0].study.objective,
        arm_counts=[_count(arm) for arm in comparison.arms],
    )  # fmt: skip


def _count(arm: Arm) -> str:
    tested = arm.tested
    return tested if arm.unit == "search" else f"{tested}, trial {arm.trial_id}"


def tests_frame(comparison: Comparison) -> pd.DataFrame:
    """Every training on test, or every search: `arm`, `study`, `trial`, `run`, `test_accuracy`."""
    rows = [
        (arm.name, part.study.name, part.trial_id, index, score)
        for arm in comparison.arms
        for index, (part, score) in enumerate(
            zip(arm.searches or (arm,) * len(arm.tests), arm.tests, strict=False)
        )
    ]
    return pd.DataFrame(rows, columns=["arm", "study", "trial", "run", "test_accuracy"])


def _pairs_finding(comparison: Comparison) -> str:
    if not comparison.pairs:
        lacks = without_classes(comparison.arms)
        return "No arm has a test accuracy." if lacks else "Fewer than two arms were tested."
    if all(pair.spread is None for pair in comparison.pairs):
        return "No pair can be tested: an arm has a single training or search."
    apart = sum(pair.separable for pair in comparison.pairs)
    return (
        f"{apart} of {plural(len(comparison.pairs), 'pair')} can be told apart: p after Holm's "
        f"correction below {comparison.pairs[0].level:.3g}."
    )


def pairs_table(comparison: Comparison) -> pd.DataFrame:
    """Every pair as text."""
    names = [arm.name for arm in comparison.arms]
    return pd.DataFrame(
        [
            {
                "first": names[pair.first],
                "second": names[pair.second],
                "difference": f"{_signed(pair.difference.mean)} ({_ends(pair.difference)})",
                f"first beats second, on these {comparison.noun}s": _superiority(pair),
                "p": _p(pair.p),
                "variance from": _sources(pair, comparison.noun),
                "to show a difference": _needed(pair, comparison.noun),
                "can be told apart": _apart(pair),
            }
            for pair in comparison.pairs
        ]
    )


def _ends(gap: Estimate) -> str:
    return between(gap.low, gap.high, signed=True) if gap.has_interval else "no interval"


def _superiority(pair: Pair) -> str:
    low, high = pair.superiority_low, pair.superiority_high
    ends = f"{percent(low)} to {percent(high)}" if math.isfinite(low) else "no interval"
    return f"{percent(pair.superiority)} ({ends})"


def _signed(value: float) -> str:
    return score(value, signed=True)


def _p(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _apart(pair: Pair) -> str:
    if math.isnan(pair.p):
        return "unknown"
    return "yes" if pair.separable else "no"


def _sources(pair: Pair, noun: str) -> str:
    """Which part of the difference's variance comes from trainings, and which from test rows."""
    if pair.spread is None:
        return "unknown: an arm has one"
    if pair.spread.variance == 0:
        return "none seen"
    images, chance = pair.spread.shares
    own = max(1 - images - chance, 0.0)
    return f"{noun}s {percent(images)}, trainings {percent(own)}, both {percent(chance)}"


def _needed(pair: Pair, noun: str) -> str:
    if pair.spread is None:
        return "unknown"
    if pair.needed is None:
        return "out of reach"
    return f"{pair.needed.units:,} an arm, {format_number(pair.needed.images)} {noun}s"


def _matrix(comparison: Comparison) -> list[dict[str, Any]]:
    """Returns a row an arm: row minus column, with interval and probability of superiority."""
    rows = []
    for a in comparison.ranking:
        cells = []
        for b in comparison.ranking:
            pair = comparison.pair(a, b) if a != b else None
            cells.append(None if pair is None else _cell(pair, 1 if pair.first == a else -1))
        rows.append({"name": comparison.arms[a].name, "cells": cells})
    return rows


def _cell(pair: Pair, sign: int) -> dict[str, Any]:
    low, high = sorted((sign * pair.difference.low, sign * pair.difference.high))
    share = pair.superiority if sign > 0 else 1 - pair.superiority
    return {
        "difference": _signed(sign * pair.difference.mean),
        "interval": between(low, high, signed=True) if math.isfinite(low) else "no interval",
        "superiority": f"better in {percent(share)}",
        "separable": pair.separable,
    }


def comparison_text(comparison: Comparison) -> str:
    """The verdict, the ledger, the costs and the pairs for a terminal."""
    parts = [verdict(comparison), table(ledger(comparison)).to_string(index=False)]
    costed = costs_of_arms(comparison)
    if costed is not None:
        parts += [costs_table(costed, "arm").to_string(index=False), phone_sentence(costed)]
    if comparison.pairs:
        parts.append(pairs_table(comparison).to_string(index=False))
    return "\n\n".join(parts)
