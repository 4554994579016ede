"""Checks of recorded facts: files, states, seeds; and of where failures lie."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from experiments.record.formatting import apart, deadline_anew, listed, percent, plural, text, words
from experiments.record.notes import DOUBT, GOOD, PROBLEM
from experiments.record.plain_project import NOT_RECORDED
from experiments.record.reading import as_dict, as_number, clean, dicts, dig
from reports.analysis.facts import widenings
from reports.analysis.health.finding import LEVEL, Finding
from reports.analysis.plain_advice import advised, untested
from reports.analysis.shared import axes_in
from reports.analysis.verdict import study_argument
from reports.statistics.spans import one_group_p, span_p
from reports.study.study import Study

_LEAST_FAILURES = 3  # failures, to say what they have in common
_ADVICE = {
    "nan": "lower the upper end of the learning rate, or clip gradients",
    "out_of_memory": "lower the batch size or the largest layers, or run fewer workers",
    "build": "the space draws models that can't be built: mend its ranges",
    NOT_RECORDED: "no message was kept: build and train their values by hand to see why",
}


def files(study: Study) -> Iterator[Finding]:
    """Names files that could not be read: a fact."""
    if study.problems:
        yield Finding(
            PROBLEM,
            f"{plural(len(study.problems), 'part')} of the record could not be read: "
            f"{study.problems[0]}",
            "restore them from a copy; what they held is missing from this report",
        )


def notes(study: Study) -> Iterator[Finding]:
    """Passes on the notes made when the record was read: facts."""
    yield from (Finding(n.level, n.title, n.advice) for n in (*study.notes, *untested(study)))


def running(study: Study) -> Iterator[Finding]:
    """Says that the search had not ended, or was interrupted: a fact."""
    count = int((study.trials["status"] == "running").sum())
    if study.interrupted:
        yield Finding(
            DOUBT,
            f"the search was interrupted ({plural(count, 'trial')} not ended)",
            advised(study, _resume(study), "go on with it: run its script again"),
        )
    elif study.running:
        yield Finding(
            DOUBT,
            f"the search had not ended when this was written ({plural(count, 'trial')} running)",
            "write the report again when it has",
        )


def _resume(study: Study) -> str:
    until = deadline_anew(as_dict(study.record.get("config")))
    return f"go on with it: `experiments resume {study_argument(study)}{until}`"


def states(study: Study) -> Iterator[Finding]:
    """Counts the trials that failed by cause: facts; where they lie is tested."""
    counts = {str(s): int(n) for s, n in study.trials["status"].value_counts().items()}
    total = len(study.trials)
    shown = listed([f"{count:,} {status}" for status, count in sorted(counts.items())])
    failed = counts.get("failed", 0)
    if not failed:
        yield Finding(GOOD, f"no trial failed: {shown or 'there are no trials'}")
        return
    causes = study.failed["cause"].fillna("unknown").astype(str)
    for cause, count in causes.value_counts().sort_index().items():
        share = count / total
        name = str(cause).replace("_", " ")
        place = _where_failures_are(study, str(cause))
        yield Finding(
            PROBLEM if share > 0.2 else DOUBT,
            f"{count:,} of {plural(total, 'trial')} ({percent(share)}) failed with cause {name}",
            _ADVICE.get(str(cause), "read the tracebacks under All trials")
            + (f"; {place}" if place else ""),
        )


def _where_failures_are(study: Study, cause: str) -> str:
    """Names the part of a range in which all failures lie, if chance does not explain it."""
    ended = study.trials[study.trials["status"] != "running"]
    failed = (ended["status"] == "failed") & (ended["cause"].fillna("unknown") == cause)
    columns = {
        axis.name: [*map(apart(ended[axis.name]), ended[axis.name])]
        if axis.labels
        else ended[axis.name].to_numpy(dtype=float)
        for axis in axes_in(study, ended, study.searched)
    }
    found = where_all_are(columns, failed.to_numpy(dtype=bool))
    return "" if found is None else f"all of them have {words(found[0])} {found[1]}"


def where_all_are(
    columns: Mapping[str, Sequence[str] | npt.NDArray[np.float64]], failed: npt.NDArray[np.bool_]
) -> tuple[str, str] | None:
    """Returns the hyperparameter and the stretch or choice that all failures have in common.

    It tests by `span_p` and `one_group_p`, corrected for the hyperparameters. For random failures
    it names one in at most 5 %. Where all trials in the outer fifth of one of six ranges fail, that
    range is named in 80 % from 30 trials on.

    Args:
        columns: Hyperparameter -> values of the trials, texts of a choice or numbers; empty or NaN
            where it was not used. One that not all failures used is never named.
        failed: `(num_trials,)`.
    """
    found = [(1.0, "", "")]
    for name, values in columns.items():
        if isinstance(values, np.ndarray):
            p_value, place = _same_stretch(values, failed)
        else:
            p_value, place = _same_choice(values, failed)
        found.append((p_value * len(columns), name, place))
    p_value, name, place = min(found)
    return (name, place) if p_value <= LEVEL else None


def _same_stretch(
    values: npt.NDArray[np.float64], failed: npt.NDArray[np.bool_]
) -> tuple[float, str]:
    """Returns the p-value of failures this close together, and where they are."""
    inside, known = values[failed], values[np.isfinite(values)]
    if len(inside) < _LEAST_FAILURES or not np.isfinite(inside).all():
        return 1.0, ""
    low, high = float(inside.min()), float(inside.max())
    count = int(((known >= low) & (known <= high)).sum())
    place = text(low) if low == high else f"{text(low)} to {text(high)}"
    return span_p(count, len(known), len(inside)), place


def _same_choice(values: Sequence[str], failed: npt.NDArray[np.bool_]) -> tuple[float, str]:
    chosen = [value for value, bad in zip(values, failed, strict=True) if bad]
    place = chosen[0] if chosen else ""
    if len(chosen) < _LEAST_FAILURES or not place or set(chosen) != {place}:
        return 1.0, ""
    kinds, sizes = np.unique([value for value in values if value], return_counts=True)
    size = int(sizes[list(kinds).index(place)])
    return one_group_p([int(s) for s in sizes], size, len(chosen)), place


def widened(study: Study) -> Iterator[Finding]:
    """Names ranges that were widened during the search: a fact."""
    lines = widenings(study.record)
    if lines:
        yield Finding(
            GOOD,
            f"{plural(len(lines), 'range')} became wider in the course of the search: "
            f"{clean(listed(lines))}",
            "trials before saw the narrower range only: compare methods or progress with care",
        )


def one_seed(study: Study) -> Iterator[Finding]:
    """Reports that the winner was tested with one training, or nothing was tested: a fact."""
    tested = [f for f in study.finalists if f["runs"]]
    confirm, seeds = option(study, "confirm"), max(3, option(study, "seeds"))
    if tested and len(tested[0]["runs"]) < 2:
        yield Finding(
            DOUBT,
            "the winner was tested with one training: what another seed would give is unknown",
            f"confirm with more seeds: --seeds {seeds}",
            {"seeds": seeds},
        )
    elif study.takes_options and not tested and not study.running and not study.completed.empty:
        advice = f"confirm the best trial on test: --confirm {confirm} --seeds {seeds}"
        if dig((dicts(study.record.get("sessions")) or [{}])[-1], "ended_by") == "deadline":
            advice = f"the deadline came before: {_resume(study)}"
        known = "its score is of validation alone"
        if len(study.completed) > 1:
            known = "the best validation score is the luckiest of many"
        yield Finding(
            PROBLEM,
            f"no finalist was tested: {known}",
            advice,
            {"confirm": confirm, "seeds": seeds},
        )


def option(study: Study, name: str) -> int:
    """Returns the recorded option, a count; 1 where it is less or not recorded."""
    count = as_number(dig(study.record, "config", name))
    return int(count) if count >= 1 else 1
