"""Writes `index.html` of a folder of studies: every study, its verdict and its report."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from experiments.record.errors import UserError
from experiments.record.formatting import are, deadline_anew, named, plural, score, words
from experiments.record.layout import StudyFolder
from experiments.record.reading import as_dict, clean
from experiments.record.stamps import is_current, newest, stamp_of
from experiments.record.state import INTERRUPTED, RUNNING, State, state_of
from reports.page.listing import Listed, Summary, listed_studies, when
from reports.page.sections import Section
from reports.page.writing import assets, environment, write_text
from reports.page.written import read_page
from reports.study.load import damage_refused, load_study

PAGE = "index.html"
UNREADABLE = "unreadable"
_MOST_TEXT = 1500
_STUDIES = Section("studies", "Studies", "What was searched, and what came of it?")
_COMPARISONS = Section("comparisons", "Comparisons", "Which networks were compared, and how?")
_COMPARED = ("compare-*.html", "*/compare-*.html", "*/*/compare-*.html")


@dataclass(frozen=True)
class Row:
    """A study as text.

    Args:
        name: Its name.
        status: `running`, `ended`, `interrupted`, `not recorded` or `unreadable`.
        detail: More about its status; may be empty.
        best: Score of its recommended trial; empty without one, as are the next two.
        of_what: The objective.
        trial: The trial.
        verdict: Its report's verdict, or why it can't be read.
        num_trials: Number of trials; empty where it can't be read.
        trials: Completed and failed ones, in words.
        space: Its search space.
        dataset: Its dataset.
        started: When it was started.
        report: Relative link to its report; empty without one.
        is_current: Whether the report is as new as the record.
    """

    name: str
    status: str
    detail: str
    best: str
    of_what: str
    trial: str
    verdict: str
    num_trials: str
    trials: str
    space: str
    dataset: str
    started: str
    report: str
    is_current: bool


@dataclass(frozen=True)
class Compared:
    """The page of a comparison: its title, verdict, time, and a relative link to it."""

    title: str
    verdict: str
    written: str
    page: str


@dataclass(frozen=True)
class Overview:
    """What the page shows: studies, running ones first, then newest first; and comparisons."""

    rows: tuple[Row, ...]
    comparisons: tuple[Compared, ...]

    @property
    def is_running(self) -> bool:
        """Whether a study is being searched."""
        return any(row.status == RUNNING for row in self.rows)


def read_overview(runs_dir: str | Path) -> Overview:
    """Reads all studies and comparisons of a folder.

    Raises:
        UserError: There is no such folder.
    """
    listed = listed_studies(runs_dir)
    pages = [page for pattern in _COMPARED for page in Path(runs_dir).glob(pattern)]
    holders = {page.parent for page in pages}  # `--out` of a comparison is no damaged study
    rows = [_row(one) for one in listed if one.summary or one.folder not in holders]
    rows.sort(key=lambda row: row.status != RUNNING)
    written = sorted(pages, key=lambda page: -newest([stamp_of(page)]))
    return Overview(tuple(rows), tuple(_compared(page, Path(runs_dir)) for page in written))


def write_overview(
    runs_dir: str | Path, shown: Overview | None = None, *, reload: float | None = None
) -> Path:
    """Writes `index.html` into a folder of studies. It links reports, and writes none.

    Args:
        runs_dir: The folder.
        shown: What was read of it, if it was read already.
        reload: Seconds after which the open page loads itself anew; never if `None`.

    Returns:
        The path of the page.

    Raises:
        UserError: There is no such folder, or it can't be written.
    """
    shown = shown or read_overview(runs_dir)
    path = Path(runs_dir) / PAGE
    page = environment().get_template("overview.html.jinja").render(
        **assets(reload),
        runs=clean(Path(runs_dir).resolve().name or str(runs_dir)),
        written=f"{datetime.now():%Y-%m-%d %H:%M}",
        sections=(_STUDIES, _COMPARISONS) if shown.comparisons else (_STUDIES,),
        findings={_STUDIES.id: _finding(shown.rows), _COMPARISONS.id: _compared_finding(shown)},
        rows=shown.rows,
        statuses=sorted({row.status for row in shown.rows}),
        comparisons=shown.comparisons,
    )  # fmt: skip
    try:
        write_text(path, page)
    except OSError as error:
        raise UserError(
            f"{str(path)!r} can't be written ({error.strerror}): the page of all studies goes "
            "there; make room for it, or name another folder with --runs-dir"
        ) from None
    return path


def _row(listed: Listed) -> Row:
    folder, config = listed.folder, as_dict(listed.record.get("config"))
    page = StudyFolder(folder).page
    common = {
        "name": clean(folder.name, 120),
        "report": _link(folder.name, "report", PAGE) if page.is_file() else "",
        "space": clean(config["space"], 80) if config.get("space") else "",
        "dataset": clean(config["dataset"], 80) if config.get("dataset") else "",
        "started": listed.started_when,
    }
    if listed.summary is None:
        none = dict.fromkeys(("detail", "best", "of_what", "trial", "num_trials", "trials"), "")
        why = f"It can't be read: {clean(listed.problem, _MOST_TEXT)}"
        return Row(status=UNREADABLE, verdict=why, is_current=False, **none, **common)
    state, is_new = state_of(folder, listed.record), is_current(page, folder, listed.found.stamps)
    if not listed.record:
        common["space"] = "plain Keras Tuner"
    return Row(
        status=state.name,
        detail=_detail(state, folder, config),
        verdict=_verdict(listed, page if is_new and state.name != RUNNING else None),
        is_current=is_new,
        **_results(listed.summary),
        **common,
    )


def _results(summary: Summary) -> dict[str, str]:
    parts = [f"{summary.num_completed:,} completed"]
    parts += [f"{summary.num_failed:,} failed"] if summary.num_failed else []
    has_best = bool(score(summary.best))
    return {
        "best": score(summary.best),
        "of_what": clean(words(summary.objectives[0]), 60) if has_best else "",
        "trial": clean(summary.trial, 40) if has_best else "",
        "num_trials": f"{summary.num_trials:,}",
        "trials": ", ".join(parts),
    }


def _detail(state: State, folder: Path, config: dict[str, Any]) -> str:
    if state.name == RUNNING:
        return f"on {state.elsewhere}, as its folder says" if state.elsewhere else state.detail
    if state.name == INTERRUPTED:
        return clean(f"experiments resume {named(folder)}{deadline_anew(config)}")
    return f"by {state.detail}" if state.detail else ""


def _verdict(listed: Listed, page: Path | None) -> str:
    """Returns a study's verdict: as its current page says, else worked out as for its page."""
    said = read_page(page).verdict if page else ""
    if said:
        return said
    from reports.analysis.verdict import verdict  # SciPy, which current pages spare
    from reports.analysis.verdict_words import verdict_sentence

    try:
        with damage_refused(listed.folder):
            study = load_study(listed.folder)
            return clean(verdict_sentence(study, verdict(study)), _MOST_TEXT)
    except (UserError, OSError, ArithmeticError) as error:
        return f"No verdict can be found: {clean(str(error), _MOST_TEXT)}"


