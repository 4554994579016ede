"""Brings an oracle in line with the trial files, which are the truth, and says what it mended."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_tuner.engine import trial as trial_module

from experiments.methods.oracles.stored_trial import TrialReader
from experiments.record.ended_trials import checked_result, failed_of_cache
from experiments.record.files import remove_left_over
from experiments.record.layout import ATTEMPTS, SNAPSHOTS
from experiments.record.reading import read_json
from experiments.search.retried import begun_again
from experiments.search.trial_record import TrialRecord, note_asked, tell

Status = trial_module.TrialStatus
_ENDED = (Status.COMPLETED, Status.FAILED)


@dataclass
class Found:
    """What the folder of a trial holds.

    Args:
        folder: The folder.
        trial: What `trial.json` says.
        result: What `result.json` says, unless `trial.json` says that the trial has ended.
        mended: What was wrong with it.
    """

    folder: Path
    trial: Any = None
    result: dict[str, Any] | None = None
    mended: list[str] = field(default_factory=list)


def restore(folder: Path, record: TrialRecord, oracle: Any) -> list[str]:
    """Sets the state of `oracle` to what the trial files say.

    A file that can't be read is set aside, and costs its trial alone: it is run again.

    Returns:
        What was mended, and which trials go on.
    """
    remove_left_over(folder)
    reader = TrialReader()
    paths = [path for path in sorted(folder.glob("trial_*")) if path.is_dir()]
    found = [_read(path, oracle, reader) for path in paths]
    trials = [f for f in found if f.trial is not None]
    oracle.rebuild(f.trial for f in trials)
    mended = [line for f in found for line in f.mended]
    for f in trials:
        trial = oracle.trials[f.trial.trial_id]
        if f.result is not None:
            note_asked(oracle, f.result)
            (f.folder / ATTEMPTS).unlink(missing_ok=True)  # the result has them
        if trial.status in _ENDED:
            continue
        if f.result is not None:
            _end(oracle, trial, f.result)
            mended.append(f"trial {trial.trial_id} had ended")
            continue
        record.attempts.restore(trial.trial_id, "trial.json")
        mended.append(f"trial {trial.trial_id} goes on")
    oracle.flush()
    return mended


def _end(oracle: Any, trial: Any, result: dict[str, Any]) -> None:
    with suppress(ValueError):
        oracle._retry_queue.remove(trial.trial_id)
    oracle.ongoing_trials["restored"] = trial
    tell(oracle, trial, result)


def _read(folder: Path, oracle: Any, reader: TrialReader) -> Found:
    found = Found(folder)
    path = folder / "trial.json"
    found.trial = _load(found, path.name, lambda state: reader.trial(state, path))
    found.result = _load(found, "result.json", checked_result)
    if found.trial is None and found.result is None:
        _clear(folder)
    if found.trial is None and found.result is not None:
        found.trial = _trial_of(found.result, oracle)
        found.mended.append(f"trial {found.trial.trial_id} was restored from its result")
    if found.trial is not None and found.result is None and _has_lost_its_result(found):
        found.trial.status = Status.RUNNING
    if found.result is not None and failed_of_cache(found.result):
        found.trial = begun_again(folder, found.trial, found.result)
        found.result = None
        found.mended.append(f"trial {found.trial.trial_id} had failed of the cache")
    ended = found.trial is not None and found.trial.status in _ENDED
    if found.result is not None and ended:
        # The trial says the rest of what is needed; thousands of results would fill the memory.
        found.result = {n: found.result[n] for n in ("trial_id", "asked") if n in found.result}
    return found


def _clear(folder: Path) -> None:
    """Removes what another trial would take up that gets the number of a lost one."""
    for leftover in (*folder.glob(SNAPSHOTS), *folder.glob(ATTEMPTS)):
        leftover.unlink()


def _load(found: Found, name: str, parse: Any) -> Any:
    path = found.folder / name
    if not os.path.lexists(path):
        return None
    try:
        content = read_json(path)
        if f"trial_{content['trial_id']}" != found.folder.name:
            raise ValueError("it is of another trial")
        return parse(content)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        path.replace(path.with_name(f"{name}.damaged"))
        found.mended.append(
            f"{found.folder.name}/{name} can't be read, set aside as {name}.damaged"
        )
        return None


def _trial_of(result: dict[str, Any], oracle: Any) -> Any:
    hyperparameters = oracle.get_space()
    hyperparameters.values = dict(result["hyperparameters"])
    return trial_module.Trial(hyperparameters, result["trial_id"], Status.RUNNING)


def _has_lost_its_result(found: Found) -> bool:
    return (found.folder / "result.json.damaged").exists() and found.trial.status in _ENDED
