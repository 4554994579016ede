"""Trials by `keras_tuner.Tuner`, for `common.run_plain`: what to run comes on standard input."""

import json
import pickle
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from experiments.config import SearchConfig
from experiments.data.prepare import PreparedData
from experiments.hyperparameters.settings import parse_settings
from experiments.process.numerics import numerics
from search_spaces import space_class


class Replay(keras_tuner.Oracle):
    """Proposes given values, one trial after the other."""

    def __init__(self, proposals: Sequence[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(max_trials=len(proposals), **kwargs)
        self._proposals = list(proposals)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the next values."""
        if not self._proposals:
            return {"status": keras_tuner.engine.trial.TrialStatus.STOPPED, "values": None}
        return {
            "status": keras_tuner.engine.trial.TrialStatus.RUNNING,
            "values": self._proposals.pop(0),
        }


def run(
    config: SearchConfig, data: PreparedData, proposals: Sequence[dict[str, Any]], folder: Path
) -> list[float]:
    """Runs trials on arrays in memory.

    The networks are those of the search space, compiled with Keras' defaults, but for XLA, which
    stays off on a CPU, to Keras Tuner's advantage.

    Returns:
        Seconds of each trial.
    """

    class Plain(space_class(config.space)):  # type: ignore[misc]
        steps_per_execution = 1

    plain = Plain(data.shape, len(data.class_names), **parse_settings(config))
    ends = [time.perf_counter()]

    class Timed(keras_tuner.Tuner):
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    objective = config.parsed_objective
    tuner = Timed(
        oracle=Replay(
            proposals, objective=keras_tuner.Objective(objective.name, objective.direction)
        ),
        hypermodel=plain,
        directory=folder,
        project_name="plain",
    )
    train, validation = data.open("train"), data.open("validation")
    arrays = [np.array(a) for a in (train.images, train.labels)]
    held_out = tuple(np.array(a) for a in (validation.images, validation.labels))
    ends[0] = time.perf_counter()
    tuner.search(*arrays, validation_data=held_out, epochs=config.max_epochs, verbose=0)
    return [float(seconds) for seconds in np.diff(ends)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(f"plain Keras Tuner: oneDNN {'on' if numerics()['onednn'] else 'off'}")
    seconds = run(*pickle.load(sys.stdin.buffer), folder)
    (folder / "seconds.json").write_text(json.dumps(seconds))
