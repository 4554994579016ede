"""Where each file of a study is: its folder is a Keras Tuner project with what the suite adds."""

import os
from itertools import chain, count
from pathlib import Path
from typing import Any

DEFAULT = "default"  # the id under which the space's own default is trained and tested
PRUNED = "pruned"  # what the message of a trial that was stopped early begins with

TRIAL = "trial_"  # what the name of a trial's folder begins with
TEMPORARY = ".tmp-"  # what the name of a file that is being written begins with
DAMAGED = ".damaged"  # what the name of a file that was set aside ends with
LOCK_FILES = (".lock", ".holder.json")
STATE, RESULT, RECORD = "trial.json", "result.json", "study.json"
CHECKPOINT, SNAPSHOTS = "checkpoint.weights.h5", "snapshot-*.npz"
_ORACLE = "oracle.json"


def expanded(path: str | os.PathLike[str]) -> Path:
    """Returns a path with the user's home for `~`; a `~name` that is no user's stays what it is."""
    return Path(os.path.expanduser(path))


def was_pruned(status: str, message: Any) -> bool:
    """Whether a trial was stopped before its last epoch. Keras Tuner has no status for that.

    Args:
        status: Its status in `trial.json`.
        message: Its message there.
    """
    return status == "COMPLETED" and str(message or "").startswith(PRUNED)


class _Place:
    """A file or folder at a fixed place: an attribute that gives its path.

    Args:
        name: Its path within the folder.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: "_Folder", owner: type) -> Path:
        return folder.path / self.name


class _Folder:
    """A folder whose files are attributes.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)


class TrialFolder(_Folder):
    """The folder of a trial, or of a training of a finalist."""

    state = _Place(STATE)  # Keras Tuner's record of a trial
    result = _Place(RESULT)  # its outcome; see `schema.RESULT_KEYS`
    attempts = _Place("attempts.json")  # from the second attempt to the end
    checkpoint = _Place(CHECKPOINT)  # weights after the best epoch
    facts = _Place("training.json")  # how a finalist is trained

    def snapshot(self, execution: int) -> Path:
        """Returns the place of the training state of an execution."""
        return self.path / SNAPSHOTS.replace("*", str(execution))

    def snapshots(self) -> list[Path]:
        """Returns the training states that are there."""
        return list(self.path.glob(SNAPSHOTS))


class StudyFolder(_Folder):
    """The folder of a study."""

    record = _Place(RECORD)  # what was asked, and its sessions; see `schema.STUDY_KEYS`
    oracle = _Place(_ORACLE)  # Keras Tuner's, which the suite writes and does not read
    tuner = _Place("tuner0.json")  # Keras Tuner's
    status = _Place("status.json")  # what a running search is at
    lock = _Place(LOCK_FILES[0])
    holder = _Place(LOCK_FILES[1])  # the process that holds the lock
    sent = _Place(f"{TEMPORARY}sent")  # model and data of a script, for worker processes
    index = _Place(".index.json")  # results in brief, for quick reading
    model = _Place("best_model.keras")
    report = _Place("report")
    exports = _Place("export")
    artifacts = _Place("artifacts")
    source = _Place("artifacts/space.py")  # text of the file of a user's own model
    card = _Place("artifacts/model_card.md")
    model_facts = _Place("artifacts/model.json")
    finalists = _Place("artifacts/finalists.json")
    finalists_earlier = _Place("artifacts/finalists_earlier.json")  # of other settings
    trainings = _Place("artifacts/finalists")  # a folder each, until all are done
    confirmed = _Place("artifacts/confirmed")  # what comparisons trained
    latency = _Place("artifacts/latency.json")  # what `experiments measure` found
    test_uses = _Place("artifacts/test_uses.json")
    looks = _Place("artifacts/looks.json")

    @property
    def page(self) -> Path:
        """The page of the report."""
        return self.report / "index.html"

    def arrays(self, name: str) -> Path:
        """Returns the place of arrays of the report: `predictions`, `pictures` or `features`."""
        return self.artifacts / f"{name}.npz"

    def trial(self, trial_id: str) -> TrialFolder:
        """Returns the folder of a trial, whether it is there or not."""
        return TrialFolder(self.path / f"{TRIAL}{trial_id}")

    def confirmed_trial(self, trial_id: str) -> Path:
        """Returns the record of what comparisons trained of a trial; arrays are in `.npz`."""
        return self.confirmed / f"{trial_id}.json"

    def trials(self) -> list[TrialFolder]:
        """Returns the folders of trials that are there, by name."""
        return [TrialFolder(p) for p in sorted(self.path.glob(f"{TRIAL}*")) if p.is_dir()]

    def begun(self) -> list[TrialFolder]:
        """Returns the folders of trials that Keras Tuner's record is there of, by name."""
        return [TrialFolder(p.parent) for p in sorted(self.path.glob(f"{TRIAL}*/{STATE}"))]

    def own(self) -> list[Path]:
        """Returns the places that are written to, but for files that are renamed into place."""
        whole = (*LOCK_FILES, self.artifacts.name, self.exports.name)
        begins = (*whole, TRIAL, TEMPORARY)
        return [p for p in sorted(self.path.glob("*")) if p.name.startswith(begins)]


def studies_in(runs: str | Path) -> list[str]:
    """Returns the names of the studies in a folder of studies."""
    return sorted(path.parent.name for path in Path(runs).glob(f"*/{_ORACLE}"))


def first_aside(path: Path) -> Path:
    """Returns where the first damaged file of a name is kept."""
    return path.with_name(path.name + DAMAGED)


def set_aside(path: Path) -> Path:
    """Returns where a file that can't be read is to be kept: where there is none yet."""
    others = (path.with_name(f"{path.name}.{number}{DAMAGED}") for number in count(2))
    return next(p for p in chain([first_aside(path)], others) if not os.path.lexists(p))
