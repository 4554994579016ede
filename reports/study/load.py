"""Loads a study folder into pandas frames; what a file lacks is missing in the frame."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from experiments.record.errors import UserError
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder
from experiments.record.objective import COSTS, Objective
from experiments.record.plain_project import PlainProject, plain_space, read_project
from experiments.record.reading import as_dict, as_number, clean, dicts, dig, read_json, scalar
from experiments.record.schema import APART, TRIAL_COLUMNS, check_format
from experiments.record.study import find_study
from experiments.record.test_uses import damaged_lists
from experiments.record.trial_index import (
    Scan,
    read_compact,
    read_result,
    read_trials,
    scan,
    trial_id_of,
)
from reports.study.fidelity import handicaps
from reports.study.frames import epochs_frame, trials_frame, value_of
from reports.study.metrics import is_proportion
from reports.study.study import Study

if TYPE_CHECKING:
    import pandas as pd

_BOOKKEEPING = "tuner/"  # Hyperband keeps its rounds among the hyperparameters
_MOST_OBJECTIVES = 20
_PARTS = ("config", "objective", "dataset", "environment")


Kind = TypeVar("Kind", bound=Study)


def load_study(study: str | Path, runs_dir: str | Path = "runs") -> Study:
    """Loads a study by the path of its folder, or by its name in `runs_dir`.

    Raises:
        UserError: There is no such study, or its record can't be read.
    """
    return load_as(Study, study, runs_dir)


def load_as(kind: type[Kind], study: str | Path, runs_dir: str | Path = "runs") -> Kind:
    """Loads a study as `load_study` does, into an object of class `kind`."""
    folder = find_study(study, runs_dir)
    record = read_record(folder)
    found = scan(folder)
    if not record and not found.stamps:
        raise UserError(f"{str(folder)!r} is no study: it has neither study.json nor trials")
    with damage_refused(folder):
        return _assemble(folder, record, found, kind)


def read_record(folder: Path) -> dict[str, Any]:
    """Reads `study.json`; plain Keras Tuner leaves none, which gives an empty record.

    Raises:
        UserError: It exists and can't be read.
    """
    path = StudyFolder(folder).record
    record = read_json(path) if path.is_file() else {}
    if not isinstance(record, dict):
        raise UserError(f"{str(path)!r} is no study record: expected an object")
    check_format(record, folder)
    return record


@contextmanager
def damage_refused(folder: Path, done: str = "read") -> Iterator[None]:
    """Refuses a damaged record in one line where the damage is not known more exactly.

    Args:
        folder: The study folder.
        done: What can't be done with the study.

    Raises:
        UserError: The code within the context failed.
    """
    try:
        yield
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise UserError(
            f"study {folder.name!r} can't be {done}: its record is damaged "
            f"({type(error).__name__}: {clean(str(error))})"
        ) from error


def _assemble(folder: Path, record: dict[str, Any], found: Scan, kind: type[Kind]) -> Kind:
    problems = _absent(folder, record)
    is_short = "objective" in record and bool(record.get("space"))  # the rest is in study.json
    paths = (folder / name for name in found.stamps)
    states = read_compact(folder, problems, found) if is_short else read_trials(paths, problems)
    plain = None if "objective" in record else read_project(folder, states, problems)
    states = states if plain is None else plain.trials
    space = check_space(record["space"]) if record.get("space") else plain_space(states)
    objective, direction = _objective(record, plain)
    objectives = _objectives(record, Objective(objective, direction), problems)
    metrics = [o.name for o in objectives[1:] if not o.is_cost]
    hyperparameters = _columns(space, metrics)
    measured = _measured(folder, problems)
    problems += damaged_lists(folder)
    trials = trials_frame(states, hyperparameters, measured, metrics, plain is None)
    return kind(
        folder=folder,
        name=clean(record.get("name", folder.name)),
        record=record,
        objective=objective,
        direction=direction,
        trials=trials,
        read_epochs=partial(_epochs, folder, [trial_id for trial_id, _, _ in states]),
        hyperparameters=hyperparameters,
        finalists=read_finalists(folder, problems),
        confirmed=_confirmed(folder, problems),
        model=_model(folder, problems),
        problems=tuple(problems),
        objectives=objectives,
        notes=() if plain is None else plain.notes,
        is_ordered=plain is None or plain.is_ordered,
        end_order=() if plain is None else plain.end_order,
        handicaps=handicaps(states, record),
    )


def _absent(folder: Path, record: dict[str, Any]) -> list[str]:
    """Names what `study.json` should hold and does not."""
    if not StudyFolder(folder).record.is_file():
        return []  # plain Keras Tuner writes none
    lacking = [n for n in _PARTS if not isinstance(record.get(n), dict) or not record[n]]
    return [f"study.json lacks {', '.join(lacking)}"] if lacking else []


def _epochs(folder: Path, trial_ids: Sequence[str], only: str | None = None) -> "pd.DataFrame":
    """Reads the epochs of trials, in their order; a trial that is gone by now has none."""
    asked = trial_ids if only is None else [only]
    found = {trial_id_of(name): folder / name for name in scan(folder).stamps}
    results = {i: read_result(found[i]) for i in asked if i in found}
    return epochs_frame([(i, {}, result) for i, result in results.items()])


def check_space(space: object) -> list[dict[str, Any]]:
    """Returns the `space` of a record.

    Raises:
        UserError: It is not a list of hyperparameters.
    """
    if not isinstance(space, list) or not all(
        isinstance(hp, dict) and isinstance(hp.get("name"), str) for hp in space
    ):
        raise UserError("the study record is damaged: `space` should list hyperparameters by name")
    return space


def _columns(space: list[dict[str, Any]], metrics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Names a column for each hyperparameter; none has the name of a field of the trial."""
    columns: dict[str, dict[str, Any]] = {}
    for hp in space:
        if hp["name"].startswith(_BOOKKEEPING):
            continue
        column = clean(hp["name"], 120)
        while column in TRIAL_COLUMNS or column in metrics or column in columns:
            column += APART
        columns[column] = _describe(hp)
    return columns


