"""Plans the finalists' trainings: their number, their seeds, and which of them are tested.

Trainings that choose among finalists flatter the chosen one: it tends to be the luckiest. So it is
trained once more on fresh seeds, and only these trainings are tested.
"""

from experiments.config import SearchConfig
from experiments.record.errors import UserError
from experiments.record.formatting import plural

FIRST_TEST = 3  # round after which a race first compares; the spread of two says nothing


def notices(config: SearchConfig) -> list[str]:
    """Returns notices about the finalists, shown before the search begins."""
    if config.confirm <= config.max_trials:
        return []
    return [
        f"--confirm {config.confirm} is above --max-trials {config.max_trials}: there can be no "
        f"more than {plural(config.max_trials, 'finalist')}"
    ]


def race_budget(config: SearchConfig) -> int:
    """Returns the trainings in a race's rounds; of K times S, S are kept for the winner's test."""
    return (config.confirm - 1) * config.seeds


def check_race(config: SearchConfig) -> None:
    """Checks that a race can compare its contenders, so that it can drop one.

    Raises:
        UserError: Its budget ends before.
    """
    needed = FIRST_TEST * config.confirm
    if config.race and race_budget(config) < needed:
        raise UserError(
            f"--race with --confirm {config.confirm} --seeds {config.seeds} has "
            f"{race_budget(config)} trainings for its rounds ({config.seeds} are kept for the "
            f"winner's test) and needs {needed}, for it compares from round {FIRST_TEST} on: take "
            f"--seeds {-(-needed // (config.confirm - 1))} or more"
        )
