"""Trials that earlier versions recorded as failed for a file of the cache: no property of theirs.

Such a file is made anew today, or the search ends, and no trial fails of it. So a trial is run
again for this once at most.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.files import write_json
from reports.reading import dicts

# Nothing else is named as entries of the cache are, whatever a trial's values: see `cache.entries`.
_OF_CACHE = re.compile(
    r"(FileNotFoundError|PermissionError): \[Errno \d+\] [^']*'([^']*[/\\])?"
    r"(datasets[/\\][0-9a-f]{24}|features[/\\][0-9a-f]{32}(\.partial)?)[/\\]"
)
_ROUND = "tuner/bracket"  # Hyperband has decided on what came after such a trial


def failed_of_cache(result: Mapping[str, Any] | None) -> bool:
    """Whether a trial failed because a file of the cache was missing or could not be touched.

    Args:
        result: The content of `result.json`.
    """
    if result is None or result.get("status") != "failed" or result.get("cause") != "error":
        return False
    is_of_round = _ROUND in dict(result["hyperparameters"])
    return not is_of_round and bool(_OF_CACHE.match(str(result.get("message"))))


def begun_again(folder: Path, trial: Any, result: Mapping[str, Any]) -> Any:
    """Sets the files of a failed trial to what they were before its end.

    The result goes last: until then this is done again, should it be interrupted.

    Returns:
        The trial as one that runs.
    """
    from keras_tuner.engine import trial as trial_module

    from experiments.record import ATTEMPTS

    write_json(folder / ATTEMPTS, dicts(result.get("attempts")))
    again = trial_module.Trial(
        trial.hyperparameters, trial.trial_id, trial_module.TrialStatus.RUNNING
    )
    write_json(folder / "trial.json", again.get_state())
    (folder / "result.json").unlink()
    return again
