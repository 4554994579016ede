"""Chooses finalists; of several objectives, the front and its description."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.config import SearchConfig
from experiments.record.bookkeeping import own_values
from experiments.record.fidelity import is_left_behind, longest_first
from experiments.record.formatting import are, plural
from experiments.record.front import Front, front_of
from experiments.record.objective import LATENCY, described, objectives_of

if TYPE_CHECKING:
    from experiments.methods.oracles.base import DurableOracle
    from experiments.record.ended_trials import EndedTrials


def finalists(oracle: "DurableOracle | EndedTrials", count: int) -> list[Any]:
    """Returns the trials that are confirmed, the recommended one first.

    They are of different networks, and fully trained if there are such trials. For one objective
    they are the best; trials with fewer epochs than others come last. For several objectives they
    are members of the front: the knee, the best by the first objective, then those nearest to the
    ideal point. There are fewer if the front has fewer.

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


def _whole(oracle: "DurableOracle | EndedTrials") -> list[Any]:
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
    """Describes the front in lines; none for one objective."""
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


def notices(config: SearchConfig) -> list[str]:
    """Returns notices about several objectives, shown before the search begins."""
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
