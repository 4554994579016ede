"""Seeds: every random number of a study comes from its own seed, by named streams."""

import numpy as np


def derive_seed(*parts: int) -> int:
    """Derives a seed of 31 bits from the study's seed, the trial's number and the like."""
    return int(np.random.SeedSequence(list(parts)).generate_state(1)[0] >> 1)


# Streams of seeds. Recorded studies depend on them: a new use takes a new number.
CONFIRM_STREAM = 2


DEFAULT_STREAM = 3  # of trainings of a space's default


RACE_STREAM = 4  # of rounds: the same seeds for all contenders


FRESH_STREAM = 5  # of trainings that took part in no choice


def seeds_of(seed: int, stream: int, trial_id: str, count: int) -> list[int]:
    """Returns the seeds of a trial's first `count` trainings of a stream."""
    return [derive_seed(seed, stream, int(trial_id), index) for index in range(count)]
