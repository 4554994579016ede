"""Decides which changes are allowed when a search is resumed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.config import FIELDS, OPTIONS, SearchConfig, check_fields
from experiments.data.prepare import PreparedData
from experiments.data.sources.argument import is_path
from experiments.finalists.plan import check_race
from experiments.record.errors import UserError
from experiments.record.files import finite
from experiments.record.formatting import ends_by_time, plural
from experiments.record.layout import StudyFolder
from experiments.record.passwords import all_hidden
from experiments.record.reading import clean
from experiments.record.schema import FORMAT
from experiments.record.study import picks
from experiments.search.places import check_space_place, whole
from experiments.search.places import recorded as found_now
from experiments.space_reference import find_reference

if TYPE_CHECKING:
    from experiments.hyperparameters.ranges import Widened

CHANGEABLE = tuple(name for name, option in OPTIONS.items() if option.resume)


def changed_config(
    record: Mapping[str, Any], folder: Path, changes: Mapping[str, Any]
) -> SearchConfig:
    """Returns the config of a study with `changes`.

    Args:
        record: The content of `study.json`.
        folder: The study folder, wherever it is now.
        changes: Fields of `SearchConfig`.

    Raises:
        UserError: One of them can't change after the start of a study.
    """
    recorded = {n: v for n, v in dict(record["config"]).items() if n in FIELDS}
    recorded.setdefault("starting_points", False)  # studies were begun before there were any
    # A deadline applies only to the session that it was given for.
    recorded |= found_now(recorded, folder) | {
        "deadline": None,
        "name": folder.name,
        "runs_dir": str(folder.parent),
    }
    check_fields(changes, "changes")
    changes = dict(changes) | whole(changes)
    _check_ray(folder, recorded.get("ray"), changes)
    if "space" in changes:
        changes["space"] = as_named(recorded.get("space"), changes["space"])
    elif isinstance(recorded.get("space"), str):
        check_space_place(recorded["space"], folder)
    if changes.get("method") == "auto" and picks(record):
        del changes["method"]
    for table in ("ranges", "method_settings"):  # earlier entries stay valid
        if isinstance(changes.get(table), Mapping):
            changes[table] = {**recorded.get(table, {}), **changes[table]}
    if isinstance(changes.get("tries"), list | tuple):
        changes["tries"] = _with_added(recorded.get("tries", []), changes["tries"])
    try:
        before = SearchConfig(**recorded)
        after = SearchConfig(**(recorded | changes))
    except TypeError as error:
        raise UserError(f"{str(StudyFolder(folder).record)!r} can't be read: {error}") from None
    for name in sorted(FIELDS - {*CHANGEABLE, "name", "runs_dir"}):
        was, now = _plain(before, name), _plain(after, name)
        moved = name == "dataset" and is_path(was) and is_path(now)  # `check_same` checks that
        moved |= name == "space" and find_reference(was) is not None is not find_reference(now)
        if was != now and not moved:
            flag = OPTIONS[name].flag if name in OPTIONS else f"--{name}"
            raise UserError(
                f"study {folder.name!r} was begun with {flag} {_shown(was)}, which can't "
                f"become {_shown(now)} when it is resumed: start a new study, or leave that option "
                "out"
            )
    if any(getattr(before, name) != getattr(after, name) for name in ("race", "confirm", "seeds")):
        check_race(after)
    _check_room(folder, after, before.max_trials, len(after.tries) - len(before.tries))
    # Earlier trials were copied into the record at the start of the study.
    return replace(after, sources=())


def as_named(recorded: object, given: str) -> str:
    """Returns where a model is now, with the recorded name if none is given."""
    now = find_reference(given)
    was = find_reference(recorded) if isinstance(recorded, str) else None
    if now is None or was is None or now.name is not None:
        return given
    return replace(now, name=was.name).full


def check_end(folder: Path, recorded: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Checks that a search which only its deadline limited is limited again.

    Args:
        folder: The study folder.
        recorded: The recorded fields of `SearchConfig`.
        changes: The requested ones.

    Raises:
        UserError: It is not.
    """
    is_timed = ends_by_time(recorded.get("max_trials", 0), recorded.get("method"))
    if is_timed and changes.get("deadline") is None and "max_trials" not in changes:
        begun = len(StudyFolder(folder).begun())
        raise UserError(
            f"study {folder.name!r} was limited by its deadline alone: give --deadline to go on, "
            f"or --max-trials {max(begun, 1)} to finish with the trials there are"
        )


