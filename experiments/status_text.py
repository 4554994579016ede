"""`experiments status`: what a study is at, read from its files alone."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments.lock import holder, is_running
from experiments.objective import Objective, described
from experiments.pruned import PRUNED, was_pruned
from experiments.status import read_status
from reports.index import read_compact


def status_text(folder: Path) -> str:
    """Says what a study is at: trials by state, the best one, those that run."""
    plain = not (folder / "study.json").is_file() and any(folder.glob("trial_*/trial.json"))
    if plain:
        return _plain_text(folder)
    study = _read(folder / "study.json")
    problems: list[str] = []
    found = read_compact(folder, problems)
    trials = [state for _, state, _ in found] + [{} for _ in problems]
    states = [_status(trial) for trial in trials]
    config = study.get("config", {})
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(sorted(states))) or "none"
    lines = [
        f"study {folder.name}: {_state(folder, study)}",
        f"trials: {counts}, of {config.get('max_trials', '?')} at most",
        *_best(study, trials, [result for _, _, result in found]),
        *_running(folder, config),
    ]
    return "\n".join(lines)


def _plain_text(folder: Path) -> str:
    """Says what a project of plain Keras Tuner came to; nothing tells whether one is running."""
    from reports.load import load_study
    from reports.study import PROBLEM

    study = load_study(folder)
    counts = study.trials["status"].replace({"running": "not ended"}).value_counts().sort_index()
    lines = [
        f"study {folder.name}: a project of plain Keras Tuner, which alone can go on with it",
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


def _status(trial: dict[str, Any]) -> str:
    status = str(trial.get("status", "unreadable"))
    return PRUNED if was_pruned(status, trial.get("message")) else status.lower()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _state(folder: Path, study: dict[str, Any]) -> str:
    running = is_running(folder)
    who = holder(folder) or {}
    if running is not False:
        since = datetime.fromtimestamp(float(who.get("since", 0))).strftime("%Y-%m-%d %H:%M")
        phase = read_status(folder).get("phase", "starting")
        return f"{phase} since {since}, process {who.get('pid')} on {who.get('host')}"
    sessions = study.get("sessions") or [{}]
    if "ended" in sessions[-1]:
        early = sessions[-1].get("ended_by")
        return f"ended by {early}" if early else "ended"
    return f"interrupted; go on with `experiments resume {folder.name}`"


def _best(
    study: dict[str, Any], trials: list[dict[str, Any]], results: list[dict[str, Any]]
) -> list[str]:
    objective = study.get("objective", {})
    scored = [t for t in trials if t.get("status") == "COMPLETED" and t.get("score") is not None]
    done = [t for t in scored if _status(t) != PRUNED] or scored
    if not done:
        return []
    choose = min if objective.get("direction") == "min" else max
    best = choose(done, key=lambda t: float(t["score"]))
    name = objective.get("name", "score")
    return [
        f"best: trial {best.get('trial_id')}, {name} {float(best['score']):.4f}",
        *_front(study, results),
    ]


def _front(study: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """Says what the front of several objectives is so far."""
    objectives = [Objective(o["name"], o["direction"]) for o in study.get("objectives", [])]
    done = [r for r in results if r.get("status") == "completed" and r.get("objectives")]
    if not objectives or not done:
        return []
    from reports.front import front_of

    front = front_of([[r["objectives"].get(o.name) for o in objectives] for r in done], objectives)
    ids = ", ".join(str(done[position]["trial_id"]) for position in front.members)
    lines = [f"front: {len(front.members)} of {len(done)} trials: {ids}"]
    if front.knee is not None:
        knee = done[front.knee]
        lines.append(f"knee: trial {knee['trial_id']}, {described(knee['objectives'], objectives)}")
    return lines


def _running(folder: Path, config: dict[str, Any]) -> list[str]:
    if is_running(folder) is False:
        return []
    status = read_status(folder)
    lines = []
    for trial_id, at in status.get("running", {}).items():
        metrics = ", ".join(f"{n} {v:.4f}" for n, v in at.get("metrics", {}).items())
        epoch = f"epoch {at['epoch']} of {config.get('max_epochs', '?')}" if at else "starting"
        lines.append(f"running: trial {trial_id}, {epoch}{': ' if metrics else ''}{metrics}")
    if status.get("written"):
        lines.append(f"as of {time.time() - float(status['written']):.0f} s ago")
    return lines