def _describe(hp: dict[str, Any]) -> dict[str, Any]:
    described = hp | {
        "kind": clean(hp.get("kind", ""), 20),
        "conditions": dicts(hp.get("conditions")),
    }
    if "default" in hp:
        described["default"] = value_of(described, _default(described))
    for end in ("min_value", "max_value"):
        if end in hp:
            described[end] = as_number(hp[end])
            if math.isnan(described[end]):
                del described[end]
    if not isinstance(described.get("values", []), list):
        del described["values"]
    elif "values" in described:
        described["values"] = [scalar(value) for value in described["values"]]
    return described


def _default(hp: dict[str, Any]) -> Any:
    """Returns a default; where none was given, Keras Tuner takes the least or first value."""
    if hp["default"] is not None:
        return hp["default"]
    values = hp.get("values")
    first = values[0] if isinstance(values, list) and values else None
    return {"Choice": first, "Boolean": False}.get(hp["kind"], hp.get("min_value"))


def _objective(record: dict[str, Any], plain: PlainProject | None) -> tuple[str, str]:
    if plain is not None:
        return plain.ranking.name, plain.ranking.direction
    objective = record["objective"]
    name, direction = dig(objective, "name"), dig(objective, "direction")
    if not isinstance(name, str) or direction not in ("max", "min"):
        raise UserError(
            "the study record is damaged: `objective` should have a name and a direction, "
            f"max or min; got {clean(objective)}"
        )
    return clean(name), direction


def _objectives(
    record: dict[str, Any], first: Objective, problems: list[str]
) -> tuple[Objective, ...]:
    """Returns all objectives; further ones that can't be read are named and left out."""
    found = {first.name: first}
    for stated in dicts(record.get("objectives"))[:_MOST_OBJECTIVES]:
        name, direction = stated.get("name"), stated.get("direction")
        if (
            isinstance(name, str)
            and direction in ("max", "min")
            and name not in {*TRIAL_COLUMNS} - {*COSTS}
        ):
            found.setdefault(clean(name, 60), Objective(clean(name, 60), direction))
        else:
            problems.append(f"study.json names an objective that is none: {clean(stated)}")
    return tuple(found.values())


def _measured(folder: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    stored = as_dict(_artifact(StudyFolder(folder).latency, problems))
    return {trial_id: as_dict(costs) for trial_id, costs in as_dict(stored.get("trials")).items()}


def _model(folder: Path, problems: list[str]) -> dict[str, Any] | None:
    path = StudyFolder(folder).model_facts
    return as_dict(_artifact(path, problems)) if path.is_file() else None


def _artifact(path: Path, problems: list[str]) -> Any:
    try:
        return read_json(path) if path.is_file() else None
    except UserError as error:
        problems.append(f"left out: {clean(str(error))}")
        return None


def read_finalists(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    """Reads the trials that were trained again after the search; see `Study.finalists`."""
    return _runs_of(StudyFolder(folder).finalists, problems)


def _confirmed(folder: Path, problems: list[str]) -> list[dict[str, Any]]:
    paths = sorted(StudyFolder(folder).confirmed.glob("*.json"))
    return [record for path in paths for record in _runs_of(path, problems)]


def _runs_of(path: Path, problems: list[str]) -> list[dict[str, Any]]:
    """Reads trials that were trained again; runs without a test score are dropped and named."""
    records, stored = [], _artifact(path, problems)
    if stored is not None and len(dicts(stored)) != len(
        stored if isinstance(stored, list) else [0]
    ):
        problems.append(f"{path.name} is damaged: it should list trials that were trained again")
    for record in dicts(stored):
        whole = dicts(record.get("runs"))
        places = [number for number, run in enumerate(whole) if _is_tested(run)]
        runs, lost = [whole[number] for number in places], len(whole) - len(places)
        exported = record.get("exported_run")
        if exported is not None:  # its place is another one among those
            record["exported_run"] = places.index(exported) if exported in places else -1
        if lost:
            have = "has" if lost == 1 else "have"
            problems.append(f"{plural(lost, 'run')} of {path.name} {have} no test score")
        trial_id = clean(str(record.get("trial_id")), 40)
        records.append(record | {"trial_id": trial_id, "runs": runs})
    return records


def _is_tested(run: dict[str, Any]) -> bool:
    tested, size = as_dict(run.get("test")), as_number(run.get("test_size"))
    usable = {n: v for n, v in tested.items() if _is_value_of(clean(n, 60), as_number(v))}
    run["seed"] = scalar(run.get("seed"))
    run["test"] = {clean(n, 60): as_number(v) for n, v in usable.items()}
    return bool(usable) and size >= 1


def _is_value_of(metric: str, value: float) -> bool:
    return math.isfinite(value) and (not is_proportion(metric) or 0 <= value <= 1)
