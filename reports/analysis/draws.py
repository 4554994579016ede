"""Which trials were proposed independently of results: only these are a sample of the space."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.record.formatting import is_missing, text
from experiments.record.methods import METHODS, optuna_methods
from experiments.record.reading import as_dict, as_number, dicts, dig, read_dict
from experiments.record.study import picks
from reports.study.study import Study

if TYPE_CHECKING:
    import pandas as pd
UNKNOWN = "unknown method"
_METHOD = re.compile(r"--method (\w+)")
_GRID_POINTS = 10  # values of a range without steps in Keras Tuner's grid
# State that every oracle of Keras Tuner keeps; one that keeps more is no random search.
_PLAIN_STATE = {
    "ongoing_trials", "hyperparameters", "space", "start_order", "end_order", "run_times",
    "retry_queue", "seed", "seed_state", "tried_so_far", "id_to_hash", "display", "trials",
    "max_trials", "max_collisions", "values",
}  # fmt: skip


@dataclass(frozen=True)
class Draws:
    """The trials that were drawn independently of results.

    Args:
        trial_ids: Their ids. Promoted trials are not among them: their networks were drawn before.
        method: The method that proposed the others, or `UNKNOWN`.
        whole: Whether the method uses no results at all.
    """

    trial_ids: frozenset[str]
    method: str
    whole: bool

    @property
    def is_whole_grid(self) -> bool:
        """Whether a grid was run to its end: there are no other points."""
        return self.whole and self.method == "grid"


def proposed(what: str, method: str) -> str:
    """Says what proposed trials that were not drawn at random.

    Args:
        what: The trials, such as `most networks`.
        method: As in `Draws`.
    """
    if method == UNKNOWN:
        return f"how {what} were proposed is not recorded"
    return f"{what} were proposed by {method}"


def independent(study: Study) -> Draws:
    """Finds the independent draws of a study.

    All trials of random search, quasi-random search and Hyperband's first rounds are independent.
    So are the initial random trials of methods that learn from results, and a grid that was run to
    its end. Given points, such as the space's default, are not draws. Where the method isn't
    recorded, as in a project of plain Keras Tuner, only trials that are known to be draws count.
    """
    method, count = _method_and_count(study)
    first = study.trials[study.trials["origin"].isna()]
    given = set(_given(study, first)) if method in optuna_methods() else set()
    drawn = first if count is None else first[first["number"] <= count]
    return Draws(frozenset(drawn["trial_id"]) - given, method, count is None)


def _method_and_count(study: Study) -> tuple[str, int | None]:
    """Returns the method, and how many of its first trials are draws; `None` for all."""
    if not study.record:
        return _plain(study)
    method = str(dig(study.record, "config", "method"))
    if _is_blind(method):
        return method, None
    if method == "grid":
        return method, None if _grid_is_whole(study) else 0
    return method, _startup(study, method)


def _startup(study: Study, method: str) -> int:
    """Returns how many trials were certainly drawn at random, whatever ran at the same time."""
    settings = as_dict(dig(study.record, "config", "method_settings"))
    if method == "bayesian":
        given = as_number(settings.get("num_initial_points"))
        return int(given) if given > 0 else max(3 * len(study.searched), 3)
    changed = _changed(study)
    if changed is not None:  # `auto` picked twice: draws of its first method count
        first, until = changed
        return until if _is_blind(first) else min(until, _startup_of(first, settings))
    return max(_startup_of(method, settings) - len(dicts(study.record.get("earlier"))), 0)


def _startup_of(method: str, settings: Mapping[str, Any]) -> int:
    for name, setting in METHODS[method].settings.items() if method in METHODS else ():
        if setting.is_startup:
            given = as_number(settings.get(name))
            return int(given) if given > 0 else int(setting.default or setting.at_least)
    return 0


def _is_blind(method: str) -> bool:
    return method in METHODS and METHODS[method].blind


def _changed(study: Study) -> tuple[str, int] | None:
    """Returns the method that `auto` picked first, and how many trials it proposed."""
    if len(picks(study.record)) < 2:
        return None
    first, second = [s for s in dicts(study.record.get("sessions")) if s.get("picked")][:2]
    named = _METHOD.search(str(first["picked"]))
    until = as_number(second.get("first_trial"))
    return (named.group(1) if named else "", int(until) if until > 0 else 0)


def _grid_is_whole(study: Study) -> bool:
    """Whether a grid was run to its end: a part of it is a corner of the space, not a sample."""
    most = as_number(dig(study.record, "config", "max_trials"))
    ended = [s.get("ended_by") for s in dicts(study.record.get("sessions"))]
    return "search_ended" in study.record and not any(ended[-1:]) and len(study.trials) < most


def _given(study: Study, first: "pd.DataFrame") -> Iterator[str]:
    """Yields the ids of the trials whose points were given."""
    names = {hp["name"]: column for column, hp in study.hyperparameters.items()}
    sessions = [s for s in dicts(study.record.get("sessions")) if "points" in s]
    points = [p for s in sessions for p in (*dicts(s["points"]), *dicts(s.get("starting_points")))]
    if not sessions:  # recorded before points were, or not recorded
        points = dicts(dig(study.record, "config", "tries"))
        if dig(study.record, "config", "try_default") is not False:
            points = [{n: hp["default"] for n, hp in _with_default(study)}, *points]
    for point in points:
        wanted = {names[n]: _same(v) for n, v in point.items() if n in names}
        for _, row in first.iterrows() if wanted else ():
            if all(is_missing(row[c]) or _same(row[c]) == v for c, v in wanted.items()):
                yield str(row["trial_id"])
                break


def _with_default(study: Study) -> Iterator[tuple[str, dict[str, Any]]]:
    for hp in study.hyperparameters.values():
        if "default" in hp and not is_missing(hp["default"]):
            yield hp["name"], hp


def _same(value: object) -> str:
    """Returns a value as text that does not depend on how the value is stored."""
    known = math.nan if isinstance(value, bool | np.bool_) else as_number(value)
    return text(value) if math.isnan(known) else f"{known:.10g}"


def _plain(study: Study) -> tuple[str, int | None]:
    """Infers the method of a project of plain Keras Tuner from its oracle's state."""
    state = read_dict(study.files.oracle)
    if "hyperband_iterations" in state or study.trials["planned_epochs"].notna().any():
        return "hyperband", None
    if "num_initial_points" in state:
        return "bayesian", _plain_startup(study, state)
    if state and set(state) <= _PLAIN_STATE and _beyond_grid(study):
        return "random", None
    return UNKNOWN, 0


def _plain_startup(study: Study, state: dict[str, Any]) -> int:
    """Returns how many trials Keras Tuner's Bayesian search drew, where their order is known."""
    order = state.get("start_order")
    in_order = isinstance(order, list) and list(map(str, order)) == list(study.trials["trial_id"])
    given = as_number(state["num_initial_points"])
    return (int(given) if given > 0 else max(3 * len(study.searched), 3)) if in_order else 0


def _beyond_grid(study: Study) -> bool:
    """Whether a range without steps took more values than Keras Tuner's grid gives it."""
    return any(
        hp.get("kind") == "Float"
        and hp.get("step") is None
        and study.trials[column].nunique() > _GRID_POINTS
        for column, hp in study.hyperparameters.items()
    )
