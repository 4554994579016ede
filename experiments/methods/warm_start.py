"""Earlier trials that inform a search: from studies, Keras Tuner projects, CSV files, Optuna."""

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner
from keras_tuner.engine import hyperparameters as hp_module

from experiments.hyperparameters.optuna_space import SpaceMap
from experiments.methods.prior_projects import read_folder
from experiments.methods.prior_trials import PriorTrial, SourceTrials, check_objective, is_number
from experiments.methods.prior_trials import missing as missing_of
from experiments.record.bookkeeping import own_values
from experiments.record.errors import UserError, first_line
from experiments.record.formatting import plural
from experiments.record.layout import StudyFolder
from experiments.record.objective import Objective
from experiments.record.passwords import hidden
from experiments.record.reading import clean
from experiments.record.schema import APART, CONTINUED, TRIAL_COLUMNS

if TYPE_CHECKING:
    import optuna

_MOST_NAMED = 50


def warm_start(
    sources: Sequence[str],
    space: keras_tuner.HyperParameters,
    objective: Objective,
    runs_dir: str | Path,
    further: Sequence[Objective] = (),
    takes_short: bool = False,
    grows: bool = False,
) -> tuple[list[PriorTrial], list[str]]:
    """Returns the earlier trials that fit `space`, and what was used and dropped, a line a source.

    Args:
        sources: Names or folders of studies, folders of Keras Tuner projects, CSV files, or URLs of
            Optuna storages (`URL#STUDY` where it holds several).
        space: Hyperparameters of this search.
        objective: Its objective; that of the sources has to be the same.
        runs_dir: Where studies are looked for by name.
        further: Its further objectives; trials of which one of them is not known are dropped.
        takes_short: Whether the search's method can use trials that were stopped early; else
            they are dropped.
        grows: Whether the search may come to know more hyperparameters: what the sources have of
            others is kept.

    Raises:
        UserError: A source can't be read, or is of another objective.
    """
    mapped, used, lines = SpaceMap(space.space), [], []
    for name in sources:
        source = _read(name, (objective, *further), Path(runs_dir), space.space)
        fitting, dropped = [], Counter(source.skipped)
        unknown: set[str] = set()
        for trial in source.trials:
            if trial.is_short and not takes_short:
                dropped["stopped early"] += 1
                continue
            own = own_values(trial.values)
            unknown |= own.keys() - mapped.names
            values = {n: v for n, v in own.items() if n in mapped.names}
            outside = mapped.dropped(values)
            if outside or not (mapped.shares(values) or (grows and not mapped.names)):
                dropped[f"{outside[0]} out of range" if outside else "nothing in common"] += 1
            else:
                fitting.append(replace(trial, values=own if grows else values))
        used += fitting
        lines.append(_line(name, fitting, dropped, unknown, grows))
    return used, lines


def _line(
    name: str,
    used: Sequence[PriorTrial],
    dropped: Counter[str],
    unknown: set[str],
    grows: bool,
) -> str:
    line = f"--from {hidden(name)}: {plural(len(used), 'trial')} used"
    if num_short := sum(trial.is_short for trial in used):
        line += f" ({num_short} of them stopped early)"
    if dropped:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(dropped.items()))
        line += f", {dropped.total()} dropped ({reasons})"
    if unknown:
        ignored = ", ".join(clean(name, 60) for name in sorted(unknown)[:_MOST_NAMED])
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        line += f"; not in this space {'so far' if grows else 'and ignored'}: {ignored}{more}"
    return line


def _read(
    name: str, objectives: Sequence[Objective], runs_dir: Path, space: Sequence[Any]
) -> SourceTrials:
    if "://" in name:
        return _read_optuna(name, objectives)
    path = Path(name)
    if path.suffix == ".csv":
        return _read_csv(path, objectives, space)
    folder = path if os.path.isdir(path) else runs_dir / name
    if not os.path.isdir(folder) or not StudyFolder(folder).begun():
        raise UserError(
            f"--from {name}: expected a study, a folder of a Keras Tuner project, a CSV file or "
            f"the URL of an Optuna storage; there are no trials in {str(folder)!r}"
        )
    return read_folder(name, folder, objectives)


def _read_csv(path: Path, objectives: Sequence[Objective], space: Sequence[Any]) -> SourceTrials:
    objective, *further = objectives
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--from {path}: can't be read: {error}") from None
    columns = list(rows[0]) if rows else []
    column = next((c for c in (objective.name, "score") if c in columns), None)
    if column is None:
        raise UserError(
            f"--from {path}: expected a column {objective.name!r} or 'score' with the results, "
            f"and one for each hyperparameter; got {', '.join(map(str, columns)) or 'no rows'}"
        )
    absent = [o.name for o in further if o.name not in columns]
    if absent:
        raise UserError(f"--from {path}: expected a column {absent[0]!r} too, an objective")
    # Of a table that this suite has written, which has names for what is no hyperparameter.
    of_suite = {"trial_id", "planned_epochs"} <= {*columns}
    planned: list[Any] = [
        _parsed(row["planned_epochs"] or "") if of_suite else None for row in rows
    ]
    most: float = max(filter(is_number, planned), default=0)
    choices: dict[str, dict[str, Any]] = {}  # hyperparameter -> text of a value -> the value
    for hp in space:
        if isinstance(hp, hp_module.Choice | hp_module.Fixed):
            choices.setdefault(hp.name, {}).update({str(value): value for value in hp.values})
    trials, skipped = [], Counter[str]()
    for row, epochs in zip(rows, planned, strict=True):
        status = (row.pop("status", None) or "completed").strip().lower()
        if status != "completed":
            skipped[status] += 1
            continue
        if is_number(epochs) and epochs < most:
            skipped["stopped early"] += 1
            continue
        score = _parsed(row.pop(column) or "")
        others = {o.name: _parsed(row.pop(o.name) or "") for o in further}
        missing = "a score" if not is_number(score) else missing_of(others)
        if missing is not None:
            skipped[f"without {missing}"] += 1
            continue
        named = _hyperparameters(row, objectives) if of_suite else row
        cells = {n: v for n, v in named.items() if n and isinstance(v, str) and v.strip()}
        values = {n: choices.get(n, {}).get(v, _parsed(v)) for n, v in cells.items()}
        trials.append(PriorTrial(values, float(score), tuple(others.values())))
    return SourceTrials(trials, skipped)


