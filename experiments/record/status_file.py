"""The progress of a running search: a small file that another terminal can read at any time."""

import json
import os
import time
from pathlib import Path
from typing import Any

from experiments.record.files import finite
from experiments.record.layout import TEMPORARY, StudyFolder
from experiments.record.reading import read_dict

_SECONDS = 1.0


class StatusFile:
    """Writes `status.json`, at most once a second; it is renamed into place, not synced.

    Args:
        folder: The study folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = StudyFolder(folder).status
        self._written = 0.0
        self._trials: dict[str, dict[str, Any]] = {}

    def epoch(
        self, trial_id: str, execution: int, epoch: int, epochs: int, metrics: dict[str, float]
    ) -> None:
        """Records the last epoch of a running trial, and how many it is to have."""
        self._trials[trial_id] = {
            "execution": execution, "epoch": epoch + 1, "epochs": epochs, "metrics": metrics,
        }  # fmt: skip

    def ended(self, trial_id: str) -> None:
        """Forgets a trial that has ended."""
        self._trials.pop(trial_id, None)

    def write(self, state: dict[str, Any], force: bool = False) -> None:
        """Writes `state` and the running trials, unless that was done a moment ago."""
        if not force and time.monotonic() - self._written < _SECONDS:
            return
        self._written = time.monotonic()
        running = {i: self._trials.get(i, {}) for i in state.get("running", [])}
        content = state | {"running": running, "written": time.time()}
        temporary = self._path.with_name(TEMPORARY + self._path.name)
        temporary.unlink(missing_ok=True)  # it may be a pipe
        try:
            temporary.write_text(json.dumps(finite(content)), encoding="utf-8")
            os.replace(temporary, self._path)
        finally:
            temporary.unlink(missing_ok=True)  # of a full disk


def read_status(folder: Path) -> dict[str, Any]:
    """Returns the last recorded status of a search; empty if nothing can be read."""
    return read_dict(StudyFolder(folder).status)