def _compared(page: Path, runs: Path) -> Compared:
    said, stamp = read_page(page), newest([stamp_of(page)])
    return Compared(
        title=said.title or clean(page.stem, 120),
        verdict=said.verdict or "Its verdict can't be read.",
        written=when(stamp / 1e9),
        page=_link(*page.relative_to(runs).parts),
    )


def _link(*parts: str) -> str:
    """Returns a relative link; a name can't be taken for an address or a part of one."""
    return "/".join(quote(os.fsencode(part), safe="") for part in parts)


def _finding(rows: tuple[Row, ...]) -> str:
    if not rows:
        return "There is no study yet: experiments search mnist_cnn --dataset digits"
    counts = Counter(row.status for row in rows)
    studies = len(rows) - counts[UNREADABLE]
    damaged = counts[UNREADABLE]
    parts = [f"{studies:,} {'study' if studies == 1 else 'studies'}", ", ".join(_counted(counts))]
    parts.append(f"{plural(damaged, 'folder')} can't be read" if damaged else "")
    return f"{'; '.join(filter(None, parts))}."


def _counted(counts: "Counter[str]") -> Iterator[str]:
    if running := counts[RUNNING]:
        yield f"{running:,} {are(running)} running"
    if interrupted := counts[INTERRUPTED]:
        yield f"{interrupted:,} {'was' if interrupted == 1 else 'were'} interrupted"


def _compared_finding(shown: Overview) -> str:
    return f"{plural(len(shown.comparisons), 'comparison')} on test data, newest first."