def _hyperparameters(row: Mapping[str, Any], objectives: Sequence[Objective]) -> dict[str, Any]:
    """Returns the cells of hyperparameters in a row of a table that this suite has written."""
    taken, found = {*TRIAL_COLUMNS, *(o.name for o in objectives)}, {}
    for column, value in row.items():
        name = column or ""  # without one where a row is longer than the first
        while name.endswith(APART):
            name = name.removesuffix(APART)
        if column not in taken:
            found[name if name in taken else column] = value
    return found


def _parsed(text: str) -> Any:
    """Returns the number or truth value that a cell holds, or its text."""
    truth = {"true": True, "false": False}.get(text.strip().lower())
    if truth is not None:
        return truth
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _read_optuna(name: str, objectives: Sequence[Objective]) -> SourceTrials:
    import optuna

    url, _, chosen = name.partition("#")
    try:
        _check_file(name, url)
        # Not a table is made in a database that is not Optuna's.
        storage = optuna.storages.RDBStorage(url, skip_table_creation=True)
        names = optuna.get_all_study_names(storage)
        if not chosen and len(names) != 1:
            there = ", ".join(names) or "none"
            raise UserError(
                f"--from {hidden(name)}: choose a study as {hidden(url)}#STUDY; there are {there}"
            )
        study = optuna.load_study(study_name=chosen or names[0], storage=storage)
    except UserError:
        raise
    except Exception as error:  # databases fail in as many ways as there are databases
        why = hidden(first_line(error))
        raise UserError(f"--from {hidden(name)}: can't be read: {why}") from None
    if len(study.directions) != len(objectives):
        raise UserError(
            f"--from {hidden(name)}: it has {plural(len(study.directions), 'objective')}, this "
            f"search {len(objectives)}: {', '.join(map(str, objectives))}"
        )
    names = study.metric_names or [o.name for o in objectives]
    for named, direction, objective in zip(names, study.directions, objectives, strict=True):
        most = direction == optuna.study.StudyDirection.MAXIMIZE
        check_objective(hidden(name), Objective(named, "max" if most else "min"), objective)
    trials, skipped = [], Counter[str]()
    found = study.get_trials(deepcopy=False)
    # Some count from 1, as this suite did once.
    first = min((step for trial in found for step in trial.intermediate_values), default=0)
    for trial in found:
        values, curve = trial.values or [], _known_curve(trial, from_=int(first == 1))
        if trial.user_attrs.get(CONTINUED):
            skipped["continued as another trial"] += 1
        elif trial.state == optuna.trial.TrialState.COMPLETE and all(map(is_number, values)):
            trials.append(PriorTrial(dict(trial.params), values[0], tuple(values[1:]), curve))
        elif trial.state == optuna.trial.TrialState.PRUNED and curve:
            last = curve[max(curve)]
            trials.append(PriorTrial(dict(trial.params), last, curve=curve, is_short=True))
        else:
            skipped[trial.state.name.lower()] += 1
    return SourceTrials(trials, skipped)


def _known_curve(trial: "optuna.trial.FrozenTrial", from_: int) -> dict[int, float]:
    return {step - from_: v for step, v in trial.intermediate_values.items() if is_number(v)}


def _check_file(name: str, url: str) -> None:
    """Checks that there is a database, which SQLite would make if there were none."""
    file = place_of(url)
    if file is not None and not file.is_file():
        raise UserError(f"--from {name}: there is no database {str(file)!r}")


def place_of(source: str) -> Path | None:
    """Returns the file or the folder of a source; `None` where a server has it, or it is none."""
    if "://" not in source:
        return Path(source)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(source.partition("#")[0])
    except ArgumentError:
        return None
    is_file = address.get_backend_name() == "sqlite"
    return Path(address.database or ":memory:") if is_file else None


def as_record(earlier: Sequence[PriorTrial]) -> list[dict[str, Any]]:
    """Returns earlier trials as plain data for `study.json`."""
    return [
        {"values": e.values, "score": e.score}
        | ({"further": list(e.further)} if e.further else {})
        | ({"curve" if e.is_short else "epochs": sorted(e.curve.items())} if e.curve else {})
        for e in earlier
    ]


def from_record(study: Mapping[str, Any]) -> list[PriorTrial]:
    """Returns the earlier trials that `study.json` holds, so that a resume needs no source."""
    return [
        PriorTrial(
            dict(e["values"]),
            float(e["score"]),
            tuple(map(float, e.get("further", ()))),
            {int(step): float(value) for step, value in e.get("curve", e.get("epochs", ()))},
            "curve" in e,
        )
        for e in study.get("earlier", [])
    ]
