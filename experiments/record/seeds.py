"""Seeds: every random number of a study comes from its own seed, by named streams."""

from enum import IntEnum

import numpy as np


def derive_seed(*parts: int) -> int:
    """Derives a seed of 31 bits from the study's seed, the trial's number and the like."""
    return int(np.random.SeedSequence(list(parts)).generate_state(1)[0] >> 1)


class Stream(IntEnum):
    """What seeds are for. Recorded studies depend on the numbers: a new use takes a new one."""

    TRIAL = 0
    ORACLE = 1  # kept apart from the trials'
    CONFIRM = 2
    DEFAULT = 3  # trainings of a space's default
    RACE = 4  # rounds: the same seeds for all contenders
    FRESH = 5  # trainings that took part in no choice


def seeds_of(seed: int, stream: int, trial_id: str, count: int) -> list[int]:
    """Returns the seeds of a trial's first `count` trainings of a stream."""
    return [derive_seed(seed, stream, int(trial_id), index) for index in range(count)]
