"""Trains a recorded trial again: a finalist for its model, a comparison's, one to be reproduced."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from experiments.display.base import Display
from experiments.executors import make_executor
from experiments.finalists.trainings import Outcome, Training, Trainings
from experiments.record.errors import UserError


def train_again(
    training: Training,
    folder: Path,
    display: Display,
    place: str = "finalists",
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """Trains once more, from where an interrupted attempt was left; what has ended is kept.

    Args:
        training: The training.
        folder: The study folder, or another one that is to hold what is kept.
        display: Shows how it goes.
        place: Folder in its `artifacts/` that keeps the training.
        environment: Variables of a process of its own to train in; this process if `None`.

    Raises:
        UserError: The training fails; nothing of it is kept.
        KeyboardInterrupt: It was interrupted, and is kept as far as it came.
    """
    workers = 0 if environment is None else 1
    with closing(make_executor(workers, environment=environment)) as executor:
        trainings = Trainings(folder, executor, display, {}, place=place)
        try:
            (outcome,) = trainings.run([training])
        finally:
            trainings.close()
    if outcome.failure is not None:
        trainings.remove(training)
        raise UserError(
            f"trial {training.trial_id} fails now that it is trained again with seed "
            f"{training.seed}: {outcome.failure}"
        )
    return outcome
