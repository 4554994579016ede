"""Earlier trials from study folders, and from projects that plain Keras Tuner left."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.earlier import Earlier, Source, check_objective, is_number, missing
from experiments.errors import UserError
from experiments.objective import Objective, objective_values
from experiments.pruned import was_pruned
from reports.formats import check_format
from reports.load import read_trials
from reports.plain_metrics import Candidate, best_of
from reports.plain_project import read_project
from reports.reading import as_dict, dig


def read_folder(name: str, folder: Path, objectives: Sequence[Objective]) -> Source:
    """Reads the trials of a study of this suite, or of a project of plain Keras Tuner.

    Args:
        name: What it was called by, for messages.
        folder: Where it is.
        objectives: Those of the search; the first has to be that of the trials.

    Raises:
        UserError: The trials are of another objective, or of one that is not known.
    """
    if not (folder / "study.json").is_file():
        return _read_plain(name, folder, objectives)
    check_objective(name, _objective_of(folder), objectives[0])
    trials, skipped = [], Counter[str]()
    for path in sorted(folder.glob("trial_*/trial.json")):
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            values, score = dict(state["hyperparameters"]["values"]), state["score"]
            status, message = state["status"], state.get("message")
        except (OSError, ValueError, KeyError, TypeError):
            skipped["damaged"] += 1
            continue
        if was_pruned(status, message):
            status = "stopped early"
        if status != "COMPLETED" or not is_number(score):
            skipped[status.lower()] += 1
        elif (lacking := missing(others := _others(path.parent, objectives[1:]))) is not None:
            skipped[f"without {lacking}"] += 1
        else:
            trials.append(Earlier(values, float(score), tuple(others.values())))
    return Source(trials, skipped)


def _read_plain(name: str, folder: Path, objectives: Sequence[Objective]) -> Source:
    """Reads a project of plain Keras Tuner, which says by its metrics what its scores are of."""
    problems: list[str] = []
    files = read_trials(sorted(folder.glob("trial_*/trial.json")), problems)
    skipped = Counter({"damaged": len(problems)} if problems else {})
    project = read_project(folder, files, [])
    ranking, objective = project.ranking, objectives[0]
    if ranking.scores and not ranking.is_known:
        raise UserError(
            f"--from {name}: no metric that it records equals its scores, so that they can't be "
            f"compared with {objective}; write them to a CSV file with a column {objective.name}"
        )
    if ranking.scores and not ranking.is_of(str(objective)):
        check_objective(name, Objective(ranking.name, ranking.direction), objective)
    trials = []
    for trial_id, state, result in project.trials:
        values = dig(state, "hyperparameters", "values")
        score = ranking.scores.get(trial_id)
        if result["status"] != "completed":
            skipped[result["status"]] += 1
        elif score is None:
            skipped["ranked by another objective"] += 1
        elif not isinstance(values, dict):
            skipped["damaged"] += 1
        elif (lacking := missing(others := _others_of(state, objectives[1:]))) is not None:
            skipped[f"without {lacking}"] += 1
        else:
            trials.append(Earlier(values, score, tuple(others.values())))
    return Source(trials, skipped)


def _others_of(state: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns what a trial of plain Keras Tuner came to by further objectives."""
    return {o.name: best_of(state, Candidate(o.name, o.direction)) for o in objectives}


def _others(folder: Path, objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns what a trial came to by further objectives, as far as its record says."""
    unknown = dict.fromkeys(o.name for o in objectives)
    if not objectives:
        return unknown
    try:
        record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        return objective_values(objectives, record)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return unknown


def _objective_of(folder: Path) -> Objective | None:
    """Returns the objective that a study says it had."""
    try:
        record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        check_format(as_dict(record), folder)
        stated = record["objective"]
        return Objective(str(stated["name"]), str(stated["direction"]))
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
