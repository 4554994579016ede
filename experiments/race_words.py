"""How finalists were ranked, in words, for the terminal."""

from collections.abc import Sequence

from experiments.racing import Drop, Race
from reports.words import plural, score


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
    return "; ".join([line, *map(drop_line, drops)])


def drop_line(drop: Drop) -> str:
    """Says why a contender was dropped."""
    if not drop.against:
        return f"{drop.name} is out: its training failed"
    return (
        f"{drop.name} is out: {score(drop.difference)} worse than {drop.against} "
        f"(p {drop.p_value:.2g}, {drop.level:.2g} needed)"
    )


def end_line(race: Race, ended_by: str) -> str:
    """Says what a race came to."""
    best = race.best()
    if best is None:
        return "race: every contender failed"
    if ended_by == "separated":
        return f"race: {best} is separated from all others after {race.spent} trainings"
    if ended_by == "failed":
        return f"race: only {best} is left, for the others' trainings failed; it was not compared"
    others = [name for name in race.alive if name != best]
    why = {"budget": "the budget ended", "deadline": "the deadline came"}[ended_by]
    return f"race: {why} before {best} was separated from {', '.join(others)}; it has the best mean"


def ranking_line(objective: str, names: Sequence[str], means: Sequence[float]) -> str:
    """Says how finalists stand after they were trained again, the best first."""
    stand = ", ".join(
        f"{name} {'failed' if mean != mean else format(mean, '.4f')}"
        for name, mean in zip(names, means, strict=True)
    )
    return f"finalists by mean {objective}, trained again: {stand}"


def fresh_line(name: str, count: int) -> str:
    """Says that the winner is trained once more, and why."""
    return (
        f"{name} is trained again with {plural(count, 'fresh seed')} for its test: the trainings "
        "that chose it flatter it"
    )
