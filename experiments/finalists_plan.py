"""How many trainings finalists get, with which seeds, and which of them are tested.

Trainings that choose among finalists flatter the one they choose: it is the luckiest of them. So
the chosen one is trained once more on fresh seeds, and these trainings alone are tested.
"""

from experiments.config import SearchConfig
from experiments.errors import UserError
from experiments.trial import derive_seed
from reports.words import plural

# Streams of seeds. Recorded studies depend on them: a new use takes a new number.
CONFIRM_STREAM = 2
DEFAULT_STREAM = 3  # of trainings of a space's default
RACE_STREAM = 4  # of rounds: the same seeds for all contenders
FRESH_STREAM = 5  # of trainings that took part in no choice

FIRST_TEST = 3  # round after which a race first compares; the spread of two says nothing


def seeds_of(seed: int, stream: int, trial_id: str, count: int) -> list[int]:
    """Returns the seeds of a trial's first `count` trainings of a stream."""
    return [derive_seed(seed, stream, int(trial_id), index) for index in range(count)]


def is_choice(config: SearchConfig, num_finalists: int) -> bool:
    """Whether trainings choose the winner among finalists.

    Those of several objectives are different compromises, not contenders for one place: the knee
    stays what is recommended, but for a race, in which one that costs no more may replace it.
    """
    return num_finalists > 1 and (len(config.objectives) == 1 or config.race)


def num_trainings(config: SearchConfig) -> int:
    """Returns how many trainings confirming takes at most."""
    among = config.confirm * config.seeds
    fresh = config.seeds if is_choice(config, config.confirm) and not config.race else 0
    return among + fresh


def notices(config: SearchConfig) -> list[str]:
    """Says what is to be known of the finalists before a search begins."""
    if config.confirm <= config.max_trials:
        return []
    return [
        f"--confirm {config.confirm} is above --max-trials {config.max_trials}: there can be no "
        f"more than {plural(config.max_trials, 'finalist')}"
    ]


def race_budget(config: SearchConfig) -> int:
    """Returns how many trainings a race's rounds get: S of K times S are kept for the winner."""
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
