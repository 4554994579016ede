"""Earlier trials from study folders, and from projects that plain Keras Tuner left."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.methods.oracles.halving import ORIGIN
from experiments.methods.prior_trials import (
    PriorTrial,
    SourceTrials,
    check_objective,
    is_number,
    missing,
)
from experiments.record.errors import UserError
from experiments.record.fidelity import epochs_asked, is_of_early_round, with_continued
from experiments.record.layout import StudyFolder, TrialFolder, was_pruned
from experiments.record.objective import Objective, objective_values
from experiments.record.plain_metrics import best_of
from experiments.record.plain_project import read_project
from experiments.record.reading import as_dict, clean, dicts, dig, read_dict, read_json
from experiments.record.schema import check_format
from experiments.record.trial_index import read_trials, status_of


def read_folder(name: str, folder: Path, objectives: Sequence[Objective]) -> SourceTrials:
    """Reads the trials of a study of this suite, or of a project of plain Keras Tuner.

    Args:
        name: What it was called by, for messages.
        folder: Where it is.
        objectives: Those of the search; the first has to be that of the trials.

    Raises:
        UserError: The trials are of another objective, or of one that is not known.
    """
    if not StudyFolder(folder).record.is_file():
        return _read_plain(name, folder, objectives)
    check_objective(name, _objective_of(folder), objectives[0])
    trials, skipped = [], Counter[str]()
    states = {}
    for found in StudyFolder(folder).begun():
        try:
            state = read_json(found.state)
            dict(state["hyperparameters"]["values"]), state["score"], str(state["status"])
            states[found] = state
        except (OSError, ValueError, KeyError, TypeError):
            skipped["damaged"] += 1
    results = {found: _result(found) for found in states}
    asked = {found: epochs_asked(result) or 0 for found, result in results.items()}
    most = max(asked.values(), default=0)
    by_id = {str(state.get("trial_id")): state for state in states.values()}
    curves, origins = _curves(by_id, objectives[0].name), _origins(by_id)
    continued = {*origins.values()}
    for found, state in states.items():
        values, score = dict(state["hyperparameters"]["values"]), state["score"]
        status = str(state["status"])
        is_short = (
            was_pruned(status, state.get("message"))
            or is_of_early_round(values)
            or 0 < asked[found] < most
        )
        # Keras Tuner's file has each execution as one step.
        has_one = len(dicts(results[found].get("executions"))) < 2
        trial_id = str(state.get("trial_id"))
        curve = with_continued(trial_id, curves, origins) if has_one else {}
        if status != "COMPLETED" or not is_number(score):
            skipped[clean(status, 40).lower()] += 1
        elif is_short and trial_id in continued:
            skipped["continued as another trial"] += 1
        elif is_short and not curve:
            skipped["stopped early"] += 1
        elif (lacking := missing(others := _others(results[found], objectives[1:]))) is not None:
            skipped[f"without {lacking}"] += 1
        else:
            trials.append(PriorTrial(values, float(score), tuple(others.values()), curve, is_short))
    return SourceTrials(trials, skipped)


def _result(trial: TrialFolder) -> dict[str, Any]:
    """Returns the content of `result.json`; nothing where it can't be read."""
    try:
        return as_dict(read_json(trial.result))
    except (OSError, ValueError):
        return {}


def _curve(state: Mapping[str, Any], objective: str) -> dict[int, float]:
    """Returns the objective after each epoch, from 0, that Keras Tuner's file has."""
    found = dicts(dig(state, "metrics", "metrics", objective, "observations"))
    curve = {}
    for observation in found:
        step, values = observation.get("step"), observation.get("value")
        if isinstance(step, int) and isinstance(values, list) and all(map(is_number, values)):
            curve[step] = math.fsum(values) / len(values)
    return curve


def _values(state: Mapping[str, Any]) -> dict[str, Any]:
    return as_dict(dig(state, "hyperparameters", "values"))


def _curves(by_id: Mapping[str, Mapping[str, Any]], objective: str) -> dict[str, dict[int, float]]:
    return {trial_id: _curve(state, objective) for trial_id, state in by_id.items()}


def _origins(by_id: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Returns the trial that each trial continues, of those that do."""
    stated = {trial_id: _values(state).get(ORIGIN) for trial_id, state in by_id.items()}
    return {trial_id: str(origin) for trial_id, origin in stated.items() if origin is not None}


def _read_plain(name: str, folder: Path, objectives: Sequence[Objective]) -> SourceTrials:
    """Reads a project of plain Keras Tuner, which says by its metrics what its scores are of."""
    problems: list[str] = []
    files = read_trials((trial.path for trial in StudyFolder(folder).begun()), problems)
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
    by_id = {trial_id: state for trial_id, state, _ in project.trials}
    curves, origins = _curves(by_id, objective.name), _origins(by_id)
    continued = {*origins.values()}
    for trial_id, state, result in project.trials:
        values = dig(state, "hyperparameters", "values")
        score = ranking.scores.get(trial_id)
        others = {o.name: best_of(state, o) for o in objectives[1:]}
        if (status := status_of((trial_id, state, result))) != "completed":
            skipped[status] += 1
        elif score is None:
            skipped["ranked by another objective"] += 1
        elif not isinstance(values, dict):
            skipped["damaged"] += 1
        elif trial_id in continued:
            skipped["continued as another trial"] += 1
        elif is_of_early_round(values):
            skipped["stopped early"] += 1
        elif (lacking := missing(others)) is not None:
            skipped[f"without {lacking}"] += 1
        else:
            curve = with_continued(trial_id, curves, origins)
            trials.append(PriorTrial(values, score, tuple(others.values()), curve))
    return SourceTrials(trials, skipped)


def _others(result: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns a trial's recorded values of further objectives."""
    try:
        return objective_values(objectives, result)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return dict.fromkeys(o.name for o in objectives)


def _objective_of(folder: Path) -> Objective | None:
    """Returns the objective that a study says it had."""
    record = read_dict(StudyFolder(folder).record)
    check_format(record, folder)
    stated = as_dict(record.get("objective"))
    name, direction = stated.get("name"), stated.get("direction")
    if not isinstance(name, str) or direction not in ("max", "min"):
        return None
    return Objective(clean(name, 60), direction)
