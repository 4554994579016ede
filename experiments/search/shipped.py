"""Sends a caller's model and data to worker processes, once for all trials.

They are written with cloudpickle into a temporary folder of the study. Large arrays are files of
their own, which all workers map into memory. What a killed search left, the next one removes.
"""

import copy
import pickle
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import keras
import keras_tuner
import numpy as np

from experiments.config import SearchConfig
from experiments.executors.processes import ProcessExecutor
from experiments.executors.sent import run_sent
from experiments.process.hardware import suitable_workers
from experiments.process.inherited import keras_settings
from experiments.record.errors import UserError, first_line
from experiments.record.layout import StudyFolder

_LARGE = 2**20  # bytes of an array from which on it is a file of its own
Fit = tuple[tuple[Any, ...], dict[str, Any]]


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes large arrays into files of a folder."""

    def __init__(self, file: BinaryIO, folder: Path) -> None:
        super().__init__(file)
        self._folder, self._arrays = folder, 0

    def reducer_override(self, obj: Any) -> Any:
        """Replaces a large array by its file."""
        if type(obj) is np.ndarray and obj.dtype != object and obj.nbytes >= _LARGE:
            path = self._folder / f"array-{self._arrays}.npy"
            self._arrays += 1
            np.save(path, obj)
            return np.load, (str(path), "r")
        return super().reducer_override(obj)


class _Shipped(ProcessExecutor):
    """Worker processes, and the folder of what was sent to them."""

    folder: Path

    def close(self, at_once: bool = False) -> None:
        """Ends all workers, and removes the folder."""
        super().close(at_once)
        shutil.rmtree(self.folder, ignore_errors=True)


def shipping(tuner: keras_tuner.Tuner, fit: Fit, config: SearchConfig) -> ProcessExecutor:
    """Returns worker processes that run a tuner's trials.

    Args:
        tuner: Its class, hypermodel and settings are sent; its oracle stays.
        fit: The arguments of `search`.
        config: The search.

    Raises:
        UserError: Something can't be sent, or can't be used there.
    """
    _check_processes(fit)
    folder = StudyFolder(tuner.folder.absolute()).sent
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise UserError(
            f"{folder}: a search that was killed has left it, and it can't be removed; remove it"
        ) from None
    try:
        sent = copy.copy(tuner)
        sent.oracle = _Asked(tuner.oracle.objective)
        sent._held, sent._fit = [], fit  # those oracles stay, too
        _write(folder / "sent.pkl", sent, fit)
        workers = suitable_workers() if config.workers == "auto" else int(config.workers)
        executor = _Shipped(partial(run_sent, str(folder / "sent.pkl")), workers)
        executor.folder = folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return executor


class _Asked:
    """What training asks of an oracle."""

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self.trials: dict[str, Any] = {}  # the one that runs

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Any:
        """Records a step of a trial, as a `run_trial` may do."""
        for name, value in metrics.items():
            self.trials[trial_id].metrics.update(name, value, step)
        return self.trials[trial_id]


def _write(path: Path, tuner: keras_tuner.Tuner, fit: Fit) -> None:
    try:
        with path.open("wb") as file:
            pickle.dump(keras_settings(), file)
            _Pickler(file, path.parent).dump(tuner)
    except OSError:
        raise
    except Exception as error:
        raise UserError(
            f"workers: {_culprit(tuner, fit)} can't be sent to worker processes "
            f"({first_line(error)}): "
            "take workers=0, or give search arrays, dictionaries or Keras sequences"
        ) from None


def _check_processes(fit: Fit) -> None:
    """Checks that no data wants processes of its own: worker processes can't start any.

    Raises:
        UserError: Some does.
    """
    for name, part in _named(fit).items():
        is_data = isinstance(part, keras.utils.PyDataset)
        if is_data and part.use_multiprocessing and part.workers > 0:
            raise UserError(
                f"workers: {name} ({type(part).__name__}) has use_multiprocessing=True, and worker "
                "processes can't start further ones: take workers=0, or use_multiprocessing=False"
            )


def _named(fit: Fit) -> dict[str, Any]:
    args, kwargs = fit
    parts = {f"argument {n} of search": part for n, part in enumerate(args, 1)}
    return parts | {f"{name!r} of search": part for name, part in kwargs.items()}


def _culprit(tuner: keras_tuner.Tuner, fit: Fit) -> str:
    """Names what can't be sent."""
    parts = _named(fit) | {
        "the hypermodel": tuner.hypermodel,
        "the strategy": tuner.distribution_strategy,
    }
    for name, part in parts.items():
        try:
            cloudpickle.dumps(part)
        except Exception:
            return f"{name} ({type(part).__name__})"
    return "the tuner"
