"""A row of the table: a figure, where it was measured, and what it should be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured rate.

    Args:
        figure: What was measured.
        case: Where.
        value: The rate, 0 to 1.
        asked: What it should be, as text: `<= 5 %`.
        holds: Whether it is, but for the noise of the simulation.
    """

    figure: str
    case: str
    value: float
    asked: str
    holds: bool


def at_most(figure: str, case: str, hits: int, draws: int, limit: float) -> Row:
    """Returns a row that holds where a rate is at most `limit`, within three standard errors."""
    slack = 3 * (limit * (1 - limit) / draws) ** 0.5
    return Row(figure, case, hits / draws, f"<= {100 * limit:.0f} %", hits / draws <= limit + slack)


def at_least(figure: str, case: str, hits: int, draws: int, limit: float) -> Row:
    """Returns a row that holds where a rate is at least `limit`, within three standard errors."""
    slack = 3 * (limit * (1 - limit) / draws) ** 0.5
    return Row(figure, case, hits / draws, f">= {100 * limit:.0f} %", hits / draws >= limit - slack)
