"""A finished study, recognized from its record without Keras or TensorFlow.

If the record leaves anything open, the full path (`search.run.go_on`) asks the oracle.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.config import FIELDS, SearchConfig
from experiments.data.cache import cache_folder
from experiments.data.cache_use import held
from experiments.data.prepare import PreparedData, kept
from experiments.data.sources.argument import is_code, is_path
from experiments.display.base import Display
from experiments.finalists.choose import finalists
from experiments.finalists.record import (
    Confirmed,
    confirmed,
    is_done,
    is_exported,
    read_finalists,
)
from experiments.hyperparameters.source import is_unchanged
from experiments.hyperparameters.space_files import changed_files
from experiments.record.durations import parse_deadline
from experiments.record.ended_trials import EndedTrials, read_ended
from experiments.record.files import finite
from experiments.record.layout import StudyFolder
from experiments.record.methods import optuna_methods
from experiments.record.reading import dicts, dig
from experiments.record.stamps import is_current
from experiments.record.study import versions
from experiments.record.trial_index import scan
from experiments.search.places import prepared
from experiments.search.resume import as_now, changed_config
from experiments.search.search_result import SearchResult, result_of
from experiments.search.session_record import SessionRecord

# Fields that do not affect the remaining work.
_HOW = ("workers", "deadline", "max_failures")
_PACKAGES = ("keras", "keras-tuner")  # which a space's ranges may depend on
_PLAN = ("max_trials", "max_epochs", "factor")


@dataclass(frozen=True)
class Finished:
    """A finished study.

    Args:
        record: The content of `study.json`.
        folder: The study folder.
        config: The requested configuration.
        trials: Its trials.
        data: Its prepared dataset.
        confirmed: The result of its finalists.
    """

    record: dict[str, Any]
    folder: Path
    config: SearchConfig
    trials: EndedTrials
    data: PreparedData
    confirmed: Confirmed

    def report(self, display: Display) -> SearchResult:
        """Records a session that had nothing to do, and writes the report.

        If the request changes nothing and the page is up to date, no file is written.
        """
        study = as_now(self.record, self.folder, self.config, self.data)
        page = StudyFolder(self.folder).page
        if finite(study) == finite(self.record) and is_current(
            page, self.folder, scan(self.folder).stamps
        ):
            self._introduce(display, study)
            return result_of(self.folder, self.trials, self.confirmed, report=page)
        session = SessionRecord(self.folder, study)
        last = study["sessions"][-1]
        facts = {name: last[name] for name in _PLAN} | {"threads": last.get("threads")}
        if self.config.method in optuna_methods():
            facts["points"] = []  # to begin with: none was added
        with held(Path(self.data.folder)):
            session.begin(
                first_trial=len(self.trials.trials),
                restored=[],
                **facts,
            )
            self._introduce(display, study)
            now = {"search_ended": time.time(), "ended_by": None}
            session.note(**now, num_trials=len(self.trials.trials))
            session.end(was_idle=True)
        return result_of(self.folder, self.trials, self.confirmed)

    def _introduce(self, display: Display, study: dict[str, Any]) -> None:
        best = self.trials.get_best_trials(1)
        display.search_started(self.folder.name, self.config, self.data)
        so_far = (best[0].trial_id, best[0].score) if best else None
        display.recalled(len(self.trials.trials), so_far)


def find_finished(
    record: dict[str, Any], folder: Path, config: SearchConfig, display: Display
) -> Finished | None:
    """Returns a study if its record says that nothing is left to do.

    Args:
        record: The content of `study.json`.
        folder: The study folder.
        config: The requested configuration.
        display: Shows the scan of a folder of images.

    Raises:
        UserError: The deadline is invalid, or the images of a folder are missing.
    """
    if config.deadline:
        parse_deadline(config.deadline)
    if not (_asks_nothing(record, folder, config) and _has_ended(record, folder, config)):
        return None
    trials = read_ended(folder, config.parsed_objective)
    if trials is None or not _is_exhausted(record, config, trials):
        return None
    if finite(trials.space) != record["space"]:
        return None
    found = _confirmed(folder, config, trials)
    data = None if found is None else _data(record, config, display)
    if found is None or data is None:
        return None
    return Finished(record, folder, config, trials, data, found)


def _asks_nothing(record: Mapping[str, Any], folder: Path, config: SearchConfig) -> bool:
    """Whether the request and the search space are those of the record."""
    if record["config"].get("space") != config.space:  # a model's file is somewhere else
        return False
    before = changed_config(record, folder, {"ray": config.ray})
    same = all(getattr(before, n) == getattr(config, n) for n in FIELDS.difference(_HOW))
    # Of several objectives, what the front is of is asked of the oracle.
    simple = same and config.ray is None and len(config.objectives) == 1
    then = dig(record, "environment", "packages") or {}
    simple = simple and versions(_PACKAGES).items() <= then.items() and is_unchanged(record)
    return simple and not changed_files(record, config.settings)


def _has_ended(record: Mapping[str, Any], folder: Path, config: SearchConfig) -> bool:
    """Whether the last session ended, and recorded everything that a session records now."""
    sessions = dicts(record.get("sessions"))
    last = sessions[-1] if sessions else {}
    ended = {"search_ended", "ended"} <= record.keys() and {"ended", *_PLAN} <= last.keys()
    study = StudyFolder(folder)
    files = study.oracle.is_file() and study.tuner.is_file()
    given = config.method not in optuna_methods() or any("points" in s for s in sessions)
    return ended and files and given and not last.get("ended_by")


def _is_exhausted(record: Mapping[str, Any], config: SearchConfig, trials: EndedTrials) -> bool:
    """Whether an oracle with these trials proposes no more.

    Every oracle stops at the limit. The last session's oracle stopped earlier if that session ended
    with the same number of trials: its proposals are a function of them.
    """
    count = len(trials.trials)
    return count >= config.max_trials or record["sessions"][-1].get("num_trials") == count


def _confirmed(folder: Path, config: SearchConfig, trials: EndedTrials) -> Confirmed | None:
    """Returns the finalists' result; `None` if other finalists would be chosen now."""
    if config.confirm == 0:
        return confirmed([])
    study = StudyFolder(folder)
    if study.trainings.exists():
        return None
    records = read_finalists(study.finalists)
    asked = [trial.trial_id for trial in finalists(trials, config.confirm)]
    if not is_done(records, config, asked) or not is_exported(records, study.model):
        return None
    result = confirmed(records)
    return result if result.winner is None or result.winner in trials.trials else None


def _data(record: Mapping[str, Any], config: SearchConfig, display: Display) -> PreparedData | None:
    """Returns the prepared data of the study; `None` if they are not available.

    Folders and files may have changed. Other datasets do not change; opening those of
    tensorflow-datasets would need TensorFlow. A user's code is run only to prepare data.
    """
    recorded = record["dataset"]
    data = kept(config.dataset, recorded, cache_folder(config.cache_dir))
    if data is not None and is_path(config.dataset) and not is_code(config.dataset):
        shape: Any = data.shape
        data = prepared(config, lambda _: shape, display, recorded, data.wanted)
    return data if data is not None and data.is_recorded(recorded) else None
