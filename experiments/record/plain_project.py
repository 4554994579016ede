"""A project of plain Keras Tuner: its trials, their results and their order."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.formatting import listed, plural
from experiments.record.layout import StudyFolder
from experiments.record.notes import DOUBT, Note
from experiments.record.plain_objective import Ranking, ranking
from experiments.record.reading import as_dict, as_number, clean, dicts, dig, read_json
from experiments.record.trial_index import Trial

NOT_RECORDED = "not recorded"
_OUT_OF_MEMORY = ("ResourceExhausted", "OOM when", "out of memory", "MemoryError")


@dataclass(frozen=True)
class PlainProject:
    """A project of plain Keras Tuner.

    Args:
        trials: Its trials, in order of start where that is known. Each third part, what the suite
            would have in `result.json`, holds `status`, `score`, `cause`, `message` and `started`
            as far as they are known.
        ranking: The objective.
        is_ordered: Whether the order of the trials is known.
        end_order: Ids in order of end; empty where it is not recorded.
        notes: What a reader has to know of the record.
    """

    trials: list[Trial]
    ranking: Ranking
    is_ordered: bool
    end_order: tuple[str, ...]
    notes: tuple[Note, ...]


def read_project(folder: Path, trials: list[Trial], problems: list[str]) -> PlainProject:
    """Reads a project of plain Keras Tuner.

    Args:
        folder: The project.
        trials: Its trials as their files are.
        problems: What could not be read; more is added.
    """
    oracle = _oracle(folder, problems)
    ranked = ranking(trial for trial in trials if _outcome(trial[1])[0] == "completed")
    started = _times(oracle)
    ids = [trial_id for trial_id, _, _ in trials]
    order = _order(ids, oracle, started)
    known = {trial[0]: trial for trial in trials}
    rows = [
        (i, known[i][1], _result(known[i][1], ranked.scores.get(i), started.get(i)) | known[i][2])
        for i in order or sorted(ids)
    ]
    ended = _listed(oracle, "end_order", ids)
    return PlainProject(
        trials=rows,
        ranking=ranked,
        is_ordered=bool(order),
        end_order=tuple(ended) if order and _all_that_ended(rows) <= set(ended) else (),
        notes=(*ranked.notes, *_unscored(rows), *_found_late(rows)),
    )


def plain_space(trials: list[Trial]) -> list[dict[str, Any]]:
    """Returns every hyperparameter that a trial names, with the widest of its ranges."""
    space: dict[str, dict[str, Any]] = {}
    for _, state, _ in trials:
        for hp in dicts(dig(state, "hyperparameters", "space")):
            config = as_dict(hp.get("config"))
            conditions = [as_dict(c.get("config")) for c in dicts(config.get("conditions"))]
            if isinstance(config.get("name"), str):
                kind = {"kind": clean(hp.get("class_name", "")), "conditions": conditions}
                now = config | kind
                space[config["name"]] = _widest(space.get(config["name"], now), now)
    return list(space.values())


def _widest(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Joins the ranges that a hyperparameter had in searches that share a folder."""
    if before["kind"] != now["kind"]:
        return now
    joined = dict(now)
    for end, choose in (("min_value", min), ("max_value", max)):
        ends = [hp[end] for hp in (before, now) if not math.isnan(as_number(hp.get(end)))]
        joined |= {end: choose(ends)} if ends else {}
    if isinstance(before.get("values"), list) and isinstance(now.get("values"), list):
        joined["values"] = [
            *now["values"],
            *(v for v in before["values"] if v not in now["values"]),
        ]
    return joined


def _oracle(folder: Path, problems: list[str]) -> dict[str, Any]:
    path = StudyFolder(folder).oracle
    try:
        return as_dict(read_json(path)) if path.is_file() else {}
    except UserError as error:
        problems.append(f"the order of trials may be lost: {clean(str(error))}")
        return {}


def _result(state: dict[str, Any], score: float | None, started: float | None) -> dict[str, Any]:
    status, cause, message = _outcome(state)
    kept = score if status == "completed" else None
    found = {"status": status, "score": kept, "cause": cause, "message": message}
    return found | ({} if started is None else {"started": started})


def _outcome(state: dict[str, Any]) -> tuple[str, str | None, str | None]:
    """Returns status, cause of failure and message; a score that is no number is a failure."""
    status, score = str(state.get("status")), state.get("score")
    message = state.get("message")
    message = message if isinstance(message, str) and message.strip() else None
    lost = isinstance(score, int | float) and math.isnan(as_number(score))
    if status in ("COMPLETED", "FAILED", "INVALID") and lost and message is None:
        return "failed", "nan", f"its score is {clean(score)}"
    if status in ("FAILED", "INVALID"):
        return "failed", _cause(message), message
    return ("completed" if status == "COMPLETED" and not lost else "running"), None, message


def _cause(message: str | None) -> str:
    if message is None:
        return NOT_RECORDED
    return "out_of_memory" if any(m in message for m in _OUT_OF_MEMORY) else "error"


def _times(oracle: dict[str, Any]) -> dict[str, float]:
    """Returns when trials were started, in seconds since 1970; none notes a zone: UTC is taken."""
    times = {}
    for trial_id, text in as_dict(dig(oracle, "display", "trial_start")).items():
        try:
            times[trial_id] = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return times


def _order(ids: list[str], oracle: dict[str, Any], started: dict[str, float]) -> list[str]:
    """Returns trials in order of start; empty where it is not known.

    Ids of 1.1 and later count the trials, padded to the digits of `max_trials`, which may have
    been raised since; those of 1.0 are hashes and say nothing.
    """
    listed = _listed(oracle, "start_order", ids)
    if len(listed) == len(ids):
        return listed
    if all(i.isascii() and i.isdecimal() and len(i) < 10 for i in ids):
        return sorted(ids, key=int)
    if set(ids) <= set(started):
        return sorted(ids, key=lambda i: started[i])
    return []


def _listed(oracle: dict[str, Any], name: str, ids: list[str]) -> list[str]:
    named = oracle.get(name)
    named = [i for i in named if isinstance(i, str)] if isinstance(named, list) else []
    return [i for i in dict.fromkeys(named) if i in set(ids)]


def _all_that_ended(rows: list[Trial]) -> set[str]:
    return {trial_id for trial_id, _, result in rows if result["status"] != "running"}


def _unscored(rows: list[Trial]) -> list[Note]:
    lacking = [
        i
        for i, state, r in rows
        if r["status"] == "completed" and math.isnan(as_number(state.get("score")))
    ]
    if not lacking:
        return []
    title = f"{plural(len(lacking), 'completed trial')} without a score: left out of the ranking"
    return [Note(DOUBT, title)]


def _found_late(rows: list[Trial]) -> list[Note]:
    """Names hyperparameters that only some builds ask for, and no condition says when."""
    spaces = [
        {hp["name"]: hp for hp in plain_space([row])}
        for row in rows
        if row[2]["status"] != "running"
    ]
    names = {name: hp for space in spaces for name, hp in space.items()}
    late = [
        clean(name, 60)
        for name, hp in names.items()
        if not hp["conditions"] and any(space and name not in space for space in spaces)
    ]
    if not late:
        return []
    title = (
        f"{plural(len(late), 'hyperparameter')} ({listed(late)}) came up in the course of the "
        "search, so not every network may use them"
    )
    advice = (
        "Keras Tuner gives them to trials that don't use them as well, which blurs what is said of "
        "them here: declare them in a hp.conditional_scope"
    )
    return [Note(DOUBT, title, advice)]