def _check_ray(folder: Path, address: object, changes: Mapping[str, Any]) -> None:
    """Checks that the current command names the cluster: the study folder is untrusted."""
    if address not in (None, "local", "none") and "ray" not in changes:
        raise UserError(
            f"study {folder.name!r} ran on a Ray cluster, which is not connected to unless it is "
            f"named: give --ray {clean(address, 80)} to resume there, or --ray none to resume here"
        )


def may_be_picked_again(record: Mapping[str, Any], config: SearchConfig) -> bool:
    """Returns whether `auto` may pick a study's method anew, now that it gets more trials.

    The method is kept if it was given settings, or earlier trials.

    Args:
        record: The content of `study.json`.
        config: The requested configuration.
    """
    grows = config.max_trials > int(record["config"]["max_trials"])
    held = config.method_settings or record.get("earlier")
    return bool(grows and not held and picks(record))


def _with_added(before: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Returns old and new points; a file's list may begin with the old ones."""
    same = _plain_points(given[: len(before)]) == _plain_points(before)
    return list(given) if same else [*before, *given]


def with_lacking(before: Sequence[Any], given: Sequence[Any]) -> list[Any]:
    """Returns old points and those given that are not among them: a script names all of its own."""
    known = _plain_points(before)
    plain = zip(given, _plain_points(given), strict=True)
    return [*before, *(point for point, same in plain if same not in known)]


def _plain_points(points: Sequence[Any]) -> list[Any]:
    if not all(isinstance(point, Mapping) for point in points):
        return list(points)  # SearchConfig refuses them
    return [{n: str(v) for n, v in point.items()} for point in points]


def _check_room(folder: Path, config: SearchConfig, before: int, num_new: int) -> None:
    """Checks that started trials are within the limit, and that new points have room."""
    begun = len(StudyFolder(folder).begun())
    if config.max_trials < min(begun, before):
        raise UserError(
            f"--max-trials {config.max_trials}: study {folder.name!r} has begun "
            f"{plural(begun, 'trial')}, which stay: give {begun} or more"
        )
    if num_new > config.max_trials - begun:
        raise UserError(
            f"--try: {num_new} more for study {folder.name!r}, which has begun {begun} "
            f"of {config.max_trials} trials: give --max-trials {begun + num_new} or more"
        )


def _plain(config: SearchConfig, name: str) -> Any:
    if name == "objective":
        return ", ".join(map(str, config.objectives))
    value = getattr(config, name)
    if name == "sources":
        return tuple(all_hidden(value))
    # Values come as text from the command line and as numbers from a file.
    return {n: str(v) for n, v in value.items()} if isinstance(value, Mapping) else value


def _shown(value: object) -> str:
    """Returns a value as an option takes it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{n}={v}" for n, v in value.items()) or "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "nothing" if value is None or value == "" else str(value)


def check_same(
    record: Mapping[str, Any], space: list[dict[str, Any]], data: PreparedData
) -> "list[Widened]":
    """Checks that data and space are unchanged, except for wider ranges.

    Returns:
        The ranges that are wider now.

    Raises:
        UserError: Something else has changed; the difference is named.
    """
    from experiments.hyperparameters.ranges import widened

    was, now = record["dataset"].get("fingerprint"), data.fingerprint
    if not data.is_recorded(record["dataset"]):
        why = data.why_changed(record["dataset"])
        if was != now:
            why = f"its splits had the fingerprint {was}, now it is {now} ({why})"
        raise UserError(
            f"dataset {data.name!r} has changed since the study was begun: {why}; restore it, or "
            "start a new study"
        )
    return widened(record["space"], finite(space))


def as_now(
    record: dict[str, Any], folder: Path, config: SearchConfig, data: PreparedData
) -> dict[str, Any]:
    """Returns the content of `study.json` updated with the request and the current folders."""
    kept = {"name": folder.name, "sources": record["config"].get("sources", [])}
    # Facts of the dataset may not have been recorded then.
    dataset = data.record() | record["dataset"] | {"name": config.dataset}
    whole = record["config"] | config.as_dict() | kept
    now = {"format": FORMAT, "config": whole, "name": folder.name, "dataset": dataset}
    return record | now
