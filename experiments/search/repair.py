"""Restores an oracle from the trial files, the only source of truth, and reports repairs."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_tuner.engine import trial as trial_module

from experiments.methods.oracles.stored_trial import TrialReader
from experiments.record.ended_trials import failed_of_cache
from experiments.record.errors import UserError
from experiments.record.files import remove_left_over
from experiments.record.layout import TRIAL, StudyFolder, TrialFolder, first_aside, set_aside
from experiments.record.objective import objectives_of
from experiments.record.reading import read_json
from experiments.record.schema import checked_result
from experiments.search.retried import begun_again
from experiments.search.trial_record import TrialRecord, check_reports, note_asked, tell

Status = trial_module.TrialStatus
_ENDED = (Status.COMPLETED, Status.FAILED)
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)


@dataclass
class Found:
    """What the folder of a trial holds.

    Args:
        folder: The folder.
        trial: Content of `trial.json`.
        result: Content of `result.json`, unless `trial.json` says that the trial has ended.
        mended: What was wrong with it.
    """

    folder: TrialFolder
    trial: Any = None
    result: dict[str, Any] | None = None
    mended: list[str] = field(default_factory=list)


def restore(folder: Path, record: TrialRecord, oracle: Any) -> list[str]:
    """Sets the state of `oracle` from the trial files.

    An unreadable file is set aside, and affects only its own trial, which is run again.

    Returns:
        What was repaired, and which trials are resumed.
    """
    remove_left_over(folder)
    shutil.rmtree(StudyFolder(folder).sent, ignore_errors=True)
    reader = TrialReader()
    found = [_read(there, oracle, reader) for there in StudyFolder(folder).trials()]
    trials = [f for f in found if f.trial is not None]
    _check_origins({f.trial.trial_id: f.trial.hyperparameters.values for f in trials})
    oracle.rebuild(f.trial for f in trials)
    mended = [line for f in found for line in f.mended]
    for f in trials:
        trial = oracle.trials[f.trial.trial_id]
        if f.result is not None:
            note_asked(oracle, f.result)
            f.folder.attempts.unlink(missing_ok=True)  # the result includes them
        if trial.status in _ENDED:
            continue
        if f.result is not None:
            _end(oracle, trial, f.result)
            mended.append(f"trial {trial.trial_id} had ended")
            continue
        record.attempts.restore(trial.trial_id, f.folder.state)
        mended.append(f"trial {trial.trial_id} is resumed")
    oracle.flush()
    return mended


def readable(folder: Path, oracle: Any) -> Iterator[Any]:
    """Yields the trials whose files can be read; nothing is mended."""
    reader = TrialReader()
    for there in StudyFolder(folder).begun():
        with suppress(*_DAMAGED):
            yield _trial(_content(there.state), there.state, oracle, reader)


def _check_origins(values: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks that no trial continues itself, be it by way of others.

    Args:
        values: trial id -> hyperparameters.

    Raises:
        UserError: One does.
    """
    sound: set[str] = set()
    for first in values:
        chain: list[str] = []
        trial_id: Any = first
        while trial_id in values and trial_id not in sound:
            if trial_id in chain:
                raise UserError(
                    f"trial {trial_id} continues itself, by the hyperparameter tuner/trial_id of "
                    f"{' and '.join(chain)}: their files are damaged; restore them from a copy"
                )
            chain.append(trial_id)
            trial_id = values[trial_id].get("tuner/trial_id")
        sound.update(chain)


def _end(oracle: Any, trial: Any, result: dict[str, Any]) -> None:
    with suppress(ValueError):
        oracle._retry_queue.remove(trial.trial_id)
    trial.hyperparameters.values |= result["hyperparameters"]  # some were declared while it ran
    oracle.ongoing_trials["restored"] = trial
    tell(oracle, trial, result)


def _read(folder: TrialFolder, oracle: Any, reader: TrialReader) -> Found:
    found = Found(folder)
    found.trial = _load(
        found, folder.state, lambda state: _trial(state, folder.state, oracle, reader)
    )
    found.result = _load(found, folder.result, lambda result: _result(result, oracle))
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
        # The trial has the other facts; thousands of results would fill the memory.
        found.result = {n: found.result[n] for n in ("trial_id", "asked") if n in found.result}
    return found


def _trial(state: dict[str, Any], path: Path, oracle: Any, reader: TrialReader) -> Any:
    """Returns the trial of a `trial.json`; one that was completed has every objective."""
    trial = reader.trial(state, path)
    recorded = state["metrics"]["metrics"]
    if trial.status == Status.COMPLETED and not all(
        recorded[objective.name]["observations"] for objective in objectives_of(oracle)
    ):
        raise ValueError("an objective is not in it")
    return trial


def _result(content: dict[str, Any], oracle: Any) -> dict[str, Any]:
    result = checked_result(content)
    check_reports(oracle, result)
    return result


def forget_states(folder: Path) -> None:
    """Removes the states of trainings that may go on: their code or their data has changed."""
    study = StudyFolder(folder)
    finalists = [TrialFolder(p) for p in sorted(study.trainings.glob("*")) if p.is_dir()]
    for training in [*study.trials(), *finalists]:
        for path in training.snapshots():
            path.unlink(missing_ok=True)


def _clear(folder: TrialFolder) -> None:
    """Removes files of a lost trial that a new trial of the same number would reuse."""
    for leftover in folder.snapshots():
        leftover.unlink()
    folder.attempts.unlink(missing_ok=True)


def _load(found: Found, path: Path, parse: Any) -> Any:
    if not os.path.lexists(path):
        return None
    try:
        return parse(_content(path))
    except _DAMAGED:
        aside = path.replace(set_aside(path))
        found.mended.append(
            f"{path.parent.name}/{path.name} can't be read, set aside as {aside.name}"
        )
        return None


def _content(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path)
    if f"{TRIAL}{content['trial_id']}" != path.parent.name:
        raise ValueError("it is of another trial")
    return content


def _trial_of(result: dict[str, Any], oracle: Any) -> Any:
    hyperparameters = oracle.get_space()
    hyperparameters.values = dict(result["hyperparameters"])
    return trial_module.Trial(hyperparameters, result["trial_id"], Status.RUNNING)


def _has_lost_its_result(found: Found) -> bool:
    return first_aside(found.folder.result).exists() and found.trial.status in _ENDED
