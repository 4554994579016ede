"""A `fit` of a space's own that trains in stages ends where it is told to."""

from pathlib import Path

import pytest

from experiments.training.run import run_trial
from experiments.training.task import Answer, TrialResult
from tests.hyperparameters.own_models import FIT, task_of, write

STAGES = """for stage in {stages}:
            history = model.fit(*args, epochs=stage, **kwargs)
        return history"""


def trained(stages: list[int], told: dict[int, Answer], folder: Path, cache: Path) -> TrialResult:
    """Trains for two epochs as asked, and stages as done; `told` after how many of them what."""
    body = STAGES.format(stages=stages)
    path = write(folder, FIT.format(parameters="*args, epochs, **kwargs", body=body))
    count = iter(range(1, 99))
    return run_trial(
        task_of(path, cache),
        lambda execution, epoch, metrics: told.get(next(count), Answer.GO),
    )


@pytest.mark.parametrize(
    ("stages", "told", "status", "num_epochs"),
    [
        ([1, 1], {1: Answer.STOP}, "pruned", 1),
        ([1, 1], {1: Answer.PAUSE}, "paused", 1),
        ([2, 2], {2: Answer.STOP}, "pruned", 2),  # as many epochs as asked, but not all
        ([2, 2], {3: Answer.STOP}, "pruned", 3),
        ([1, 1], {2: Answer.STOP}, "completed", 2),  # nothing is left
        ([2], {2: Answer.PAUSE}, "completed", 2),
    ],
)
def test_no_stage_begins_after_a_training_was_told_to_end(
    stages: list[int],
    told: dict[int, Answer],
    status: str,
    num_epochs: int,
    tmp_path: Path,
    cache_dir: Path,
) -> None:
    result = trained(stages, told, tmp_path, cache_dir)
    assert result.status == status, result.traceback
    assert len(result.executions[0].history["val_accuracy"]) == num_epochs
