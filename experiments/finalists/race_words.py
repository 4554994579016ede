"""How finalists were ranked, in words, for the terminal."""

from collections.abc import Sequence

from experiments.finalists.race import Drop, Race
from experiments.record.formatting import listed, plural, score

_WHY = {"budget": "the budget ended", "deadline": "the deadline came"}


def round_line(race: Race, drops: Sequence[Drop]) -> str:
    """Says how the contenders stand after a round, and who was dropped."""
    names = [*race.alive, *(drop.name for drop in drops)]
    stand = sorted(
        (name for name in race.contenders if name in names),
        key=race.mean,
        reverse=race.direction == "max",
    )
    means = ", ".join(f"{name} {score(race.mean(name))}" for name in stand)
    line = f"race, round {race.rounds}, {race.spent} of {race.budget} trainings: {means}"
    return "; ".join([line, *(drop_line(drop, bool(race.costs)) for drop in drops)])


def drop_line(drop: Drop, has_costs: bool = False) -> str:
    """Says why a contender was dropped."""
    if not drop.against:
        return f"{drop.name} is out: its training failed"
    no_dearer = ", which costs no more" if has_costs else ""
    return (
        f"{drop.name} is out: {score(drop.difference)} worse than {drop.against}{no_dearer} "
        f"(p {drop.p_value:.2g}, {drop.level:.2g} needed)"
    )


def end_line(race: Race, ended_by: str) -> str:
    """Says how a race ended."""
    best = race.best()
    if best is None:
        return "race: every contender failed"
    if ended_by == "separated":
        failed = [drop.name for drop in race.drops if not drop.against]
        behind = [drop.name for drop in race.drops if drop.against]
        rest = listed(behind, 8) if failed else "all others"
        line = f"race: {best} is separated from {rest} after {race.spent} trainings"
        return f"{line}; the training of {listed(failed, 8)} failed" if failed else line
    if ended_by == "failed":
        return f"race: only {best} is left, for the others' trainings failed; it was not compared"
    if race.costs:
        return _front_line(race, best, ended_by)
    others = [name for name in race.alive if name != best]
    why = _WHY[ended_by]
    return f"race: {why} before {best} was separated from {', '.join(others)}; it has the best mean"


def _front_line(race: Race, best: str, ended_by: str) -> str:
    left = listed([name for name in race.contenders if name in race.alive], 8)
    if ended_by == "front":
        known = "each is clearly better than what costs less, or costs least"
    else:
        doubtful = [n for n in race.alive if race.place(n).get("standing") == "open"]
        known = f"{_WHY[ended_by]} before it was known whether {listed(doubtful, 8)} "
        known += f"{'is' if len(doubtful) == 1 else 'are'} better than what costs less"
    return f"race: {left} are left, {known}; {best} is recommended"


def ranking_line(
    objective: str, names: Sequence[str], means: Sequence[float], failed: Sequence[int]
) -> str:
    """Says how finalists stand after they were trained again, the best first."""
    stand = ", ".join(
        f"{name} {score(mean) or 'failed'}"
        + (f" ({plural(count, 'training')} failed)" if count and mean == mean else "")
        for name, mean, count in zip(names, means, failed, strict=True)
    )
    return f"finalists by mean {objective}, trained again: {stand}"


def fresh_line(name: str, count: int) -> str:
    """Says that the winner is trained once more, and why."""
    return (
        f"{name} is trained again with {plural(count, 'fresh seed')} for its test: the trainings "
        "that chose it flatter it"
    )
