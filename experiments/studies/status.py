"""`experiments status`: the progress of a study, read from its files alone."""

import math
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.record.errors import UserError
from experiments.record.formatting import NO_END, deadline_anew, named, trials_at_most
from experiments.record.layout import PRUNED, StudyFolder, was_pruned
from experiments.record.lock import holder, is_running
from experiments.record.objective import Objective, described
from experiments.record.reading import as_dict, as_number, clean, dicts, read_dict
from experiments.record.schema import check_format
from experiments.record.state import ENDED, RUNNING, state_of
from experiments.record.status_file import read_status
from experiments.record.trial_index import Trial, read_compact


def status_text(folder: Path) -> str:
    """Describes the progress of a study: trials by state, the best one, running ones.

    Raises:
        UserError: The folder holds no study, or one of a newer version.
    """
    place = StudyFolder(folder)
    if not place.record.is_file():
        if not place.begun():
            raise UserError(f"{str(folder)!r} is no study: it has neither study.json nor trials")
        return _plain_text(folder)
    study = read_dict(place.record)
    check_format(study, folder)
    problems: list[str] = []
    found = read_compact(folder, problems)
    trials = [state for _, state, _ in found] + [{} for _ in problems]
    is_over = state_of(folder, study).name != RUNNING
    states = ["not ended" if is_over and s == "running" else s for s in map(_status, trials)]
    config = as_dict(study.get("config"))
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(sorted(states))) or "none"
    lines = [
        f"study {folder.name}: {_state(folder, study)}",
        f"trials: {counts}{_limit(config)}",
        *_best(study, found),
        *_running(folder, config),
    ]
    return "\n".join(lines)


def _plain_text(folder: Path) -> str:
    """Describes a plain Keras Tuner project; whether it is running is not recorded."""
    from experiments.record.notes import PROBLEM
    from reports.study.load import load_study

    study = load_study(folder)
    counts = study.trials["status"].replace({"running": "not ended"}).value_counts().sort_index()
    lines = [
        f"study {folder.name}: a project of plain Keras Tuner, which alone can resume it",
        f"trials: {', '.join(f'{n} {status}' for status, n in counts.items()) or 'none'}",
    ]
    if len(study.completed):
        best = study.completed.iloc[0]
        better = "more" if study.direction == "max" else "less"
        lines.append(
            f"best: trial {best['trial_id']}, {study.objective} {best['score']:.6g} "
            f"({better} is better)"
        )
    lines += [f"problem: {note.title}" for note in study.notes if note.level == PROBLEM]
    return "\n".join([*lines, *(f"problem: {problem}" for problem in study.problems)])


def _text(value: object) -> str:
    return "?" if value is None else clean(value, 40)


def _status(trial: dict[str, Any]) -> str:
    status = clean(str(trial.get("status", "unreadable")), 40)
    return PRUNED if was_pruned(status, trial.get("message")) else status.lower()


def _state(folder: Path, study: dict[str, Any]) -> str:
    state = state_of(folder, study)
    if state.name == RUNNING:
        who = holder(folder) or {}
        process = f"process {_text(who.get('pid'))} on {_text(who.get('host'))}"
        return f"{state.detail}{_since(who.get('since'))}, {process}"
    if state.name == ENDED:
        return f"ended by {state.detail}" if state.detail else "ended"
    until = deadline_anew(as_dict(study.get("config")))
    return f"interrupted; resume with `experiments resume {named(folder)}{until}`"


def _since(seconds: object) -> str:
    try:
        return f" since {datetime.fromtimestamp(as_number(seconds)):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):  # missing, or not a date
        return ""


def _best(study: dict[str, Any], found: Sequence[Trial]) -> list[str]:
    objective = as_dict(study.get("objective"))
    ended = [t for _, t, _ in found if t.get("status") == "COMPLETED"]
    scored = [t for t in ended if not math.isnan(as_number(t.get("score")))]
    done = [t for t in scored if _status(t) != PRUNED] or scored
    if not done:
        return []
    from experiments.record.formatting import score
    from reports.study.fidelity import EARLY, handicaps

    last, sign = handicaps(found, study), 1 if objective.get("direction") == "min" else -1
    best = min(
        done, key=lambda t: (last.get(str(t.get("trial_id")), 0), sign * as_number(t["score"]))
    )
    name = _text(objective.get("name", "score"))
    return [
        f"best: trial {_text(best.get('trial_id'))}, {name} {score(as_number(best['score']))}",
        *_front(study, [result for trial_id, _, result in found if last.get(trial_id) != EARLY]),
    ]


def _front(study: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Describes the current front of several objectives."""
    objectives = [
        Objective(clean(o["name"], 60), o["direction"])
        for o in dicts(study.get("objectives"))
        if isinstance(o.get("name"), str) and o.get("direction") in ("max", "min")
    ]
    done = [r for r in results if r.get("status") == "completed" and _values(r, objectives)]
    if not objectives or not done:
        return []
    from experiments.record.formatting import plural
    from experiments.record.front import front_of

    front = front_of([list(_values(r, objectives).values()) for r in done], objectives)
    ids = ", ".join(_text(done[position].get("trial_id")) for position in front.members)
    lines = [f"front: {len(front.members)} of {plural(len(done), 'trial')}: {ids}"]
    if front.knee is not None:
        knee = done[front.knee]
        values = described(_values(knee, objectives), objectives)
        lines.append(f"knee: trial {_text(knee.get('trial_id'))}, {values}")
    return lines


def _values(result: dict[str, Any], objectives: list[Objective]) -> dict[str, float]:
    """Returns the value of each objective for a trial; NaN where it is not a number."""
    recorded = as_dict(result.get("objectives"))
    return {o.name: as_number(recorded.get(o.name)) for o in objectives} if recorded else {}


def _running(folder: Path, config: dict[str, Any]) -> list[str]:
    if is_running(folder) is False:
        return []
    from experiments.record.formatting import score

    status = read_status(folder)
    if as_number(status.get("written")) < as_number((holder(folder) or {}).get("since")):
        return []  # it is of a session before
    lines = []
    for trial_id, stated in as_dict(status.get("running")).items():
        at = as_dict(stated)
        known = as_dict(at.get("metrics")).items()
        metrics = ", ".join(f"{clean(n, 60)} {score(as_number(v))}" for n, v in known)
        of = f"of {_text(at.get('epochs') or config.get('max_epochs'))}"
        epoch = f"epoch {_text(at.get('epoch'))} {of}" if at else "starting"
        lines.append(
            f"running: trial {clean(trial_id, 40)}, {epoch}{': ' if metrics else ''}{metrics}"
        )
    age = time.time() - as_number(status.get("written"))
    if not math.isnan(age):
        lines.append(f"as of {max(0.0, age):.0f} s ago")
    return lines


def _limit(config: Mapping[str, Any]) -> str:
    most = config.get("max_trials")
    if isinstance(most, int) and most >= NO_END:
        return f", of {trials_at_most(most, config.get('method'))}"
    return f", of {_text(most)} at most"
