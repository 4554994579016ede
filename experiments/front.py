"""Several objectives: which trials are on the front, which are confirmed, whose weights stay."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bookkeeping import own_values
from experiments.config import SearchConfig
from experiments.fidelity import is_left_behind, longest_first
from experiments.objective import LATENCY, Objective, described, objectives_of
from experiments.retention import CHECKPOINT, Retention
from reports.front import front_of
from reports.statistics.front import Front
from reports.words import are, plural

MOST_KEPT = 20  # trials of the front whose weights are kept


def finalists(oracle: Any, count: int) -> list[Any]:
    """Returns the trials that are confirmed, the recommended one first.

    They are of different networks, and trained whole where there are such trials. Of one objective
    they are the best; where trials got more epochs later, those that had fewer come after. Of
    several they are of the front: the knee, the best by the
    first objective, then those nearest to the ideal point; fewer where the front has fewer.

    Args:
        oracle: Holds the trials.
        count: How many, at most.
    """
    whole = _whole(oracle)
    ranked = longest_first(whole, oracle.asked) or oracle.get_best_trials(len(oracle.trials) or 1)
    if len(objectives_of(oracle)) > 1 and whole:
        front = _front_over(whole, oracle)
        ranked = [whole[position] for position in front.ranked()] or whole
    return _networks(ranked)[:count]


def _networks(trials: Sequence[Any]) -> list[Any]:
    """Returns the first trial of each network: one that was promoted is that of its origin."""
    found: dict[str, Any] = {}
    for trial in trials:
        values = own_values(trial.hyperparameters.values)
        found.setdefault(repr(sorted(values.items())), trial)
    return list(found.values())


def _whole(oracle: Any) -> list[Any]:
    """Returns the trials that were trained whole, the best by the first objective first."""
    best = oracle.get_best_trials(max(len(oracle.trials), 1))
    return [trial for trial in best if not is_left_behind(trial)]


def _front_over(trials: Sequence[Any], oracle: Any) -> Front:
    return front_of([oracle.values_of(trial) for trial in trials], objectives_of(oracle))


def members(oracle: Any) -> tuple[str, ...]:
    """Returns the ids of the front's trials, the best by the first objective first.

    Of one objective there is no front.
    """
    whole = _whole(oracle)
    if len(objectives_of(oracle)) == 1 or not whole:
        return ()
    return tuple(whole[position].trial_id for position in _front_over(whole, oracle).members)


def described_front(oracle: Any) -> tuple[str, ...]:
    """Returns lines that say what the front of several objectives is; none for one."""
    objectives, whole = objectives_of(oracle), _whole(oracle)
    if len(objectives) == 1 or not whole:
        return ()
    front = _front_over(whole, oracle)
    if not len(front.members):  # no trial has a number for every objective
        return ()
    names = ", ".join(o.name for o in objectives)
    count = len(front.members)
    of_all = f"{count} of {plural(len(whole), 'trial')} {are(count)}"
    lines = [f"front: {of_all} beaten by none in {names}"]
    best = int(front.members[0])
    roles = {} if front.knee is None else {front.knee: "knee"}
    roles[best] = " and ".join([*filter(None, [roles.get(best)]), f"best {objectives[0].name}"])
    for position, role in roles.items():
        trial = whole[position]
        values = dict(zip((o.name for o in objectives), oracle.values_of(trial), strict=True))
        lines.append(f"  {role}: trial {trial.trial_id}, {described(values, objectives)}")
    return tuple(lines)


class FrontRetention(Retention):
    """Keeps the weights of the best trials by the first objective, and of the front's.

    Of a front with more than `MOST_KEPT` trials, those that stand closest together lose theirs
    first (crowding distance: Deb et al. 2002, "A fast and elitist multiobjective genetic
    algorithm: NSGA-II").

    Args:
        folder: The study folder.
        objectives: Of the search; the first ranks trials.
        num_kept: Best trials whose weights are kept besides.
    """

    def __init__(self, folder: Path, objectives: Sequence[Objective], num_kept: int) -> None:
        super().__init__(folder, objectives[0], num_kept)
        self._objectives = objectives
        self._values: dict[str, Sequence[float]] = {}  # trial id -> values, if it may be kept
        self._with_weights: set[str] = set()

    @property
    def score_to_beat(self) -> float | None:
        """`None`: whether a trial is on the front is known only when its costs are."""
        return None

    def ended(
        self, trial_id: str, score: float | None, values: Sequence[float] | None = None
    ) -> None:
        """Takes note of a trial's end, and removes the weights that are not wanted any more."""
        self._note(trial_id, score, values)
        self._tidy()

    def recall(self, trials: Sequence[tuple[str, float | None, Sequence[float] | None]]) -> None:
        """Takes note of all trials of earlier sessions, then removes what is not wanted."""
        for trial in sorted(trials, key=lambda trial: not self._has_weights(trial[0])):
            self._note(*trial)
        self._tidy()

    def _note(self, trial_id: str, score: float | None, values: Sequence[float] | None) -> None:
        self._held.add(trial_id)
        if self._has_weights(trial_id):
            self._with_weights.add(trial_id)
        if score is not None:
            self._rank(trial_id, score, values is None)
        if values is not None:
            self._values[trial_id] = values

    def _tidy(self) -> None:
        wanted = {trial_id for *_, trial_id in self._best[: self._num_kept]} | self._front()
        for trial_id in self._with_weights - wanted:
            self._remove(trial_id, CHECKPOINT)
        self._with_weights &= wanted

    def _front(self) -> set[str]:
        ids = list(self._values)
        front = front_of(list(self._values.values()), self._objectives)
        places = [p for p, at in enumerate(front.members) if ids[at] in self._with_weights]
        while len(places) > MOST_KEPT:
            crowded = int(np.argmin(_crowding(front.losses[places])))
            del places[crowded]
        return {ids[front.members[place]] for place in places}


def _crowding(losses: Any) -> Any:
    """Returns how far apart each point's neighbours are; ends are infinitely far."""
    total = np.zeros(len(losses))
    for column in losses.T:
        order = np.argsort(column, kind="stable")
        gaps = np.full(len(losses), np.inf)
        gaps[order[1:-1]] = column[order[2:]] - column[order[:-2]]
        total += gaps
    return total


def make_retention(folder: Path, config: SearchConfig) -> Retention:
    """Returns what decides whose weights stay in a search."""
    num_kept = max(config.keep, config.confirm, 1)
    if len(config.objectives) == 1:
        return Retention(folder, config.parsed_objective, num_kept)
    return FrontRetention(folder, config.objectives, num_kept)


def notices(config: SearchConfig) -> list[str]:
    """Says what is to be known of a search with several objectives before it begins."""
    if len(config.objectives) == 1:
        return []
    first, *others = [o.name for o in config.objectives]
    lines = [
        f"{len(config.objectives)} objectives: {first} ranks trials and decides each one's best "
        f"epoch; the finalists are of the front over {', '.join([first, *others])}, the knee first"
    ]
    if config.pruner not in (None, "none"):
        lines.append(
            f"--pruner {config.pruner} compares by {first} alone: it stops networks that are "
            "cheap and less good, so the front's cheap end gets fewer trials"
        )
    if LATENCY in others:
        lines.append(_latency_notice(config))
    return lines


def _latency_notice(config: SearchConfig) -> str:
    text = (
        f"{LATENCY} is measured at each trial's end (one image, median of 30 calls or more): it "
        "differs from run to run, and with it what is proposed"
    )
    if config.ray is not None:
        return f"{text}; nodes of the cluster differ in speed, and trials beside disturb it"
    if config.workers not in (0, 1):
        return (
            f"{text}; workers share this machine and disturb it: take --workers 1, or measure "
            "again when the search is over (`experiments measure`)"
        )
    return text
