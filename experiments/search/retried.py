"""Trials that earlier versions recorded as failed for a file of the cache: no property of theirs.

Such a file is made anew today, or the search ends, and no trial fails because of it. So a trial
is run again for this once at most.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.record.files import write_json
from experiments.record.layout import TrialFolder
from experiments.record.reading import dicts

if TYPE_CHECKING:
    from keras_tuner.engine import trial as trial_module


def begun_again(
    folder: TrialFolder, trial: "trial_module.Trial", result: Mapping[str, Any]
) -> "trial_module.Trial":
    """Sets the files of a failed trial to what they were before its end.

    The result is removed last: an interruption before that has this done again.

    Returns:
        The trial as one that runs.
    """
    from keras_tuner.engine import trial as trial_module

    write_json(folder.attempts, dicts(result.get("attempts")))
    again = trial_module.Trial(
        trial.hyperparameters, trial.trial_id, trial_module.TrialStatus.RUNNING
    )
    write_json(folder.state, again.get_state())
    folder.result.unlink()
    return again
